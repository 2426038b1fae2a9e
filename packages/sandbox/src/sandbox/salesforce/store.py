"""Where records live: one SQLite database, its tables made from the schema."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sandbox.common.saved_states import copied
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.schema import Field, Schema, SObject

Row = dict[str, Any]

_SQL_TYPES = {
    "boolean": "INTEGER",
    "int": "INTEGER",
    "double": "REAL",
    "currency": "REAL",
    "percent": "REAL",
}


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return f'"{name}"'


def java_double(number: float) -> str:
    """A number as Java prints a double, and so Salesforce's CSV: 1.23E7, 4.5E-4, 12.0."""
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(float(number))
    mantissa, _, exponent = f"{Decimal(repr(number)).normalize():E}".partition("E")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def _compared(one: str, other: str) -> int:
    """Texts compared as Salesforce does: letter case aside in any script; accents and ß count."""
    one, other = one.lower(), other.lower()
    return (one > other) - (one < other)


@lru_cache(maxsize=256)
def _pattern(pattern: str, escape: str) -> re.Pattern[str]:
    parts = re.findall(rf"{re.escape(escape)}.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in parts).lower(), re.DOTALL)


def _like(pattern: str, text: str | None, escape: str) -> bool | None:
    """SQL's LIKE, letter case aside in any script."""
    return None if text is None else bool(_pattern(pattern, escape).fullmatch(text.lower()))


class Store:
    """Records in tables, ids and auto numbers in order, transactions that nest.

    Args:
        path: A file, or ``:memory:``.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = OFF;
            PRAGMA temp_store = MEMORY;
            PRAGMA cache_size = -200000;
            CREATE TABLE IF NOT EXISTS _prefix (object TEXT PRIMARY KEY, prefix TEXT);
            CREATE TABLE IF NOT EXISTS _sequence (name TEXT PRIMARY KEY, last INTEGER);
            """
        )
        self.connection.create_function("java_double", 1, java_double, deterministic=True)
        self.connection.create_collation("UNICASE", _compared)
        self.connection.create_function("like", 3, _like, deterministic=True)
        self.on_commit: Callable[[], None] = lambda: None
        self._sequences: dict[str, int] = dict(self.all("SELECT name, last FROM _sequence"))
        self._advanced: set[str] = set()
        self._depth = 0

    def prefixes(self) -> dict[str, str]:
        """The id prefixes that stored objects have."""
        return dict(self.all("SELECT object, prefix FROM _prefix"))

    def prepare(self, schema: Schema) -> list[Field]:
        """Create the tables and columns that are missing; returns the fields of these columns."""
        with self.transaction():
            return [field for sobject in schema for field in self._prepare(sobject)]

    def clear(self, schema: Schema) -> None:
        """Forget every record; ids and auto numbers start over."""
        self._sequences.clear()
        self._advanced.clear()
        with self.transaction():
            self.run("DELETE FROM _sequence")
            for sobject in schema:
                self.run(f"DELETE FROM {quoted(sobject.name)}")

    def copied(self) -> Callable[[], None]:
        """Copy all that is there now; returns what puts it back."""
        sequences, put_back = self._sequences.copy(), copied(self.connection)

        def back() -> None:
            put_back()
            self._sequences = sequences.copy()

        return back

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    def run(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute one statement."""
        return self.connection.execute(sql, parameters)

    def all(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> list[Any]:
        """The rows of a query, as tuples."""
        return self.run(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Mapping[str, Any] | Sequence[Any] = ()) -> Any:
        """The first column of a query's first row; None where there is no row."""
        row = self.run(sql, parameters).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another transaction, a part that can fail alone."""
        name = f"level{self._depth}"
        self._depth += 1
        self.run(f"SAVEPOINT {name}")
        try:
            yield
            if self._depth == 1:
                self._save_sequences()
        except BaseException:
            self.run(f"ROLLBACK TO {name}")
            raise
        finally:
            self.run(f"RELEASE {name}")
            self._depth -= 1
        if not self._depth:
            self.on_commit()

    def next_number(self, sequence: str, count: int = 1) -> int:
        """The first of ``count`` numbers never given before; gaps stay, as at Salesforce."""
        last = self._sequences.get(sequence, 0)
        self._sequences[sequence] = last + count
        self._advanced.add(sequence)
        return last + 1

    def next_id(self, sobject: SObject) -> str:
        """A new record id."""
        return make_id(sobject.prefix, self.next_number(sobject.name))

    def get(self, sobject: SObject, record_id: str) -> Row | None:
        """One record, deleted or not."""
        return self.find(sobject, "Id", record_id)

    def find(self, sobject: SObject, column: str, value: Any) -> Row | None:
        """The first record with this value."""
        cursor = self.run(
            f"SELECT * FROM {quoted(sobject.name)} WHERE {quoted(column)} = ?",
            (value,),
        )
        row = cursor.fetchone()
        return None if row is None else _as_row(cursor, row)

    def where(self, sobject: SObject, condition: str, parameters: Sequence[Any]) -> list[Row]:
        """The records that meet an SQL condition."""
        cursor = self.run(
            f"SELECT * FROM {quoted(sobject.name)} WHERE {condition}",
            parameters,
        )
        return [_as_row(cursor, row) for row in cursor.fetchall()]

    def insert(self, sobject: SObject, row: Row) -> None:
        """Add one record."""
        columns = ", ".join(map(quoted, row))
        marks = ", ".join("?" * len(row))
        self.run(
            f"INSERT INTO {quoted(sobject.name)} ({columns}) VALUES ({marks})",
            tuple(row.values()),
        )

    def insert_many(self, sobject: SObject, columns: Sequence[str], rows: Iterable[Any]) -> int:
        """Add many records with the same columns; returns how many."""
        names = ", ".join(map(quoted, columns))
        marks = ", ".join("?" * len(columns))
        return self.connection.executemany(
            f"INSERT INTO {quoted(sobject.name)} ({names}) VALUES ({marks})",
            rows,
        ).rowcount

    def update(self, sobject: SObject, record_id: str, changes: Row) -> None:
        """Change one record."""
        assignments = ", ".join(f"{quoted(name)} = ?" for name in changes)
        self.run(
            f"UPDATE {quoted(sobject.name)} SET {assignments} WHERE Id = ?",
            (*changes.values(), record_id),
        )

    def purge(self, sobject: SObject, record_id: str) -> None:
        """Remove one record for good."""
        self.run(f"DELETE FROM {quoted(sobject.name)} WHERE Id = ?", (record_id,))

    def _save_sequences(self) -> None:
        for name in self._advanced:
            self.run("REPLACE INTO _sequence VALUES (?, ?)", (name, self._sequences[name]))
        self._advanced.clear()

    def _prepare(self, sobject: SObject) -> list[Field]:
        self.run("REPLACE INTO _prefix VALUES (?, ?)", (sobject.name, sobject.prefix))
        table = quoted(sobject.name)
        self.run(f"CREATE TABLE IF NOT EXISTS {table} ({_column(sobject.fields['Id'])})")
        present = {row[1] for row in self.all(f"PRAGMA table_info({table})")}
        added = [field for field in sobject.fields.values() if field.name not in present]
        for field in added:
            self.run(f"ALTER TABLE {table} ADD COLUMN {_column(field)}")
        for field in sobject.fields.values():
            self._index(sobject, field)
        return added

    def _index(self, sobject: SObject, field: Field) -> None:
        looked_up = field.unique or field.external_id or field.name == "SystemModstamp"
        parent = field.type == "reference" and field.to and field.to != ("User",)
        if not (looked_up or parent):
            return
        name = quoted(f"{sobject.name}.{field.name}")
        column = quoted(field.name)
        unique = "UNIQUE" if field.unique else ""
        some = f"WHERE {column} IS NOT NULL" + (" AND IsDeleted = 0" if field.unique else "")
        if field.name == "SystemModstamp":
            some = ""
        self.run(
            f"CREATE {unique} INDEX IF NOT EXISTS {name} "
            f"ON {quoted(sobject.name)} ({column}) {some}"
        )


def _as_row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def _column(field: Field) -> str:
    if field.type == "id":
        return f"{quoted(field.name)} TEXT PRIMARY KEY"
    sql_type = _SQL_TYPES.get(field.type)
    if sql_type is None:
        sql_type = "TEXT" if field.binary else "TEXT COLLATE UNICASE"
    default = " NOT NULL DEFAULT 0" if field.type == "boolean" else ""
    return f"{quoted(field.name)} {sql_type}{default}"

"""Where the objects are: SQLite, in memory or in a file, one table a kind.

Each row holds an object's answer as the JSON bytes that are served, so that a list is a join of
bytes. Private facts live under the object's ``_`` key and are stored beside the body.

A kind's rows may be deferred: they are made when somebody looks at the kind for the first time.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from sandbox.common.saved_states import copied

Doc = dict[str, Any]
"""A Stripe object, with its private facts under ``_``."""

Row = Sequence[Any]
"""Id, created, body, private, and the kind's filters in order."""

Maker = Callable[[], Iterable[Row]]
"""Makes the rows that were deferred."""


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes:
        name: Stripe's name for it, in its ``object`` field.
        prefix: How its ids begin.
        filters: Dotted paths of the fields it can be looked up by.
        created: The field it is sorted by, newest first.
        noun: What an error message calls it.
    """

    name: str
    prefix: str
    filters: tuple[str, ...] = ()
    created: str = "created"
    noun: str = ""

    @property
    def table(self) -> str:
        """The table's name."""
        return f"kind_{self.name.replace('.', '_')}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("customer", "cus", ("email", "_.deleted")),
        Kind("product", "prod", ("active", "_.shown")),
        Kind("price", "price", ("product", "active", "currency", "lookup_key", "type", "_.shown")),
        Kind("coupon", "", ()),
        Kind("promotion_code", "promo", ("active", "code", "_.coupon", "customer")),
        Kind("tax_rate", "txr", ("active", "inclusive", "_.shown")),
        Kind("discount", "di", ("customer", "_.owner"), created="start"),
        Kind("tax_id", "txi", ("customer",)),
        Kind(
            "invoice",
            "in",
            (
                "customer",
                "status",
                "collection_method",
                "due_date",
                "_.token",
                "number",
                "_.advances",
            ),
        ),
        Kind("invoiceitem", "ii", ("customer", "invoice", "_.pending"), created="date"),
        Kind(
            "invoice_payment",
            "inpay",
            (
                "invoice",
                "status",
                "payment.type",
                "payment.payment_intent",
                "payment.payment_record",
            ),
        ),
        Kind("payment_intent", "pi", ("customer", "_.invoice", "_.settles_at")),
        Kind("payment_method", "pm", ("customer", "type"), noun="PaymentMethod"),
        Kind("payment_record", "pr", ()),
        Kind("balance_transaction", "txn", ("currency", "source", "type")),
        Kind("charge", "ch", ("customer", "payment_intent")),
        Kind("refund", "re", ("charge", "payment_intent")),
        Kind("dispute", "du", ("charge", "payment_intent")),
        Kind("credit_note", "cn", ("customer", "invoice"), noun="credit note"),
        Kind("customer_balance_transaction", "cbtxn", ("customer", "invoice")),
        Kind("event", "evt", ("type", "_.delivered", "_.object")),
        Kind("v2.core.event", "evt", ("_.object", "type"), created="_.created"),
        Kind("webhook_endpoint", "we", ("status",), noun="webhook endpoint"),
        Kind("v2.core.event_destination", "ed", ("event_payload", "status"), created="_.created"),
        Kind("delivery", "dlv", ("event", "endpoint", "state", "next_attempt")),
        Kind("mail", "mail", ("to", "invoice")),
    )
}


class Page(NamedTuple):
    """One page of a list: the objects' bodies, newest first, and whether there are more."""

    bodies: list[bytes]
    has_more: bool


@dataclass(frozen=True)
class Cursor:
    """A place in a list: after an object (towards older) or before it (towards newer)."""

    object_id: str
    backwards: bool = False


class Store:
    """The whole account, both modes."""

    def __init__(self, path: Path | None = None) -> None:
        self._lasting = path is not None
        self._deferred: dict[tuple[bool, str], tuple[Maker, ...]] = {}
        self.connection = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False
        )
        self.connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;"
        )
        for kind in KINDS.values():
            self.connection.executescript(_schema(kind))
        self.connection.executescript(IDEMPOTENCY_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: an exception undoes everything done in the block."""
        deferred = self._deferred.copy()
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            self._deferred = deferred
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Inside a transaction: whatever is done in the block is undone after it."""
        deferred = self._deferred.copy()
        self.connection.execute("SAVEPOINT rehearsal")
        try:
            yield
        finally:
            self._deferred = deferred
            self.connection.execute("ROLLBACK TO rehearsal")
            self.connection.execute("RELEASE rehearsal")

    def space(self, livemode: bool) -> "Space":
        """Return the test or the live half of the account."""
        return Space(self, livemode)

    def defer(self, livemode: bool, kind_name: str, make: Maker) -> None:
        """Have rows made when their kind is first looked at; in a file, which outlives us, now."""
        key = (livemode, kind_name)
        self._deferred[key] = (*self._deferred.get(key, ()), make)
        if self._lasting:
            self.complete(livemode, kind_name)

    def complete(self, livemode: bool, kind_name: str) -> bool:
        """Make the rows of a kind that were deferred; returns whether there were any."""
        key = (livemode, kind_name)
        if key not in self._deferred:
            return False
        with nullcontext() if self.connection.in_transaction else self.transaction():
            for make in self._deferred.pop(key):
                self.space(livemode).insert_rows(kind_name, make())
        return True

    def clear(self) -> None:
        """Forget everything."""
        tables = [kind.table for kind in KINDS.values()] + ["idempotency"]
        with self.transaction():
            self._deferred = {}
            for table in tables:
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names

    def copied(self) -> Callable[[], None]:
        """Copy all that is there now; returns what puts it back."""
        deferred, put_back = self._deferred.copy(), copied(self.connection)

        def back() -> None:
            put_back()
            self._deferred = deferred.copy()

        return back

    def close(self) -> None:
        """Close the database."""
        self.connection.close()


class Space:
    """The objects of one mode."""

    def __init__(self, store: Store, livemode: bool) -> None:
        self.livemode = livemode
        self._store = store
        self._connection = store.connection

    def get(self, kind_name: str, object_id: str) -> Doc | None:
        """Return an object, or None."""
        row = self._row("body, private", kind_name, object_id)
        return _loaded(row) if row else None

    def body(self, kind_name: str, object_id: str) -> bytes | None:
        """Return the bytes served for an object, or None."""
        row = self._row("body", kind_name, object_id)
        return row[0] if row else None

    def insert(self, kind_name: str, *docs: Doc) -> None:
        """Add objects.

        Raises:
            sqlite3.IntegrityError: If an id is taken.
        """
        self.insert_rows(kind_name, (row_of(KINDS[kind_name], doc) for doc in docs))

    def insert_rows(self, kind_name: str, rows: Iterable[Row]) -> None:
        """Add prepared rows."""
        kind = KINDS[kind_name]
        places = ", ".join("?" * (5 + len(kind.filters)))
        columns = ", ".join(["livemode", "id", "created", "body", "private", *_columns(kind)])
        self._connection.executemany(
            f"INSERT INTO {kind.table} ({columns}) VALUES ({places})",  # noqa: S608
            ((self.livemode, *row) for row in rows),
        )

    def update(self, kind_name: str, doc: Doc) -> None:
        """Replace an object."""
        kind = KINDS[kind_name]
        columns = ["id", "created", "body", "private", *_columns(kind)]
        assignments = ", ".join(f"{column} = ?" for column in columns)
        self._connection.execute(
            f"UPDATE {kind.table} SET {assignments} WHERE livemode = ? AND id = ?",  # noqa: S608
            (*row_of(kind, doc), self.livemode, doc["id"]),
        )

    def delete(self, kind_name: str, object_id: str) -> None:
        """Remove an object."""
        self._store.complete(self.livemode, kind_name)
        self._connection.execute(
            f"DELETE FROM {KINDS[kind_name].table} WHERE livemode = ? AND id = ?",  # noqa: S608
            (self.livemode, object_id),
        )

    def find(
        self,
        kind_name: str,
        filters: Mapping[str, Any],
        ranges: Mapping[str, Mapping[str, float]] | None = None,
        limit: int = -1,
        *,
        deferred: bool = True,
    ) -> list[Doc]:
        """Return the objects with these values, oldest first; all of them unless limited.

        Args:
            kind_name: Which objects.
            filters: Field to value, or to a list of possible values.
            ranges: Field to bounds: ``gt``, ``gte``, ``lt``, ``lte``.
            limit: How many objects at most.
            deferred: Whether what is deferred could be among them.
        """
        if deferred:
            self._store.complete(self.livemode, kind_name)
        conditions, values = self._conditions(filters, ranges or {})
        rows = self._connection.execute(
            f"SELECT body, private FROM {KINDS[kind_name].table} WHERE {conditions}"  # noqa: S608
            " ORDER BY created, seq LIMIT ?",
            [*values, limit],
        )
        return [_loaded(row) for row in rows]

    def count(self, kind_name: str, filters: Mapping[str, Any] | None = None) -> int:
        """Return how many objects have these values."""
        self._store.complete(self.livemode, kind_name)
        conditions, values = self._conditions(filters or {}, {})
        query = f"SELECT count(*) FROM {KINDS[kind_name].table} WHERE {conditions}"  # noqa: S608
        return int(self._connection.execute(query, values).fetchone()[0])

    def page(
        self,
        kind_name: str,
        filters: Mapping[str, Any] | None = None,
        ranges: Mapping[str, Mapping[str, int]] | None = None,
        limit: int = 10,
        cursor: Cursor | None = None,
        where: tuple[str, Sequence[Any]] | None = None,
    ) -> Page | None:
        """Return one page, or None if the cursor names nothing.

        Args:
            kind_name: Which objects.
            filters: Field to value, or to a list of possible values.
            ranges: Field to bounds: ``gt``, ``gte``, ``lt``, ``lte``.
            limit: How many objects.
            cursor: Where to begin.
            where: A further condition in SQL, with its values.
        """
        self._store.complete(self.livemode, kind_name)
        conditions, values = self._conditions(filters or {}, ranges or {})
        if where:
            conditions += f" AND ({where[0]})"
            values.extend(where[1])
        direction = "ASC" if cursor and cursor.backwards else "DESC"
        if cursor:
            place = self._row("created, seq", kind_name, cursor.object_id)
            if place is None:
                return None
            conditions += f" AND (created, seq) {'>' if cursor.backwards else '<'} (?, ?)"
            values.extend(place)
        rows = self._connection.execute(
            f"SELECT body FROM {KINDS[kind_name].table} WHERE {conditions}"  # noqa: S608
            f" ORDER BY created {direction}, seq {direction} LIMIT ?",
            [*values, limit + 1],
        ).fetchall()
        bodies = [row[0] for row in rows[:limit]]
        if direction == "ASC":
            bodies.reverse()
        return Page(bodies, has_more=len(rows) > limit)

    def _row(self, columns: str, kind_name: str, object_id: str) -> Any:
        """Return columns of an object; what is deferred is made only if it is not there."""
        row = self._connection.execute(
            f"SELECT {columns} FROM {KINDS[kind_name].table}"  # noqa: S608
            " WHERE id = ? AND livemode = ?",
            (object_id, self.livemode),
        ).fetchone()
        if row is None and self._store.complete(self.livemode, kind_name):
            return self._row(columns, kind_name, object_id)
        return row

    def _conditions(
        self, filters: Mapping[str, Any], ranges: Mapping[str, Mapping[str, float]]
    ) -> tuple[str, list[Any]]:
        conditions: list[str] = ["livemode = ?"]
        values: list[Any] = [self.livemode]
        for path, value in filters.items():
            if isinstance(value, list):
                conditions.append(f"{_column(path)} IN ({', '.join('?' * len(value))})")
                values.extend(value)
            else:
                conditions.append(f"{_column(path)} IS ?")
                values.append(value)
        for path, bounds in ranges.items():
            for bound, value in bounds.items():
                conditions.append(f"{_column(path)} {OPERATORS[bound]} ?")
                values.append(value)
        return " AND ".join(conditions), values


OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

IDEMPOTENCY_SCHEMA = """
CREATE TABLE IF NOT EXISTS idempotency (
    livemode INTEGER NOT NULL, key TEXT NOT NULL, endpoint TEXT NOT NULL, digest TEXT NOT NULL,
    request_id TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (livemode, key)
);
"""


def public(doc: Doc) -> Doc:
    """Return an object without its private facts."""
    return {name: value for name, value in doc.items() if name != "_"}


def row_of(kind: Kind, doc: Doc) -> Row:
    """Return the row that holds an object."""
    private = doc.get("_")
    return (
        doc["id"],
        _dig(doc, kind.created) or _dig(doc, "_.created"),
        orjson.dumps(public(doc)),
        orjson.dumps(private) if private else None,
        *(_dig(doc, path) for path in kind.filters),
    )


def _schema(kind: Kind) -> str:
    filters = "".join(f", {column}" for column in _columns(kind))
    indexes = "".join(
        f"CREATE INDEX IF NOT EXISTS {kind.table}_{column}"
        f" ON {kind.table} (livemode, {column}, created, seq);\n"
        for column in _columns(kind)
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {kind.table} (seq INTEGER PRIMARY KEY,"
        " livemode INTEGER NOT NULL, id TEXT NOT NULL, created INTEGER NOT NULL,"
        f" body BLOB NOT NULL, private BLOB{filters}, UNIQUE (id, livemode));\n"
        f"CREATE INDEX IF NOT EXISTS {kind.table}_created"
        f" ON {kind.table} (livemode, created, seq);\n" + indexes
    )


def _columns(kind: Kind) -> list[str]:
    return [_column(path) for path in kind.filters]


def _column(path: str) -> str:
    return path if path in ("created", "id") else f"f_{path.replace('.', '_')}"


def _dig(doc: Any, path: str) -> Any:
    for name in path.split("."):
        doc = doc.get(name) if isinstance(doc, dict) else None
    return doc


def _loaded(row: Sequence[Any]) -> Doc:
    doc: Doc = orjson.loads(row[0])
    doc["_"] = orjson.loads(row[1]) if row[1] else {}
    return doc

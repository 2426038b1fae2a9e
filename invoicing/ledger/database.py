"""The ledger's database: SQLite beside the process, or PostgreSQL by URL.

The only module that opens a session. SQLite is set for several processes at once:
write-ahead log, a busy time-out, and transactions that take the write lock when they
begin, because one that first reads and then writes is refused at once when another
process wrote in between (https://sqlite.org/isolation.html).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    Engine,
    Table,
    Update,
    bindparam,
    event,
    make_url,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlmodel import Session, SQLModel, create_engine
from sqlmodel.sql.expression import SelectOfScalar

from invoicing.errors import Misconfigured, TransientError
from invoicing.settings import settings

Row = TypeVar("Row")

Model = TypeVar("Model", bound=SQLModel)

BUSY_SECONDS = 30


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


# Done once when this is imported, or each forked run would do it again.
_SCRIPTS = ScriptDirectory.from_config(_alembic())
HEAD = _SCRIPTS.get_current_head()
REVISIONS = frozenset(script.revision for script in _SCRIPTS.walk_revisions())
for _name in ("sqlite", "postgresql+psycopg"):
    make_url(f"{_name}://").get_dialect().import_dbapi()


def build_engine(url: str) -> Engine:
    """Make an engine for a ledger URL, with SQLite's settings where they apply."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TransientError(f"The ledger's folder is not there: {error}") from error
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@lru_cache(maxsize=1)
def engine() -> Engine:
    """The ledger's engine, one per process; refuses a ledger of another revision.

    Raises:
        Misconfigured: the ledger was not migrated to this code's revision.
    """
    built = build_engine(settings().ledger.url)
    with built.connect() as connection:
        try:
            current = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        except (OperationalError, ProgrammingError):  # an empty database
            current = None
    _refuse_newer(current)
    if current != HEAD:
        raise Misconfigured(
            f"The ledger is at revision {current}, this code needs {HEAD}: "
            "run `python -m invoicing.ledger` to migrate it."
        )
    return built


def _refuse_newer(current: str | None) -> None:
    if current is not None and current not in REVISIONS:
        raise Misconfigured(
            f"The ledger is at revision {current}, which this release does not know: a newer one "
            "migrated it. Run that one, or restore the ledger from before."
        )


@contextmanager
def session() -> Iterator[Session]:
    """One transaction of the ledger: committed at the end, rolled back on an error.

    Raises:
        TransientError: the database is away, busy for longer than its time-out, or another run
            wrote the same row first.
    """
    with (
        _translated_errors(),
        Session(engine(), expire_on_commit=False) as opened,
        opened.begin(),
    ):
        yield opened


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise TransientError(f"The ledger did not answer: {error.orig}") from error
    except IntegrityError as error:
        raise TransientError(f"Another run wrote the same at this moment: {error.orig}") from error


def read_all(query: SelectOfScalar[Row]) -> list[Row]:
    """What a query finds, in a transaction of its own."""
    with session() as ledger:
        return list(ledger.exec(query))


def read_first(query: SelectOfScalar[Row]) -> Row | None:
    """The first that a query finds, in a transaction of its own."""
    with session() as ledger:
        return ledger.exec(query).first()


def read_row(model: type[Model], key: object) -> Model | None:
    """The row that has the primary key, in a transaction of its own."""
    with session() as ledger:
        return ledger.get(model, key)


def execute(statement: Update | Delete) -> int:
    """Change or delete rows in a transaction of its own; returns how many."""
    with session() as ledger:
        return cast(CursorResult[Any], ledger.execute(statement)).rowcount


def one_at_a_time(ledger: Session, what: str) -> None:
    """Let no other transaction pass here until this one ends.

    SQLite's transactions exclude each other anyhow; PostgreSQL has advisory locks.
    """
    if ledger.get_bind().dialect.name == "postgresql":
        ledger.execute(text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": what})


def insert_missing(ledger: Session, rows: Sequence[SQLModel]) -> list[Any]:
    """Insert the rows of one table that are not there yet; returns the new primary keys.

    Two processes may do this with the same rows at the same moment.
    """
    if not rows:
        return []
    model = type(rows[0])
    keys = table_of(model).primary_key
    generated = {key.name for key in keys if getattr(rows[0], key.name) is None}
    return insert_values(ledger, model, [row.model_dump(exclude=generated) for row in rows])


def insert_values(
    ledger: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]]
) -> list[Any]:
    """What :func:`insert_missing` does, of thousands of rows of which nobody needs the objects."""
    table = table_of(model)
    insert = _dialect(ledger).insert(table).on_conflict_do_nothing()
    return list(ledger.execute(insert.returning(*table.primary_key), rows).all())


def add_up(ledger: Session, rows: Sequence[SQLModel], counters: Sequence[str]) -> None:
    """Insert the rows of one table; those that are there have these added to their counters.

    Whoever does this with several rows has them always in the same order, lest two processes wait
    for each other.
    """
    if rows:
        table = table_of(type(rows[0]))
        new = _dialect(ledger).insert(table)
        sums = {name: table.c[name] + new.excluded[name] for name in counters}
        keys = list(table.primary_key)
        added = new.on_conflict_do_update(index_elements=keys, set_=sums)
        ledger.execute(added, [row.model_dump() for row in rows])


def update_each(
    ledger: Session,
    model: type[SQLModel],
    key: str,
    rows: Mapping[str, Mapping[str, Any]],
    *where: ColumnElement[bool],
) -> None:
    """Change thousands of rows of one table by one statement.

    Args:
        ledger: The transaction.
        model: The table.
        key: The column by which rows are found.
        rows: The values of the same other columns, by key.
        where: What else is so of the rows that are changed.
    """
    table, columns = table_of(model), next(iter(rows.values()), None)
    if columns is None:
        return
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    found = update(table).where(table.c[key] == bindparam("of_key"), *where)
    each = [
        {"of_key": of_key, **{f"new_{name}": value for name, value in row.items()}}
        for of_key, row in rows.items()
    ]
    ledger.connection().execute(found.values(values), each)


def table_of(model: type[SQLModel]) -> Table:
    """The table of a model."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


def insert_new(model: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows of one table that are not there yet, all or none; returns how many.

    A transaction of its own, which asks for no keys back. To PostgreSQL the rows travel as one
    JSON text in one statement, which costs a third of an insert of many parameters.

    Raises:
        TransientError: as :func:`session` does.
    """
    table = table_of(model)
    with _translated_errors():
        if engine().dialect.name == "postgresql":
            columns = ", ".join(rows[0])
            statement = (
                f"INSERT INTO {table.name} ({columns}) SELECT {columns} "  # noqa: S608
                f"FROM json_populate_recordset(NULL::{table.name}, %s::json) "
                "ON CONFLICT DO NOTHING"
            )
            with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as alone:
                return alone.exec_driver_sql(statement, (orjson.dumps(rows).decode(),)).rowcount
        counting = {"preserve_rowcount": True}
        with engine().begin() as ledger:
            insert = sqlite.insert(table).on_conflict_do_nothing()
            return ledger.execute(insert, rows, execution_options=counting).rowcount


def _dialect(ledger: Session) -> Any:
    return postgresql if ledger.get_bind().dialect.name == "postgresql" else sqlite


def migrate(url: str | None = None) -> None:
    """Bring the ledger to this code's revision, making it where there is none.

    Raises:
        TransientError: the database is away.
        Misconfigured: a newer release migrated it, or it takes no writes.
    """
    config = _alembic()
    built = build_engine(url or settings().ledger.url)
    try:
        with _translated_errors(), built.begin() as connection:
            _refuse_newer(MigrationContext.configure(connection).get_current_revision())
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise Misconfigured(f"The ledger takes no writes: {error.orig}") from error
    finally:
        built.dispose()

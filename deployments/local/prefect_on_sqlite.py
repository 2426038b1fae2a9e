"""Prefect's server on SQLite, without its "503 database is locked".

    uvicorn --factory deployments.local.prefect_on_sqlite:create_app

Prefect begins most of its write transactions as deferred ones. SQLite refuses at once, without
waiting for its busy timeout, to turn a deferred transaction that has read into a writing one
when somebody else has written meanwhile; the server passes that on as HTTP 503. Begun as
immediate ones, as Prefect itself does in a few places, they wait for each other instead.

They wait in Python, not in SQLite, and first come, first served. SQLite asks again after ever
longer pauses, in which others get the lock: who waits there may wait in vain. And a connection that
waits inside SQLite holds its own mutex: the garbage collector, freeing a cursor of that connection,
would stop the event loop, and with it whoever has the lock, until Prefect's busy timeout of a
minute is over.

What Prefect writes outside of a transaction (batches of events and of task runs, what triggers
count, inputs of runs) becomes one with its first statement that writes, and ends with its session,
as on PostgreSQL. Written statement by statement, each would wait in SQLite, and what came before a
refused one would stay: an automation acts, and cannot take note of it; a batch of events is found
there by each further try, which inserts no row, is refused, and is dropped after five of them.

Whoever writes so has read before, and waits for its turn with the connection that it has. So there
is always a further one: else those who wait would have them all, and who has the turn would have
none.

Proposal: all of it in `AioSqliteConfiguration`, and that Prefect's settings of SQLAlchemy's pool
hold for SQLite, too.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from prefect.server.api import server
from prefect.server.database.configurations import (
    ENGINES,
    SQLITE_BEGIN_MODE,
    AioSqliteConfiguration,
)
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    AsyncSessionTransaction,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = 2
"""How long SQLite itself waits for a lock, which only another process can have then."""

HAS_TURN = "has turn"


class ImmediateSqlite(AioSqliteConfiguration):
    """SQLite whose write transactions queue up. For one event loop."""

    def __init__(self, connection_url: str) -> None:
        super().__init__(connection_url=connection_url)
        self._turn = asyncio.Lock()

    async def engine(self) -> AsyncEngine:
        """The engine of this event loop, with as many connections as are asked for."""
        key = (asyncio.get_running_loop(), self.connection_url, self.echo, self.timeout)
        if key not in ENGINES:
            ENGINES[key] = engine = create_async_engine(
                self.connection_url,
                echo=self.echo,
                paramstyle="named",
                connect_args={"timeout": self.timeout},  # while it is opened, as by Prefect
                max_overflow=-1,
            )
            event.listen(engine.sync_engine, "connect", self.setup_sqlite)
            event.listen(engine.sync_engine, "begin", self.begin_sqlite_stmt)
            event.listen(engine.sync_engine, "before_cursor_execute", self.begin_writing)
            event.listen(engine.sync_engine, "checkin", self.end_turn)
            await self.schedule_engine_disposal(key)
        return ENGINES[key]

    def setup_sqlite(self, conn: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Prepare a new connection."""
        super().setup_sqlite(conn, record)
        cursor = conn.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        cursor.close()

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: ARG002
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction that already holds the write lock; it waits without a connection.

        Prefect's mode of beginning is a variable of the context, which every task inherits that is
        started meanwhile: it is set no longer than the beginning takes.
        """
        async with self._turn, session.begin() as transaction:
            mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
            try:
                await session.connection()
            finally:
                SQLITE_BEGIN_MODE.reset(mode)
            yield transaction

    def begin_writing(
        self,
        connection: Connection,
        cursor: Any,
        _statement: str,
        _parameters: Any,
        context: Any,
        _many: bool,
    ) -> None:
        """Begin a transaction before a statement that writes outside of one."""
        if not (context and (context.isinsert or context.isupdate or context.isdelete)):
            return
        adapted: Any = connection.connection.dbapi_connection
        if adapted.driver_connection.in_transaction:
            return
        adapted.run_async(lambda _: self._turn.acquire())
        connection.info[HAS_TURN] = True
        cursor.execute("BEGIN IMMEDIATE")

    def end_turn(self, _connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        """Let others write, once a connection that has begun by itself is given back."""
        if record.info.pop(HAS_TURN, False):
            self._turn.release()


def create_app() -> FastAPI:
    """The application that `prefect server start` runs, with its services and its UI."""
    url: str = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url.startswith("sqlite"):
        set_database_config(ImmediateSqlite(connection_url=url))
    return server.create_app(final=True)

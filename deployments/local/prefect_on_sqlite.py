"""Prefect's server on SQLite, without its "503 database is locked".

    uvicorn --factory deployments.local.prefect_on_sqlite:create_app

Prefect begins most of its write transactions as deferred ones. SQLite refuses at once, without
waiting for its busy timeout, to turn a deferred transaction that has read into a writing one
when somebody else has written meanwhile; the server passes that on as HTTP 503. Begun as
immediate ones, as Prefect itself does in a few places, they wait for each other instead.

They wait in Python, not in SQLite: a connection that waits inside SQLite for the write lock
holds its own mutex, and the garbage collector, freeing a cursor of that connection, would stop
the event loop, and with it whoever has the lock, until Prefect's busy timeout of a minute is
over. The few statements that Prefect runs outside of transactions still wait there, but not long.

Batches of events and of task runs are written outside of one, in several statements. Where a later
one finds the database locked, the earlier ones stay: a batch of events is then found there by each
further try, which inserts no row, is refused, and is dropped after five of them. Here each batch is
one transaction, as it could be upstream.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from prefect.server.api import server
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.events.services import event_persister
from prefect.server.services import task_run_recorder
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = 2


class ImmediateSqlite(AioSqliteConfiguration):
    """SQLite whose write transactions queue up. For one event loop."""

    def __init__(self, connection_url: str) -> None:
        super().__init__(connection_url=connection_url)
        self._turn = asyncio.Lock()

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
        """Begin a transaction that already holds the write lock."""
        async with (
            self.turn(),
            super().begin_transaction(session, with_for_update=True) as transaction,
        ):
            yield transaction

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Have what begins in here by itself, and ends in here, wait for its turn to write."""
        async with self._turn:
            mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
            try:
                yield
            finally:
                SQLITE_BEGIN_MODE.reset(mode)


def create_app() -> FastAPI:
    """The application that `prefect server start` runs, with its services and its UI."""
    url: str = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url.startswith("sqlite"):
        database = ImmediateSqlite(connection_url=url)
        set_database_config(database)
        recorder: Any = task_run_recorder
        record = recorder.record_bulk_task_run_events

        async def record_bulk_task_run_events(events: list[ReceivedEvent]) -> None:
            async with database.turn():
                await record(events)

        recorder.record_bulk_task_run_events = record_bulk_task_run_events
        persister: Any = event_persister
        write = persister.write_events

        async def write_events(session: AsyncSession, events: list[ReceivedEvent]) -> None:
            async with database.begin_transaction(session):
                await write(session, events)

        persister.write_events = write_events
    return server.create_app(final=True)

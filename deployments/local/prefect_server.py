"""Prefect's server on SQLite, without its "503 database is locked".

    uvicorn --factory deployments.local.prefect_server:create_app

Prefect begins most of its write transactions as deferred ones. SQLite refuses at once, without
waiting for its busy timeout, to turn a deferred transaction that has read into a writing one
when somebody else has written meanwhile; the server passes that on as HTTP 503. Begun as
immediate ones, as Prefect itself does in a few places, they wait for each other instead.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prefect.server.api import server
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class ImmediateSqlite(AioSqliteConfiguration):
    """SQLite whose write transactions queue up."""

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: ARG002
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction that already holds the write lock."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def create_app() -> FastAPI:
    """The application that `prefect server start` runs, with its services and its UI."""
    url: str = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url.startswith("sqlite"):
        set_database_config(ImmediateSqlite(connection_url=url))
    return server.create_app(final=True)

"""The least an endpoint can do that keeps what it is sent: one insert for each request.

    python -m benchmarks._bare_endpoint --port 8300 --workers 2

Served by the same server as the receiver, into the database that BARE_URL names.
"""

import argparse
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg  # type: ignore[import-untyped]
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from invoicing.receiver.server import serve

TABLE = "CREATE TABLE IF NOT EXISTS bare (id TEXT PRIMARY KEY, body TEXT NOT NULL)"
INSERT = "INSERT INTO bare (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"


def app() -> Starlette:
    """The endpoint, on SQLite or PostgreSQL."""
    url = os.environ["BARE_URL"]
    return sqlite_app(url.removeprefix("sqlite:///")) if "sqlite" in url else postgres_app(url)


def sqlite_app(path: str) -> Starlette:
    """One connection, one commit for each request, without a thread between."""
    ledger = sqlite3.connect(path, timeout=30, isolation_level=None)
    ledger.execute("PRAGMA journal_mode = WAL")
    ledger.execute("PRAGMA synchronous = FULL")
    ledger.execute(TABLE)

    async def webhook(request: Request) -> Response:
        body = await request.body()
        ledger.execute(INSERT, (request.headers["stripe-signature"], body.decode()))
        return JSONResponse({"received": True})

    return Starlette(routes=[Route("/webhooks/stripe", webhook, methods=["POST"])])


def postgres_app(url: str) -> Starlette:
    """A pool of asynchronous connections, one commit for each request."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with asyncpg.create_pool(url, min_size=8, max_size=8) as app.state.pool:
            yield

    async def webhook(request: Request) -> Response:
        body = await request.body()
        key = request.headers["stripe-signature"]
        await request.app.state.pool.execute(INSERT, key, body.decode())
        return JSONResponse({"received": True})

    return Starlette(
        routes=[Route("/webhooks/stripe", webhook, methods=["POST"])], lifespan=lifespan
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    serve("127.0.0.1", arguments.port, arguments.workers, "benchmarks._bare_endpoint:app")

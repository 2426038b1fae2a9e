"""Moments to go back to: what many tests begin with is made once, not for each of them."""

import sqlite3
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Records(Protocol):
    """Where a sandbox keeps its records."""

    def copied(self) -> Callable[[], None]:
        """Copy all that is there now; returns what puts it back."""


def copied(connection: sqlite3.Connection) -> Callable[[], None]:
    """Copy a database into memory; returns what puts it back."""
    kept = sqlite3.connect(":memory:", check_same_thread=False)
    connection.backup(kept)
    return lambda: kept.backup(connection)


def routes(records: Records) -> list[Route]:
    """Return the routes under ``/_sandbox/`` for what a sandbox keeps.

    Records come back, and whatever was answered to an idempotency key; the clock, the settings,
    the faults and the log stay.
    """
    kept: dict[str, Callable[[], None]] = {}

    def answer(name: str) -> Response:
        return JSONResponse({"moment": name})

    async def keep(request: Request) -> Response:
        name = request.path_params["name"]
        kept[name] = records.copied()
        return answer(name)

    async def go_back(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in kept:
            error = {"error": f"No moment {name} was kept."}
            return JSONResponse(error, HTTPStatus.NOT_FOUND)
        kept[name]()
        return answer(name)

    path = "/_sandbox/moments/{name}"
    return [Route(path, keep, methods=["PUT"]), Route(path, go_back, methods=["POST"])]

"""The application: API, pages, admin endpoints, and the courier behind them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from sandbox.common import admin as common_admin
from sandbox.common import page_templates, saved_states
from sandbox.common.request_middleware import Traffic
from sandbox.stripe import admin, api, objects
from sandbox.stripe.advancement import Advancement
from sandbox.stripe.context import Sandbox
from sandbox.stripe.dashboard import Dashboard
from sandbox.stripe.pages import Pages
from sandbox.stripe.webhooks import Courier

API_PATHS = ("/v1/", "/v2/")


def make_app(base_url: str, data: Path | None = None) -> ASGIApp:
    """Build the application.

    Args:
        base_url: Where it will be reached; the links in invoices begin with it.
        data: A database file to keep everything in; without one it is kept in memory.
    """
    sandbox = Sandbox(base_url, data)
    courier = Courier(sandbox)
    front = api.Api(sandbox, courier.wake)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with courier.at_work(), Advancement(sandbox, courier).at_work():
            yield
        sandbox.store.close()

    async def not_found(request: Request, _: Exception) -> Response:
        return await front.not_found(request)

    starlette = Starlette(lifespan=lifespan, exception_handlers={404: not_found, 405: not_found})
    traffic = Traffic(starlette, sandbox.clock, API_PATHS, api.refusal, app_delays=True)
    starlette.router.routes.extend(
        [
            *front.routes(),
            *Pages(sandbox, courier).routes(),
            *Dashboard(sandbox, courier).routes(),
            *admin.routes(sandbox, courier, traffic),
            *common_admin.routes(sandbox.clock, traffic),
            *saved_states.routes(sandbox.store),
            page_templates.static(),
        ]
    )
    return traffic


OPERATION_MODULES = objects.__all__
"""Imported for their operations."""

"""The sandbox's own endpoints beside the shared ones: mailbox, deliveries, network, reset."""

import asyncio
import time
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.common.admin import parsed
from sandbox.common.traffic import Traffic
from sandbox.stripe.context import Sandbox
from sandbox.stripe.generate import Generator, Order
from sandbox.stripe.store import Doc, Space
from sandbox.stripe.webhooks import Courier, Network


class RetryOrder(BaseModel):
    """Which deliveries to attempt again at once; empty for all that are not delivered."""

    model_config = ConfigDict(extra="forbid")

    event: str | None = None
    endpoint: str | None = None
    delivered_too: bool = False


def routes(sandbox: Sandbox, courier: Courier, traffic: Traffic) -> list[Route]:
    """Return the routes under ``/_sandbox/``."""

    async def mail(request: Request) -> Response:
        filters = {name: request.query_params[name] for name in request.query_params}
        return _listed(sandbox, "mail", filters)

    async def deliveries(request: Request) -> Response:
        filters = {name: request.query_params[name] for name in request.query_params}
        return _listed(sandbox, "delivery", filters)

    async def retry(request: Request) -> Response:
        order = await parsed(request, RetryOrder)
        if isinstance(order, Response):
            return order
        count = sum(_requeue(sandbox, space, order) for space in _spaces(sandbox))
        courier.wake()
        return JSONResponse({"requeued": count})

    async def get_network(_: Request) -> Response:
        return JSONResponse(courier.network.model_dump())

    async def set_network(request: Request) -> Response:
        network = await parsed(request, Network)
        if isinstance(network, Response):
            return network
        courier.configure(network)
        courier.wake()
        return JSONResponse(courier.network.model_dump())

    async def generate(request: Request) -> Response:
        order = await parsed(request, Order)
        if isinstance(order, Response):
            return order
        started = time.perf_counter()
        with sandbox.store.transaction():
            made = Generator(sandbox.context(order.livemode), order).run()
        return JSONResponse(made | {"seconds": round(time.perf_counter() - started, 3)})

    async def reset(_: Request) -> Response:
        sandbox.store.clear()
        sandbox.clock.reset()
        traffic.reset()
        courier.configure(Network())
        return JSONResponse({"reset": True})

    async def settle(_: Request) -> Response:
        """Answer once no delivery is due any more."""
        while any(_due(sandbox, space) for space in _spaces(sandbox)):
            await asyncio.sleep(0.01)
        return JSONResponse({"settled": True})

    return [
        Route("/_sandbox/mail", mail, methods=["GET"]),
        Route("/_sandbox/deliveries", deliveries, methods=["GET"]),
        Route("/_sandbox/deliveries/retry", retry, methods=["POST"]),
        Route("/_sandbox/deliveries/settle", settle, methods=["POST"]),
        Route("/_sandbox/webhooks", get_network, methods=["GET"]),
        Route("/_sandbox/webhooks", set_network, methods=["POST"]),
        Route("/_sandbox/generate", generate, methods=["POST"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
    ]


def _spaces(sandbox: Sandbox) -> list[Space]:
    return [sandbox.store.space(False), sandbox.store.space(True)]


def _listed(sandbox: Sandbox, kind: str, filters: dict[str, Any]) -> Response:
    """Return everything of a kind from both modes, newest first."""
    docs: list[Doc] = []
    for space in _spaces(sandbox):
        docs.extend(doc | {"livemode": space.livemode} for doc in space.find(kind, filters))
    docs.sort(key=lambda doc: doc["created"], reverse=True)
    return Response(orjson.dumps({"data": docs}), media_type="application/json")


def _requeue(sandbox: Sandbox, space: Space, order: RetryOrder) -> int:
    filters = {name: value for name in ("event", "endpoint") if (value := getattr(order, name))}
    chosen = [
        delivery
        for delivery in space.find("delivery", filters)
        if order.delivered_too or delivery["state"] != "delivered"
    ]
    for delivery in chosen:
        delivery |= {"state": "pending", "next_attempt": sandbox.clock.time()}
        space.update("delivery", delivery)
    return len(chosen)


def _due(sandbox: Sandbox, space: Space) -> bool:
    pending = space.find("delivery", {"state": "pending"})
    return any(delivery["next_attempt"] <= sandbox.clock.time() for delivery in pending)

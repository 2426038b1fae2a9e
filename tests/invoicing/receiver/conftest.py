"""A running receiver on each kind of ledger, and a Prefect API beside it."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pytest
import requests
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.local import waiting
from invoicing.receiver.app import build_app
from invoicing.receiver.server import listen, options
from invoicing.settings import settings
from sandbox.common.serve import running

PATIENCE_SECONDS = 120
SECRET = "whsec_test"
SNAPSHOT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "invoice.paid",
    "livemode": False,
    "created": 1764000000,
    "data": {"object": {"object": "invoice", "id": "in_1"}},
}
THIN: dict[str, Any] = {
    "id": "evt_2",
    "object": "v2.core.event",
    "type": "v1.invoice.paid",
    "livemode": False,
    "created": "2026-11-23T10:00:00.000Z",
    "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
}


class PrefectServer:
    """Prefect's REST API as whoever starts runs uses it, busy as often as told."""

    def __init__(self, flow: str = "handle-events") -> None:
        """No run of the flow was started yet."""
        self._flow = flow
        self.keys: list[str] = []
        self.asked = 0
        self.busy = 0

    def app(self) -> Starlette:
        """The two endpoints."""

        async def deployment(_request: Request) -> Response:
            return JSONResponse({"id": "d-1"})

        async def create(request: Request) -> Response:
            self.asked += 1
            if self.busy:
                self.busy -= 1
                return JSONResponse({}, status_code=503)
            key = (await request.json())["idempotency_key"]
            known = key in self.keys
            self.keys += [] if known else [key]
            return JSONResponse({"id": "r-1"}, status_code=200 if known else 201)

        path = f"/api/deployments/name/{self._flow}/{self._flow}"
        return Starlette(
            routes=[
                Route(path, deployment),
                Route("/api/deployments/d-1/create_flow_run", create, methods=["POST"]),
            ]
        )


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch, ledger_url: str) -> Iterator[PrefectServer]:
    """A Prefect API that the settings point at."""
    server = PrefectServer()
    with running(lambda _url: server.app()) as url:
        monkeypatch.setenv("PREFECT_API_URL", f"{url}/api")
        monkeypatch.setenv("INVOICING_STRIPE__WEBHOOK_SECRETS", f'["{SECRET}"]')
        settings.cache_clear()
        yield server


@pytest.fixture
def receiver(prefect: PrefectServer) -> Iterator[str]:
    """A running receiver; its URL."""
    with serving() as url:
        yield url


@contextmanager
def serving() -> Iterator[str]:
    """Serve the receiver of the settings in a thread, as a worker serves it; yields its URL."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(build_app(settings()), **options()))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def wait_until(happened: Callable[[], object]) -> None:
    """Wait for something."""
    waiting.eventually(happened, PATIENCE_SECONDS)


def event(number: int) -> dict[str, Any]:
    """One of many events."""
    return SNAPSHOT | {"id": f"evt_{number}"}


def deliver(
    url: str,
    body: dict[str, Any],
    secret: str = SECRET,
    *,
    path: str = "/webhooks/stripe",
    age: float = 0,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> requests.Response:
    """Post an event, signed some seconds ago as Stripe signs."""
    text = json.dumps(body)
    stamp = int(time.time() - age)
    signature = stripe.WebhookSignature.generate_signature_header(text, secret, stamp)
    given = {"Stripe-Signature": signature, "Content-Type": "application/json; charset=utf-8"}
    return requests.post(url + path, data=text, headers=given | dict(headers), timeout=60)

"""The webhook endpoint, spoken to as Stripe speaks to it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from invoicing.ledger import database, inbox
from invoicing.receiver.app import build_app
from invoicing.settings import settings
from sandbox.common.serve import running

SECRET = "whsec_test"
BODY = {
    "id": "evt_1",
    "object": "event",
    "type": "invoice.paid",
    "livemode": True,
    "created": 1764000000,
    "data": {"object": {"object": "invoice", "id": "in_1"}},
}
THIN = {
    "id": "evt_2",
    "object": "v2.core.event",
    "type": "v1.invoice.paid",
    "livemode": True,
    "created": "2026-11-23T10:00:00.000Z",
    "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
}


class PrefectServer:
    """Prefect's REST API as the receiver uses it, busy as often as told."""

    def __init__(self) -> None:
        """No run was started yet."""
        self.keys: list[str] = []
        self.busy = 0

    def app(self) -> Starlette:
        """The two endpoints."""

        async def deployment(_request: Request) -> Response:
            return JSONResponse({"id": "d-1"})

        async def create(request: Request) -> Response:
            if self.busy:
                self.busy -= 1
                return JSONResponse({}, status_code=503)
            self.keys.append((await request.json())["idempotency_key"])
            return JSONResponse({"id": "r-1"}, status_code=201)

        path = "/api/deployments/name/handle-events/handle-events"
        return Starlette(
            routes=[
                Route(path, deployment),
                Route("/api/deployments/d-1/create_flow_run", create, methods=["POST"]),
            ]
        )

    def wait_for_run(self) -> None:
        """Wait until a run was started."""
        deadline = time.monotonic() + 20
        while not self.keys and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.keys


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch, environment: None) -> Iterator[PrefectServer]:
    """A Prefect API that the settings point at."""
    server = PrefectServer()
    with running(lambda _url: server.app()) as url:
        monkeypatch.setenv("PREFECT_API_URL", f"{url}/api")
        settings.cache_clear()
        yield server


@pytest.fixture
def receiver(prefect: PrefectServer) -> Iterator[str]:
    """A running receiver; its URL."""
    with running(lambda _url: build_app(settings())) as url:
        yield url


def deliver(url: str, body: dict[str, Any], secret: str = SECRET) -> requests.Response:
    """Post an event, signed as Stripe signs."""
    text = json.dumps(body)
    signature = stripe.WebhookSignature.generate_signature_header(text, secret)
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    return requests.post(f"{url}/webhooks/stripe", data=text, headers=headers, timeout=30)


@pytest.mark.parametrize("body", [BODY, THIN], ids=["snapshot", "thin"])
def test_an_event_is_written_down_and_the_handler_started(
    receiver: str, prefect: PrefectServer, body: dict[str, Any]
) -> None:
    """Both of Stripe's shapes; twice delivered is once written."""
    assert deliver(receiver, body).json() == {"received": body["id"], "new": True}
    assert deliver(receiver, body).json() == {"received": body["id"], "new": False}
    assert inbox.backlog() == {"received": 1}
    assert inbox.claim("test", account_id="acct_1SandboxAcme", limit=1)[0].invoice_id == "in_1"
    prefect.wait_for_run()


def test_a_busy_prefect_is_asked_again(receiver: str, prefect: PrefectServer) -> None:
    """A 503 costs a moment, not an event."""
    prefect.busy = 2
    deliver(receiver, BODY)
    prefect.wait_for_run()
    assert len(prefect.keys) == 1


def test_a_forged_event_is_refused(receiver: str) -> None:
    """Nothing is written that Stripe did not sign."""
    answer = deliver(receiver, BODY, secret="whsec_other")
    assert answer.status_code == 400
    assert inbox.backlog() == {}


def test_an_event_of_another_mode_is_refused(receiver: str) -> None:
    """Test events never reach a live ledger."""
    answer = deliver(receiver, BODY | {"livemode": False})
    assert (answer.status_code, inbox.backlog()) == (400, {})
    assert "another account or mode" in answer.text


def test_a_ledger_that_is_away_makes_stripe_try_again(
    receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 and not 200: the event is Stripe's to repeat."""
    with database.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE event RENAME TO event_away")
    assert deliver(receiver, BODY).status_code == 503
    assert requests.get(f"{receiver}/ready", timeout=10).status_code == 503
    with database.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE event_away RENAME TO event")
    assert deliver(receiver, BODY).status_code == 200
    assert requests.get(f"{receiver}/ready", timeout=10).json()["inbox"] == {"received": 1}


def test_junk_is_refused(receiver: str) -> None:
    """A signed body that is no event, and one that is far too large."""
    assert deliver(receiver, {"object": "teapot"}).status_code == 400
    assert deliver(receiver, BODY | {"padding": "x" * 1_000_001}).status_code == 413

"""A running Stripe sandbox, the real SDK pointed at it, and an endpoint that receives webhooks."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.common.serve import running
from sandbox.stripe.app import make_app


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    """The sandbox, served once for all tests."""
    with running(make_app) as url:
        yield url


@pytest.fixture
def admin(base_url: str) -> Iterator[httpx.Client]:
    """The sandbox's own endpoints, on an empty account at the true time."""
    with httpx.Client(base_url=base_url, timeout=60) as client:
        client.post("/_sandbox/reset").raise_for_status()
        yield client


Connect = Callable[[str], stripe.StripeClient]


@pytest.fixture
def connect(admin: httpx.Client, base_url: str) -> Connect:
    """Make a client of the real SDK for a key."""
    addresses: Any = {"api": base_url, "connect": base_url, "files": base_url}

    def make(key: str) -> stripe.StripeClient:
        return stripe.StripeClient(
            key,
            base_addresses=addresses | {"meter_events": base_url},
            max_network_retries=0,
        )

    return make


@pytest.fixture
def live(connect: Connect) -> stripe.StripeClient:
    """A client in live mode, where mail is sent."""
    return connect("sk_live_sandbox")


@pytest.fixture
def test(connect: Connect) -> stripe.StripeClient:
    """A client in test mode."""
    return connect("sk_test_123")


@pytest.fixture
def customer(live: stripe.StripeClient) -> stripe.Customer:
    """A live customer with an address to mail to."""
    return live.v1.customers.create({"name": "Globex", "email": "pay@globex.example"})


MakeDraft = Callable[..., stripe.Invoice]


@pytest.fixture
def make_draft(live: stripe.StripeClient, customer: stripe.Customer) -> MakeDraft:
    """Make a draft to be sent, with one line of a given amount."""

    def make(amount: int | None = 10_000, currency: str = "usd", **params: Any) -> stripe.Invoice:
        params = {"collection_method": "send_invoice", "days_until_due": 30} | params
        params |= {"customer": customer.id, "currency": currency}
        invoice = live.v1.invoices.create(params)  # type: ignore[arg-type]
        if amount is None:
            return invoice
        return live.v1.invoices.add_lines(
            invoice.id, {"lines": [{"amount": amount, "description": "Consulting"}]}
        )

    return make


class Receiver:
    """A webhook endpoint that remembers what it was sent and answers as told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        self.status = 200
        self.url = ""

    async def receive(self, request: Request) -> Response:
        """Take a delivery."""
        self.bodies.append(await request.body())
        self.signatures.append(request.headers["stripe-signature"])
        return Response(status_code=self.status)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A listening webhook endpoint."""
    endpoint = Receiver()

    def app(url: str) -> Starlette:
        endpoint.url = f"{url}/webhooks"
        return Starlette(routes=[Route("/webhooks", endpoint.receive, methods=["POST"])])

    with running(app):
        yield endpoint

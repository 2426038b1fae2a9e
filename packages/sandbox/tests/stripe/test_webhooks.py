"""Events reach endpoints: signed, thin or whole, again if need be, and lost when told to be."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]


class Receiver:
    """What the fixture of that name gives."""

    bodies: list[bytes]
    signatures: list[str]
    status: int
    url: str


def settle(admin: httpx.Client) -> None:
    """Wait until nothing is due any more."""
    admin.post("/_sandbox/deliveries/settle").raise_for_status()


@pytest.fixture
def endpoint(live: stripe.StripeClient, receiver: Receiver) -> stripe.WebhookEndpoint:
    """The receiver, registered for what happens to customers."""
    return live.v1.webhook_endpoints.create(
        {"url": receiver.url, "enabled_events": ["customer.created", "customer.updated"]}
    )


def test_signed_as_stripe_signs(
    live: stripe.StripeClient,
    admin: httpx.Client,
    endpoint: stripe.WebhookEndpoint,
    receiver: Receiver,
) -> None:
    """The SDK verifies what arrives."""
    customer = live.v1.customers.create({"name": "Globex"})
    live.v1.products.create({"name": "not listened to"})
    live.v1.customers.update(customer.id, {"name": "Globex 2"})
    settle(admin)
    assert endpoint.secret
    events = [
        stripe.Webhook.construct_event(body, signature, endpoint.secret)
        for body, signature in zip(receiver.bodies, receiver.signatures, strict=True)
    ]
    assert [event.type for event in events] == ["customer.created", "customer.updated"]
    assert events[0].data.object["id"] == customer.id
    assert events[1].data.previous_attributes
    assert events[1].data.previous_attributes.to_dict() == {"name": "Globex"}
    assert live.v1.events.retrieve(events[0].id).pending_webhooks == 0
    assert live.v1.webhook_endpoints.retrieve(endpoint.id).to_dict().get("secret") is None


def test_retried_with_growing_delays(
    live: stripe.StripeClient,
    admin: httpx.Client,
    endpoint: stripe.WebhookEndpoint,
    receiver: Receiver,
) -> None:
    """A failed delivery comes again, later and later, or when asked for."""
    receiver.status = 500
    live.v1.customers.create({"name": "Globex"})
    settle(admin)
    assert len(receiver.bodies) == 1
    assert len(live.v1.events.list({"delivery_success": False}).data) == 1

    admin.post("/_sandbox/clock", json={"advance": 301})
    settle(admin)
    assert len(receiver.bodies) == 2
    admin.post("/_sandbox/clock", json={"advance": 301})
    settle(admin)
    assert len(receiver.bodies) == 2

    receiver.status = 200
    admin.post("/_sandbox/deliveries/retry", json={})
    settle(admin)
    assert len(receiver.bodies) == 3
    assert live.v1.events.list({"delivery_success": False}).data == []


def test_network_down_and_back(
    live: stripe.StripeClient,
    admin: httpx.Client,
    endpoint: stripe.WebhookEndpoint,
    receiver: Receiver,
) -> None:
    """Events happen while nothing is delivered."""
    admin.post("/_sandbox/webhooks", json={"enabled": False})
    live.v1.customers.create({"name": "Globex"})
    settle(admin)
    assert receiver.bodies == []
    (missed,) = live.v1.events.list({"delivery_success": False}).data
    assert missed.type == "customer.created"
    admin.post("/_sandbox/webhooks", json={"enabled": True})
    admin.post("/_sandbox/deliveries/retry", json={"event": missed.id})
    settle(admin)
    assert len(receiver.bodies) == 1


def test_lost_for_ever_and_duplicated(
    live: stripe.StripeClient,
    admin: httpx.Client,
    endpoint: stripe.WebhookEndpoint,
    receiver: Receiver,
) -> None:
    """The network can lose a delivery, or make it twice."""
    admin.post("/_sandbox/webhooks", json={"enabled": False, "drop": True})
    live.v1.customers.create({"name": "Globex"})
    settle(admin)
    assert admin.get("/_sandbox/deliveries").json()["data"][0]["state"] == "lost"
    admin.post("/_sandbox/webhooks", json={"duplicate": 1.0})
    live.v1.customers.create({"name": "Globex"})
    settle(admin)
    assert len(receiver.bodies) == 2
    assert receiver.bodies[0] == receiver.bodies[1]


def test_a_disabled_endpoint_hears_nothing(
    live: stripe.StripeClient,
    admin: httpx.Client,
    endpoint: stripe.WebhookEndpoint,
    receiver: Receiver,
) -> None:
    """Nothing is sent to a disabled endpoint."""
    live.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    live.v1.customers.create({"name": "Globex"})
    settle(admin)
    assert receiver.bodies == []


def test_events_are_kept_thirty_days(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """Older events can neither be listed nor retrieved."""
    live.v1.customers.create({"name": "Globex"})
    (event,) = live.v1.events.list().data
    admin.post("/_sandbox/clock", json={"advance": 31 * 24 * 3600})
    assert live.v1.events.list().data == []
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.events.retrieve(event.id)


def test_events_are_listed_by_type(live: stripe.StripeClient) -> None:
    """One type, a group, or several."""
    live.v1.customers.create({"name": "Globex"})
    live.v1.products.create({"name": "Widget"})

    def types(**params: Any) -> list[str]:
        return [event.type for event in live.v1.events.list(params).data]  # type: ignore[arg-type]

    assert types(type="customer.created") == ["customer.created"]
    assert types(type="customer.*") == ["customer.created"]
    assert types(types=["product.created", "price.created"]) == ["product.created"]
    assert types(created={"gt": int(time.time()) + 3600}) == []


Order = Callable[..., None]


@pytest.fixture
def order(admin: httpx.Client) -> Order:
    """Order one fault on the creation of customers."""

    def place(**rule: Any) -> None:
        rule = {"path": "/v1/customers", "method": "POST", "count": 1} | rule
        admin.post("/_sandbox/faults", json={"rules": [rule]}).raise_for_status()

    return place


@pytest.mark.parametrize(
    ("rule", "error", "effects"),
    [
        ({"kind": "refuse", "status": 429}, stripe.RateLimitError, 0),
        ({"kind": "refuse", "status": 503}, stripe.APIError, 0),
        ({"kind": "fail_after", "status": 500}, stripe.APIError, 1),
        ({"kind": "lost"}, stripe.APIConnectionError, 1),
        ({"kind": "reset"}, stripe.APIConnectionError, 0),
        ({"kind": "timeout", "seconds": 0.05}, stripe.APIConnectionError, 0),
        ({"kind": "malformed"}, stripe.APIError, 1),
    ],
)
def test_trouble_before_and_after_the_effect(
    live: stripe.StripeClient,
    admin: httpx.Client,
    order: Order,
    rule: dict[str, Any],
    error: type[Exception],
    effects: int,
) -> None:
    """Each fault is seen by the client, and its effect is there or not."""
    order(**rule)
    with pytest.raises(error):
        live.v1.customers.create({"name": "Globex"})
    assert len(live.v1.customers.list().data) == effects
    logged = admin.get("/_sandbox/requests", params={"fault": rule["kind"]}).json()
    assert logged["count"] == 1
    assert logged["requests"][0]["idempotency_key"]


def test_slow_answers_arrive(live: stripe.StripeClient, order: Order) -> None:
    """Latency and dribbling bodies only take time."""
    order(kind="slow_body", seconds=0.05)
    assert live.v1.customers.create({"name": "Globex"}).name == "Globex"
    order(kind="latency", seconds=0.01, seconds_max=0.02)
    assert live.v1.customers.create({"name": "Globex"}).name == "Globex"


def test_thin_events(
    live: stripe.StripeClient, admin: httpx.Client, receiver: Receiver, make_draft: MakeDraft
) -> None:
    """The SDK parses the notification, fetches the event and the invoice."""
    destination = live.v2.core.event_destinations.create(
        {
            "name": "thin",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": ["v1.invoice.paid"],
            "webhook_endpoint": {"url": receiver.url},
            "include": ["webhook_endpoint.signing_secret"],
        }
    )
    assert destination.webhook_endpoint
    secret = destination.webhook_endpoint.signing_secret
    paid = live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"})
    admin.post("/_sandbox/deliveries/settle")

    (body,) = receiver.bodies
    notification = live.parse_event_notification(body, receiver.signatures[0], secret)
    assert isinstance(notification, stripe.events.V1InvoicePaidEventNotification)
    assert notification.related_object.id == paid.id
    assert notification.fetch_related_object().status == "paid"
    event = notification.fetch_event()
    snapshot = live.v1.events.retrieve(str(event.snapshot_event))
    assert snapshot.type == "invoice.paid"
    types = [item.type for item in live.v2.core.events.list({"object_id": paid.id}).data]
    assert types[0] == "v1.invoice.paid" or "v1.invoice.paid" in types
    assert "v1.invoice.line_item_added" in types


def test_v2_lists_link_their_pages(live: stripe.StripeClient) -> None:
    """All thin events can be walked through."""
    for number in range(5):
        live.v1.customers.create({"name": str(number)})
    events = live.v2.core.events.list({"limit": 2})
    assert len(list(events.auto_paging_iter())) == 5


def test_an_endpoint_of_an_older_version(
    live: stripe.StripeClient, admin: httpx.Client, receiver: Receiver, make_draft: MakeDraft
) -> None:
    """Before basil an invoice says paid, and knows nothing of its parent."""
    live.v1.webhook_endpoints.create(
        {
            "url": receiver.url,
            "enabled_events": ["invoice.paid"],
            "api_version": "2024-06-20",
        }
    )
    live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"})
    admin.post("/_sandbox/deliveries/settle")
    event = json.loads(receiver.bodies[0])
    assert event["api_version"] == "2024-06-20"
    assert event["data"]["object"]["paid"] is True
    assert "parent" not in event["data"]["object"]

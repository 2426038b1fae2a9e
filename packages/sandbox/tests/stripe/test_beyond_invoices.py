"""Thin events, search, rate limits, older API versions, response shapes, generated data."""

import json
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
    url: str


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


def test_search_lags(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """What was just created is found a minute later."""
    made = live.v1.customers.create(
        {"name": "Globex", "email": "a@globex.example", "metadata": {"salesforce_id": "001"}}
    )
    live.v1.customers.create({"name": "Initech", "metadata": {"salesforce_id": "002"}})

    def found(query: str) -> list[str]:
        return [customer.id for customer in live.v1.customers.search({"query": query}).data]

    assert found("metadata['salesforce_id']:'001'") == []
    admin.post("/_sandbox/clock", json={"advance": 61})
    assert found("metadata['salesforce_id']:'001'") == [made.id]
    assert found('name:"globex"') == [made.id]
    assert found('email~"glob" AND -name:"Initech"') == [made.id]
    assert len(found('name:"Globex" OR name:"Initech"')) == 2
    assert len(found("created>0")) == 2
    with pytest.raises(stripe.InvalidRequestError):
        found("shoe_size:44")
    with pytest.raises(stripe.InvalidRequestError):
        found("nonsense")


def test_rate_limits_say_which(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """Switched on, the third call of an operation within a second is too much."""
    limits = {"enabled": True, "operation": 2}
    admin.post("/_sandbox/settings", json={"rate_limits": limits}).raise_for_status()

    def hurry() -> None:
        for _ in range(20):
            live.v1.customers.list()

    with pytest.raises(stripe.RateLimitError) as refusal:
        hurry()
    assert refusal.value.headers
    assert refusal.value.headers["stripe-rate-limited-reason"] == "endpoint-rate"


def test_drafts_that_advance_by_themselves(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """An hour after it was made, an advancing draft is finalized and mailed; others stay."""
    advancing, staying = make_draft(auto_advance=True), make_draft()
    scheduled = make_draft(automatically_finalizes_at=advancing.created + 7_200)
    admin.post("/_sandbox/clock", json={"advance": 3_601})
    admin.post("/_sandbox/deliveries/settle")
    assert live.v1.invoices.retrieve(advancing.id).status == "open"
    assert live.v1.invoices.retrieve(scheduled.id).status == "draft"
    assert len(admin.get("/_sandbox/mail").json()["data"]) == 1
    admin.post("/_sandbox/clock", json={"advance": 3_600})
    admin.post("/_sandbox/deliveries/settle")
    assert live.v1.invoices.retrieve(scheduled.id).status == "open"
    assert live.v1.invoices.retrieve(staying.id).status == "draft"


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


def required(shape: Any) -> set[str]:
    """The fields an SDK class always has."""
    return {
        name
        for name, hint in shape.__annotations__.items()
        if "Optional" not in str(hint)
        and "NoneType" not in str(hint)
        and "None" not in str(hint)
        and name != "OBJECT_NAME"
    }


def test_answers_have_the_fields_the_sdk_promises(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """Every required field of the SDK's class is there, on every kind of object."""
    paid = live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"})
    note = live.v1.credit_notes.create({"invoice": paid.id, "amount": 100, "refund_amount": 100})
    live.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    live.v1.coupons.create({"percent_off": 5})
    live.v1.products.create(
        {"name": "Widget", "default_price_data": {"currency": "usd", "unit_amount": 1}}
    )
    live.v1.webhook_endpoints.create({"url": "https://a.example", "enabled_events": ["*"]})
    answers: list[Any] = [
        paid,
        note,
        paid.lines.data[0],
        note.lines.data[0],
        live.v1.customers.retrieve(str(paid.customer)),
    ]
    services: Any = live.v1
    listed = (
        "invoice_items",
        "invoice_payments",
        "payment_intents",
        "charges",
        "refunds",
        "tax_rates",
        "coupons",
        "products",
        "prices",
        "webhook_endpoints",
        "events",
    )
    answers += [getattr(services, name).list({"limit": 1}).data[0] for name in listed]
    for answer in answers:
        assert required(type(answer)) - set(answer.to_dict()) == set(), type(answer).__name__


def test_the_invoice_has_left_the_past_behind(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """None of the fields that basil removed is there, and only the SDK's are."""
    paid = live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"}).to_dict()
    assert set(paid) <= set(stripe.Invoice.__annotations__)
    assert not {"paid", "charge", "payment_intent", "subscription", "tax", "quote"} & set(paid)


def test_a_generated_data_set(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """Any number of invoices in all states, the same for the same seed."""
    order = {
        "seed": 7,
        "customers": 20,
        "invoices": 500,
        "invoice_metadata": {"salesforce_id": "a01{n:015d}"},
    }
    made = admin.post("/_sandbox/generate", json=order).json()
    assert (made["customers"], made["invoices"]) == (20, 500)
    invoices = list(live.v1.invoices.list({"limit": 100}).auto_paging_iter())
    assert len(invoices) == 500
    assert {invoice.status for invoice in invoices} == {
        "draft",
        "open",
        "paid",
        "void",
        "uncollectible",
    }
    for invoice in invoices:
        assert invoice.total == sum(line.amount for line in invoice.lines.data)
        assert invoice.amount_remaining == invoice.amount_due - invoice.amount_paid
    assert invoices[-1].to_dict()["metadata"] == {"salesforce_id": "a01000000000000000"}

    draft = next(invoice for invoice in invoices if invoice.status == "draft")
    line = draft.lines.data[0]
    changed = live.v1.invoices.update_lines(draft.id, {"lines": [{"id": line.id, "amount": 5}]})
    assert changed.total == draft.total - line.amount + 5
    assert live.v1.invoices.send_invoice(draft.id).status == "open"

    twice = admin.post("/_sandbox/generate", json=order)
    assert (twice.status_code, "another seed" in twice.text) == (409, True)
    admin.post("/_sandbox/reset")
    admin.post("/_sandbox/generate", json=order)
    again = live.v1.invoices.list({"limit": 100}).data
    totals = [invoice.total for invoice in invoices[:100]]
    assert [invoice.total for invoice in again] == totals

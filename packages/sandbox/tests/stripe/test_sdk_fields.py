"""What an answer has: the fields that the SDK's classes promise, and none that are gone."""

from collections.abc import Callable
from typing import Any

import stripe

MakeDraft = Callable[..., stripe.Invoice]


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

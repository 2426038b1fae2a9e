"""An event only notifies that an object changed; this parses what it is about.

Both of Stripe's shapes are understood: snapshot events (``object: event``), which carry the
object, and thin events (``object: v2.core.event``), which name it.
Sources: https://docs.stripe.com/api/events and https://docs.stripe.com/event-destinations
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from invoicing.domain.model.status import Status
from invoicing.domain.stripe.payment_facts import PaymentName, payment_name
from invoicing.domain.stripe.resources import StripeInvoice
from invoicing.typed_answers import convert

HANDLED_TYPES = (
    "invoice.created",
    "invoice.updated",
    "invoice.deleted",
    "invoice.finalized",
    "invoice.finalization_failed",
    "invoice.sent",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.overpaid",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice_payment.paid",
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "customer.updated",
    "customer.deleted",
)
"""The types that move an invoice, its payments or its customer."""

PAYMENT_TYPES = (
    "charge.refunded",
    "charge.dispute.",
    "refund.",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
)
"""Beginnings of the types that concern an invoice by its payment, which alone names it."""

PAYMENT_DETAIL_TYPES = (
    *PAYMENT_TYPES,
    "credit_note.",
    "invoice.payment_failed",
    "invoice.payment_action_required",
)
"""Beginnings of the types after which an invoice's payments must be read too."""


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event reduced to which object changed, when, and which invoice that concerns."""

    event_id: str
    type: str
    livemode: bool
    occurred_at: datetime
    account_id: str | None
    object_id: str | None
    invoice_id: str | None
    customer_id: str | None = None


def names_a_payment(event_type: str) -> bool:
    """Whether an event's invoice, if there is one, is found by the payment that it names."""
    return event_type.removeprefix("v1.").startswith(PAYMENT_TYPES)


def concerns_payments(event_type: str) -> bool:
    """Whether refunds, disputes and attempts to pay must be read to know what happened."""
    return event_type.removeprefix("v1.").startswith(PAYMENT_DETAIL_TYPES)


def is_of_customer(event_type: str) -> bool:
    """Whether an event is about a customer by itself."""
    return event_type.removeprefix("v1.") in ("customer.updated", "customer.deleted")


def payment_of(thing: Mapping[str, Any]) -> PaymentName | None:
    """The payment that a refund, dispute, charge or intent belongs to."""
    kind = thing.get("object")
    intent = thing if kind == "payment_intent" else thing.get("payment_intent")
    return payment_name(intent, thing if kind == "charge" else thing.get("charge"))


def parse_event(event: Mapping[str, Any]) -> EventSummary:
    """Reduce an event of either shape to what it is about.

    Raises:
        KeyError, TypeError, ValueError: the body is not an event of Stripe.
    """
    if event["object"] == "v2.core.event":
        about = event.get("related_object") or {}
        invoice = about.get("id") if about.get("type") == "invoice" else None
        when = datetime.fromisoformat(event["created"])
        account, object_id, customer = event.get("context"), about.get("id"), None
    elif event["object"] == "event":
        snapshot = event["data"]["object"]
        invoice = invoice_of(snapshot)
        when = datetime.fromtimestamp(event["created"], UTC)
        account, object_id = event.get("account"), snapshot.get("id")
        customer = snapshot.get("customer")
    else:
        raise ValueError(f"{event['object']!r} is not an event")
    return EventSummary(
        event_id=event["id"],
        type=event["type"],
        livemode=event["livemode"],
        occurred_at=when,
        account_id=account,
        object_id=object_id,
        invoice_id=invoice,
        customer_id=customer if isinstance(customer, str) else None,
    )


def invoice_snapshot(event: Mapping[str, Any], api_version: str) -> StripeInvoice | None:
    """The invoice inside a snapshot event, if it is rendered whole, at an API version."""
    invoice = _invoice_in(event)
    if not invoice or event.get("api_version") != api_version:
        return None
    with suppress(msgspec.ValidationError):
        return convert(invoice, StripeInvoice)
    return None


STATUS_BY_TYPE = {
    "invoice.finalized": Status.OPEN,
    "invoice.sent": Status.OPEN,
    "invoice.paid": Status.PAID,
    "invoice.payment_succeeded": Status.PAID,
    "invoice.voided": Status.VOID,
    "invoice.marked_uncollectible": Status.UNCOLLECTIBLE,
}
"""What the type alone says of an invoice, for events that do not carry it."""


def status_said(event: Mapping[str, Any]) -> Status | None:
    """The status of an invoice by an event about it; None where it does not say."""
    if status := _invoice_in(event).get("status"):
        return Status.of_stripe(status)
    return STATUS_BY_TYPE.get(event["type"].removeprefix("v1."))


NAMES = {"customer": ("name", "email"), "invoice": ("customer_name", "customer_email")}
"""Where objects name their customer."""


def customer_names(event: Mapping[str, Any]) -> set[str]:
    """Names and e-mail addresses of the customer that an event is about, those before it as well.

    Somebody else who paid is not among them.
    """
    data = event["data"] if event.get("object") == "event" else {}
    snapshot, before = data.get("object", {}), data.get("previous_attributes") or {}
    fields = NAMES.get(snapshot.get("object"), ())
    return {name for each in (snapshot, before) for field in fields if (name := each.get(field))}


def _invoice_in(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The invoice that a snapshot event carries; empty for any other event."""
    snapshot = event["data"]["object"] if event.get("object") == "event" else {}
    return snapshot if snapshot.get("object") == "invoice" else {}


def invoice_of(snapshot: Mapping[str, Any]) -> str | None:
    """The invoice that an object of Stripe is, or names."""
    if snapshot.get("object") == "invoice":
        return snapshot.get("id")
    named = snapshot.get("invoice")
    return named if isinstance(named, str) else None

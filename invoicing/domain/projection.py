"""What Stripe says of an invoice, in the words of the Salesforce record.

Pure functions: the same Stripe invoice on the same day always gives the same projection.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from invoicing.domain.calendar import local_date, moment
from invoicing.domain.money import Money
from invoicing.domain.status import PaymentState, Status

ORG_KEY = "salesforce_org_id"
RECORD_KEY = "salesforce_invoice_id"
ACCOUNT_KEY = "salesforce_account_id"
LINE_KEY = "salesforce_line_key"


@dataclass(frozen=True, slots=True)
class Projection:
    """The Stripe side of an invoice record. Dates are the business's, instants are UTC."""

    stripe_id: str
    status: Status
    currency: str
    customer_id: str | None = None
    record_id: str | None = None
    account_id: str | None = None
    org_id: str | None = None
    livemode: bool = False
    payment_state: PaymentState = PaymentState.UNPAID
    overdue: bool = False
    number: str | None = None
    description: str | None = None
    due_date: date | None = None
    hosted_invoice_url: str | None = None
    invoice_pdf: str | None = None
    subtotal: Money | None = None
    tax: Money | None = None
    total: Money | None = None
    amount_due: Money | None = None
    amount_paid: Money | None = None
    amount_remaining: Money | None = None
    finalized_at: datetime | None = None
    paid_at: datetime | None = None
    voided_at: datetime | None = None
    uncollectible_at: datetime | None = None

    @property
    def digest(self) -> str:
        """A fingerprint of what Stripe says, whatever day it is."""
        facts = astuple(replace(self, overdue=False))
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def payment_state(invoice: Mapping[str, Any]) -> PaymentState:
    """Where the money stands, from the invoice alone.

    Since API 2025-03-31 ``amount_paid`` includes payments out of band, and over-payment
    is its own field: https://docs.stripe.com/changelog/basil
    """
    if invoice.get("amount_overpaid"):
        return PaymentState.OVERPAID
    if invoice["status"] == "paid":
        return PaymentState.PAID
    return PaymentState.PARTLY_PAID if invoice["amount_paid"] else PaymentState.UNPAID


def is_overdue(due: int, *, today: date, zone: ZoneInfo) -> bool:
    """Whether an open invoice that is due at a Unix time is overdue on a business day."""
    return local_date(due, zone) < today


FACTS = (
    "id",
    "status",
    "currency",
    "customer",
    "livemode",
    "metadata",
    "number",
    "description",
    "due_date",
    "hosted_invoice_url",
    "invoice_pdf",
    "subtotal",
    "total_taxes",
    "total",
    "amount_due",
    "amount_paid",
    "amount_remaining",
    "amount_overpaid",
    "status_transitions",
)
"""All of an invoice that its projection looks at."""


def project(invoice: Mapping[str, Any], *, today: date, zone: ZoneInfo) -> Projection:
    """Project Stripe's invoice object.

    Args:
        invoice: The object as Stripe's API renders it at our pinned version.
        today: The business's local date, which decides what is overdue.
        zone: The business's time zone.
    """
    currency = str(invoice["currency"]).upper()
    metadata = invoice.get("metadata") or {}
    times = invoice.get("status_transitions") or {}
    status = Status.of_stripe(invoice["status"])
    due = None if invoice.get("due_date") is None else local_date(invoice["due_date"], zone)

    def money(minor: int) -> Money:
        return Money(currency, minor)

    return Projection(
        stripe_id=invoice["id"],
        status=status,
        currency=currency,
        customer_id=invoice.get("customer"),
        record_id=metadata.get(RECORD_KEY),
        account_id=metadata.get(ACCOUNT_KEY),
        org_id=metadata.get(ORG_KEY),
        livemode=invoice["livemode"],
        payment_state=payment_state(invoice),
        overdue=status is Status.OPEN and due is not None and due < today,
        number=invoice.get("number"),
        description=invoice.get("description"),
        due_date=due,
        hosted_invoice_url=invoice.get("hosted_invoice_url"),
        invoice_pdf=invoice.get("invoice_pdf"),
        subtotal=money(invoice["subtotal"]),
        tax=money(sum(tax["amount"] for tax in invoice.get("total_taxes") or ())),
        total=money(invoice["total"]),
        amount_due=money(invoice["amount_due"]),
        amount_paid=money(invoice["amount_paid"]),
        amount_remaining=money(invoice["amount_remaining"]),
        finalized_at=moment(times.get("finalized_at")),
        paid_at=moment(times.get("paid_at")),
        voided_at=moment(times.get("voided_at")),
        uncollectible_at=moment(times.get("marked_uncollectible_at")),
    )


def tombstone(stripe_id: str) -> Projection:
    """The projection of an invoice that no longer exists in Stripe: its draft was deleted."""
    return Projection(stripe_id=stripe_id, status=Status.DELETED, currency="")

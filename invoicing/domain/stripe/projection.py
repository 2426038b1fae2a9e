"""An invoice of Stripe in the fields of the Salesforce record.

Pure functions: the same Stripe invoice on the same day always gives the same projection.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import attrgetter
from zoneinfo import ZoneInfo

from invoicing.domain.model.dates import local_date, moment
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice_details import PO_NUMBER, Collection, CustomField
from invoicing.domain.model.money import Money
from invoicing.domain.model.record_ids import same_id
from invoicing.domain.model.status import PaymentState, Status
from invoicing.domain.stripe.canonical_page_links import page_of
from invoicing.domain.stripe.payment_facts import NO_PAYMENT_FACTS, PaymentFacts
from invoicing.domain.stripe.resources import StripeInvoice

ORG_KEY = "salesforce_org_id"
RECORD_KEY = "salesforce_invoice_id"
ACCOUNT_KEY = "salesforce_account_id"
LINE_KEY = "salesforce_line_key"
REPLACES_KEY = "salesforce_replaces"
"""Metadata of a replacement that we made: the invoice whose place it takes."""

UNPAID_STATUSES = ("open", "uncollectible")
"""Stripe's statuses of an invoice that can still be paid."""

COLLECTIONS = {"send_invoice": Collection.SEND, "charge_automatically": Collection.CHARGE}


@dataclass(frozen=True, slots=True)
class Projection:
    """The Stripe side of an invoice record. Dates are the business's, instants are UTC."""

    stripe_id: str
    status: Status
    currency: str
    customer_id: str | None = None
    record_id: str | None = None
    replaces: str | None = None
    account_id: str | None = None
    org_id: str | None = None
    livemode: bool = False
    payment_state: PaymentState = PaymentState.UNPAID
    overdue: bool = False
    number: str | None = None
    description: str | None = None
    due_date: date | None = None
    collection: Collection = Collection.SEND
    footer: str | None = None
    custom_fields: tuple[CustomField, ...] = ()
    hosted_invoice_url: str | None = None
    invoice_pdf: str | None = None
    subtotal: Money | None = None
    discounted: Money | None = None
    tax: Money | None = None
    total: Money | None = None
    amount_due: Money | None = None
    amount_paid: Money | None = None
    amount_remaining: Money | None = None
    credited: Money | None = None
    overpaid: Money | None = None
    refunded: Money | None = None
    disputed: Money | None = None
    dispute_status: str | None = None
    payment_problem: str | None = None
    finalized_at: datetime | None = None
    paid_at: datetime | None = None
    voided_at: datetime | None = None
    uncollectible_at: datetime | None = None

    @property
    def po_number(self) -> str | None:
        """The PO number, which is one of Stripe's custom fields."""
        return next((one.value for one in self.custom_fields if one.name == PO_NUMBER), None)

    @property
    def other_custom_fields(self) -> tuple[CustomField, ...]:
        """The custom fields without the PO number."""
        return tuple(one for one in self.custom_fields if one.name != PO_NUMBER)

    @property
    def digest(self) -> str:
        """A fingerprint of what Stripe's invoice says by itself, whatever day it is."""
        pages = (page_of(self.hosted_invoice_url or ""), page_of(self.invoice_pdf or ""))
        return fingerprint(*pages, *_OF_ITSELF(self))


_OF_ITSELF = attrgetter(
    *(
        field.name
        for field in fields(Projection)
        if field.name
        not in (
            *("hosted_invoice_url", "invoice_pdf", "overdue", "payment_state", "refunded"),
            *("disputed", "dispute_status", "payment_problem"),
        )
    )
)
"""What an invoice says whatever day it is and whatever came of its payments, pages left out."""


def payment_state(invoice: StripeInvoice, known: PaymentFacts = NO_PAYMENT_FACTS) -> PaymentState:
    """Where the money stands, from the invoice and what is known of its payments.

    Since API 2025-03-31 ``amount_paid`` includes payments out of band, and over-payment
    is its own field: https://docs.stripe.com/changelog/basil
    """
    if known.disputed:
        return PaymentState.DISPUTED
    if known.under_way and invoice["status"] in UNPAID_STATUSES:
        return PaymentState.PROCESSING
    excess = min(known.unnoted, invoice["amount_overpaid"])
    back = known.refunded - excess + known.out_of_band
    if back:
        whole = back >= invoice["amount_paid"]
        return PaymentState.REFUNDED if whole else PaymentState.PARTLY_REFUNDED
    if invoice["amount_overpaid"] > excess:
        return PaymentState.OVERPAID
    if invoice["status"] == "paid":
        return PaymentState.PAID
    return PaymentState.PARTLY_PAID if invoice["amount_paid"] else PaymentState.UNPAID


def given_twice(invoice: StripeInvoice, known: PaymentFacts) -> int:
    """What went back twice or beyond what the invoice brought in, in minor units.

    What was paid too much stands on the customer's balance already (the SDK's docstring of
    ``Invoice.amount_overpaid``); so does what was credited to it. Whatever else of that is refunded
    or lost is given a second time, unless a credit note says what it is for.
    """
    on_balance = invoice["amount_overpaid"] + known.on_balance
    beyond = known.refunded + known.lost + known.on_balance
    beyond -= max(invoice["total"], invoice["amount_paid"])
    return max(0, beyond, min(known.unnoted + known.lost, on_balance))


def _payment_problem(invoice: StripeInvoice, currency: str, known: PaymentFacts) -> str | None:
    """What is wrong with an invoice's payments, in words."""
    twice = given_twice(invoice, known)
    if known.failed_refunds and not twice:
        return (
            f"{Money(currency, known.failed_refunds)} that a credit note says is refunded never "
            "arrived: the bank returned it, and it is with you. Pay it back another way, or refund "
            "it in Stripe once more."
        )
    if not twice:
        return known.problem or None if invoice["status"] in UNPAID_STATUSES else None
    on_balance = invoice["amount_overpaid"] + known.on_balance
    amounts = {
        "on the customer's balance": on_balance,
        "by a refund": known.refunded,
        "by a lost dispute": known.lost,
    }
    ways = [way for way, amount in amounts.items() if amount]
    what = "take it off the customer's balance in Stripe" if on_balance else "ask for it back"
    return (
        f"{Money(currency, twice)} went back twice: {' and '.join(ways)}. "
        f"If nobody meant that, {what}."
    )


def is_same_org(org_id: str | None, org: str) -> bool:
    """Whether an org's id, of 15 or 18 characters, is that of an org."""
    return same_id(org_id or "", org)


def replaced(invoice: StripeInvoice) -> str | None:
    """The Stripe invoice that one replaces, if it replaces any."""
    origin = invoice["from_invoice"]
    return origin["invoice"] if origin else None


def named_record(invoice: StripeInvoice) -> str | None:
    """The Salesforce record that an invoice says it is of.

    A replacement begins with the metadata of the invoice it replaces. Unless we made it, the record
    named there is that of the other.
    """
    metadata = invoice["metadata"] or {}
    return metadata.get(RECORD_KEY) if replaced(invoice) == metadata.get(REPLACES_KEY) else None


def record_in_org(invoice: StripeInvoice, org: str) -> str | None:
    """The record of an org that an invoice says it is of."""
    metadata = invoice["metadata"] or {}
    return named_record(invoice) if is_same_org(metadata.get(ORG_KEY), org) else None


def credited(invoice: StripeInvoice) -> int:
    """Sum of an invoice's credit notes, before and after it was paid, in minor units."""
    before = invoice["pre_payment_credit_notes_amount"]
    return before + invoice["post_payment_credit_notes_amount"]


def project(
    invoice: StripeInvoice,
    *,
    today: date,
    zone: ZoneInfo,
    known: PaymentFacts = NO_PAYMENT_FACTS,
) -> Projection:
    """Project Stripe's invoice object.

    Args:
        invoice: The object as Stripe's API renders it at our pinned version.
        today: The business's local date, which decides what is overdue.
        zone: The business's time zone.
        known: What is known of its payments beyond that.
    """
    currency = invoice["currency"].upper()
    metadata = invoice["metadata"] or {}
    times = invoice["status_transitions"]
    status = Status.of_stripe(invoice["status"])
    due = None if invoice["due_date"] is None else local_date(invoice["due_date"], zone)

    def money(minor: int) -> Money:
        return Money(currency, minor)

    def some(minor: int | None) -> Money | None:
        return money(minor) if minor else None

    state = payment_state(invoice, known)
    late = status is Status.OPEN and due is not None and due < today

    return Projection(
        stripe_id=invoice["id"],
        status=status,
        currency=currency,
        customer_id=invoice["customer"],
        record_id=named_record(invoice),
        replaces=replaced(invoice),
        account_id=metadata.get(ACCOUNT_KEY),
        org_id=metadata.get(ORG_KEY),
        livemode=invoice["livemode"],
        payment_state=state,
        overdue=late and state is not PaymentState.PROCESSING,
        number=invoice["number"],
        description=invoice["description"],
        due_date=due,
        collection=COLLECTIONS[invoice["collection_method"]],
        footer=invoice["footer"],
        custom_fields=tuple(
            CustomField(one["name"], one["value"]) for one in invoice["custom_fields"] or ()
        ),
        hosted_invoice_url=invoice.get("hosted_invoice_url"),
        invoice_pdf=invoice.get("invoice_pdf"),
        subtotal=money(invoice["subtotal"]),
        discounted=some(sum(off["amount"] for off in invoice["total_discount_amounts"] or ())),
        tax=money(sum(tax["amount"] for tax in invoice["total_taxes"] or ())),
        total=money(invoice["total"]),
        amount_due=money(invoice["amount_due"]),
        amount_paid=money(invoice["amount_paid"]),
        amount_remaining=money(invoice["amount_remaining"]),
        credited=some(credited(invoice)),
        overpaid=some(invoice["amount_overpaid"]),
        refunded=some(known.refunded),
        disputed=some(known.disputed),
        dispute_status=known.dispute_status or None,
        payment_problem=_payment_problem(invoice, currency, known),
        finalized_at=moment(times["finalized_at"]),
        paid_at=moment(times["paid_at"]),
        voided_at=moment(times["voided_at"]),
        uncollectible_at=moment(times["marked_uncollectible_at"]),
    )


def tombstone(stripe_id: str) -> Projection:
    """The projection of an invoice that no longer exists in Stripe: its draft was deleted."""
    return Projection(stripe_id=stripe_id, status=Status.DELETED, currency="")

"""Rows of a full sync: an invoice of either side, until both are compared.

Pure, and made for a million rows: the columns are computed directly here, without the objects
that a projection consists of; a test holds them to it. Amounts are minor units.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from invoicing.domain.model.money import to_minor
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.projection import (
    ACCOUNT_KEY,
    ORG_KEY,
    credited,
    is_same_org,
    named_record,
    payment_state,
)
from invoicing.domain.stripe.resources import ListedInvoice

STATUS = {status.value.lower(): status.value for status in Status}


class StripeRow(NamedTuple):
    """The columns of :class:`~invoicing.ledger.models.StagedStripe`, in its order."""

    stripe_id: str
    created: int
    record_id: str | None
    customer_id: str | None
    status: str
    number: str | None
    total: int
    amount_paid: int
    amount_remaining: int
    payment_state: str
    overdue: bool
    account_id: str | None = None
    credited: int = 0


class SalesforceRow(NamedTuple):
    """The columns of :class:`~invoicing.ledger.models.StagedSalesforce`, in its order."""

    record_id: str
    stripe_id: str
    account_id: str | None
    name: str
    status: str
    number: str | None
    total: int | None
    amount_paid: int | None
    amount_remaining: int | None
    payment_state: str | None
    overdue: bool
    sync_state: str | None
    credited: int = 0


def stripe_rows(day: date, zone: ZoneInfo, org: str) -> Callable[[ListedInvoice], StripeRow]:
    """Function that stages Stripe's invoices on a business day; only one org's Accounts count."""
    morning = datetime.combine(day, time.min, zone).timestamp()

    def row(invoice: ListedInvoice) -> StripeRow:
        status, due = invoice["status"], invoice["due_date"]
        metadata = invoice["metadata"] or {}
        return StripeRow(
            invoice["id"],
            invoice["created"],
            named_record(invoice),
            invoice["customer"],
            STATUS[status],
            invoice["number"],
            invoice["total"],
            invoice["amount_paid"],
            invoice["amount_remaining"],
            payment_state(invoice).value,
            status == "open" and due is not None and due < morning,
            metadata.get(ACCOUNT_KEY) if is_same_org(metadata.get(ORG_KEY), org) else None,
            credited(invoice),
        )

    return row


QUERIED_FIELDS = (
    "Id",
    record.STRIPE_ID,
    "Account__c",
    "Name",
    record.STATUS,
    "Number__c",
    "Payment_State__c",
    record.SYNC_STATE,
    "Is_Overdue__c",
    "Currency__c",
    "Total__c",
    "Amount_Paid__c",
    "Amount_Remaining__c",
    "Amount_Credited__c",
)
"""The fields that Salesforce is asked for."""


def salesforce_rows(records: Iterable[Sequence[str]]) -> Iterator[SalesforceRow]:
    """Rows of records, from Bulk's texts in the order of :data:`QUERIED_FIELDS`."""
    return map(_salesforce_row, records)


def _salesforce_row(texts: Sequence[str]) -> SalesforceRow:
    record_id, stripe_id, account_id, name, status, number = texts[:6]
    payment, sync_state, overdue, currency, total, paid, remaining, credit = texts[6:]
    return SalesforceRow(
        record_id,
        stripe_id,
        account_id or None,
        name,
        status,
        number or None,
        _minor(total, currency),
        _minor(paid, currency),
        _minor(remaining, currency),
        payment or None,
        overdue == "true",
        sync_state or None,
        _minor(credit, currency) or 0,
    )


@lru_cache(maxsize=50_000)
def _minor(text: str, currency: str) -> int | None:
    return to_minor(Decimal(text), currency) if text else None

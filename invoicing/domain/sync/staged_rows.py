"""Rows of a full sync: an invoice of either side, until both are compared.

Both sides are brought into the same form: what Stripe says goes through the projection that is
written, what Salesforce says comes as Bulk's texts, and a fingerprint of either holds every field
that mirrors Stripe. Amounts are minor units.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.money import to_minor
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import line_mirror, record
from invoicing.domain.salesforce.line_mirror import Kept
from invoicing.domain.stripe.projection import Projection, is_same_org, project
from invoicing.domain.stripe.resources import ListedInvoice


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
    digest: str = ""
    draft_digest: str | None = None
    lines: int | None = None
    lines_amount: int = 0


class SalesforceRow(NamedTuple):
    """The columns of :class:`~invoicing.ledger.models.StagedSalesforce`, in its order.

    Nothing is compared where the org keeps nothing: that is None.
    """

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
    credited: int | None = 0
    made_here: bool = False
    digest: str = ""
    refunded: int | None = None
    disputed: int | None = None
    dispute_status: str | None = None
    payment_problem: str | None = None
    sent: bool | None = None


class LinesRow(NamedTuple):
    """The columns of :class:`~invoicing.ledger.models.StagedLines`, in its order."""

    line_id: str
    record_id: str
    lines: int
    amount: int


NOT_ON_THE_PAGE = (
    *(record.STATUS, "Payment_State__c", record.OVERDUE),
    *("Amount_Refunded__c", "Amount_Disputed__c", "Dispute_Status__c", "Payment_Problem__c"),
)
"""Mirrored fields that are compared in columns of their own: a page of Stripe's list does not tell
of refunds and disputes, and what is overdue is another matter each day."""


class RecordComparison:
    """What is compared of an org that keeps some of our fields."""

    def __init__(
        self,
        keeps: Callable[[str], bool],
        lines: Kept,
        lengths: Mapping[str, int] = record.NO_LENGTHS,
    ) -> None:
        """Take whether the org keeps a field of invoices, and what it keeps of lines and texts."""
        self.lines, self.lengths = lines, lengths
        self.keeps = {name for name in QUERIED_FIELDS if keeps(name)}
        self._fields = [
            name
            for name in record.MIRRORED_FIELDS
            if name not in NOT_ON_THE_PAGE and name in self.keeps
        ]
        self._of_drafts = [n for n in self._fields if n in record.DRAFT_MIRRORED_FIELDS]

    def digest(self, fields: Mapping[str, Any], *, of_draft: bool = False) -> str:
        """Fingerprint of what a record's fields say."""
        names = self._of_drafts if of_draft else self._fields
        return fingerprint(*(record.comparable(name, fields[name]) for name in names))


def stripe_rows(
    day: date, zone: ZoneInfo, org: str, stripe_account: str, comparison: RecordComparison
) -> Callable[[ListedInvoice], StripeRow]:
    """Function that stages Stripe's invoices on a business day; only one org's Accounts count."""

    def row(invoice: ListedInvoice) -> StripeRow:
        seen = project(invoice, today=day, zone=zone)
        fields = record.projected_fields(
            seen, stripe_account, whole=True, lengths=comparison.lengths
        )
        is_draft = seen.status is Status.DRAFT
        return StripeRow(
            seen.stripe_id,
            invoice["created"],
            seen.record_id,
            seen.customer_id,
            seen.status.value,
            seen.number,
            invoice["total"],
            invoice["amount_paid"],
            invoice["amount_remaining"],
            seen.payment_state.value,
            seen.overdue,
            seen.account_id if is_same_org(seen.org_id, org) else None,
            seen.credited.minor if seen.credited else 0,
            comparison.digest(fields),
            comparison.digest(fields, of_draft=True) if is_draft else None,
            _lines_in_stripe(invoice, seen, comparison.lines),
            invoice["subtotal"] + _line_discounts(invoice),
        )

    return row


def _lines_in_stripe(invoice: ListedInvoice, seen: Projection, kept: Kept) -> int | None:
    """Sum of the lines' checksums; None where the page has not all lines."""
    if invoice["lines"]["has_more"]:
        return None
    ours = seen.record_id is not None
    return sum(
        line_mirror.facts_in_stripe(line, seen.currency, ours=ours, kept=kept).checksum
        for line in invoice["lines"]["data"]
    )


def _line_discounts(invoice: ListedInvoice) -> int:
    """What discounts of single lines take off; the subtotal is after these."""
    whole = invoice["discounts"]
    amounts = invoice["total_discount_amounts"] or ()
    return sum(one["amount"] for one in amounts if one["discount"] not in whole)


WHERE_KEPT = (
    *("Amount_Credited__c", "Amount_Refunded__c", "Amount_Disputed__c"),
    *("Dispute_Status__c", "Payment_Problem__c", record.SENT_AT),
)
FIELDS = ("Id", "Account__c", "Name", record.SYNC_STATE, record.LOCAL_KEY, record.SENT_AT)
QUERIED_FIELDS = (*FIELDS, *record.MIRRORED_FIELDS)
"""The fields that Salesforce is asked for."""


def salesforce_rows(
    records: Iterable[Sequence[str]], comparison: RecordComparison
) -> Iterator[SalesforceRow]:
    """Rows of records, from Bulk's texts in the order of :data:`QUERIED_FIELDS`."""
    for texts in records:
        yield _salesforce_row(dict(zip(QUERIED_FIELDS, texts, strict=True)), comparison)


def as_written(
    rows: Iterable[Sequence[str]],
    fields: Sequence[str],
    changes: Mapping[str, Mapping[str, tuple[str | None, str | None]]],
    prefix: str = "",
) -> Iterator[Sequence[str]]:
    """Bulk's texts of records, as they were written where the org is known to change them.

    Args:
        rows: The records, each with its id first.
        fields: What the columns are.
        changes: By record and field, what was written and what was saved of it.
        prefix: Before the names of fields in these.
    """
    for row in rows:
        known = changes.get(row[0])
        if known is None:
            yield row
            continue
        own = {name.removeprefix(prefix): values for name, values in known.items()}
        seen = record.as_written(dict(zip(fields, row, strict=True)), own)
        yield [text or "" for text in seen.values()]


def _salesforce_row(texts: Mapping[str, str], comparison: RecordComparison) -> SalesforceRow:
    currency, stripe_id = texts[record.CURRENCY], texts[record.STRIPE_ID]
    made_here = texts[record.STATUS] == Status.DRAFT and texts[record.LOCAL_KEY] != stripe_id
    credited, refunded, disputed, dispute, problem, sent = (
        texts[name] if name in comparison.keeps else None for name in WHERE_KEPT
    )
    return SalesforceRow(
        texts["Id"],
        stripe_id,
        texts["Account__c"] or None,
        texts["Name"],
        texts[record.STATUS],
        texts["Number__c"] or None,
        _minor(texts[record.TOTAL], currency),
        _minor(texts["Amount_Paid__c"], currency),
        _minor(texts["Amount_Remaining__c"], currency),
        texts["Payment_State__c"] or None,
        texts[record.OVERDUE] == "true",
        texts[record.SYNC_STATE] or None,
        _given_back(credited, currency),
        made_here,
        comparison.digest(texts, of_draft=made_here),
        _given_back(refunded, currency),
        _given_back(disputed, currency),
        dispute,
        problem,
        None if sent is None else sent != "",
    )


def _given_back(text: str | None, currency: str) -> int | None:
    """An amount of which nothing is written where it is none."""
    return None if text is None else _minor(text, currency) or 0


@lru_cache(maxsize=50_000)
def _minor(text: str, currency: str) -> int | None:
    return to_minor(Decimal(text), currency) if text else None


QUERIED_LINE_FIELDS = (
    *("Id", "Invoice__c", record.LOCAL_KEY, "Description__c", "Product__r.Name", "Quantity__c"),
    *("Unit_Price__c", record.EXACT_PRICE, "Amount__c", "Product__c"),
    f"Invoice__r.{record.CURRENCY}",
)
"""The fields of lines that Salesforce is asked for."""


def lines_rows(lines: Iterable[Sequence[str]], kept: Kept) -> Iterator[LinesRow]:
    """Rows of lines, those that come one after another and are of one invoice put together."""
    for record_id, some in groupby(lines, itemgetter(1)):
        first, checksum, amount = "", 0, 0
        for line_id, _, key, text, name, quantity, price, exact, whole, product, currency in some:
            key = (key or line_id) if kept.keys else ""
            facts = line_mirror.read_facts(
                key, text or name, quantity, price, exact, whole, product, currency, kept.text
            )
            first, checksum = first or line_id, checksum + facts.checksum
            amount += facts.amount
        yield LinesRow(first, record_id, checksum, amount)

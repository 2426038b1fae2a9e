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
from typing import Any
from zoneinfo import ZoneInfo

from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.money import to_minor
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import line_mirror, record
from invoicing.domain.salesforce.line_mirror import Kept
from invoicing.domain.stripe.projection import Projection, is_same_org, project
from invoicing.domain.stripe.resources import ListedInvoice

Row = dict[str, Any]
"""A row of a staged table, by column."""

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
) -> Callable[[ListedInvoice], Row]:
    """Function that makes the row of :class:`~invoicing.ledger.models.StagedStripe`.

    On a business day; only one org's Accounts count.
    """

    def row(invoice: ListedInvoice) -> Row:
        seen = project(invoice, today=day, zone=zone)
        fields = record.projected_fields(
            seen, stripe_account, whole=True, lengths=comparison.lengths
        )
        is_draft = seen.status is Status.DRAFT
        return {
            "stripe_id": seen.stripe_id,
            "created": invoice["created"],
            "record_id": seen.record_id,
            "customer_id": seen.customer_id,
            "status": seen.status.value,
            "number": seen.number,
            "total": invoice["total"],
            "amount_paid": invoice["amount_paid"],
            "amount_remaining": invoice["amount_remaining"],
            "payment_state": seen.payment_state.value,
            "overdue": seen.overdue,
            "account_id": seen.account_id if is_same_org(seen.org_id, org) else None,
            "credited": seen.credited.minor if seen.credited else 0,
            "digest": comparison.digest(fields),
            "draft_digest": comparison.digest(fields, of_draft=True) if is_draft else None,
            "lines": _lines_in_stripe(invoice, seen, comparison.lines),
            "lines_amount": invoice["subtotal"] + _line_discounts(invoice),
        }

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
) -> Iterator[Row]:
    """Rows of :class:`~invoicing.ledger.models.StagedSalesforce`.

    From Bulk's texts in the order of :data:`QUERIED_FIELDS`. Where the org keeps nothing there is
    None, and nothing is compared.
    """
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


def _salesforce_row(texts: Mapping[str, str], comparison: RecordComparison) -> Row:
    currency, stripe_id = texts[record.CURRENCY], texts[record.STRIPE_ID]
    made_here = texts[record.STATUS] == Status.DRAFT and texts[record.LOCAL_KEY] != stripe_id
    credited, refunded, disputed, dispute, problem, sent = (
        texts[name] if name in comparison.keeps else None for name in WHERE_KEPT
    )
    return {
        "record_id": texts["Id"],
        "stripe_id": stripe_id,
        "account_id": texts["Account__c"] or None,
        "name": texts["Name"],
        "status": texts[record.STATUS],
        "number": texts["Number__c"] or None,
        "total": _minor(texts[record.TOTAL], currency),
        "amount_paid": _minor(texts["Amount_Paid__c"], currency),
        "amount_remaining": _minor(texts["Amount_Remaining__c"], currency),
        "payment_state": texts["Payment_State__c"] or None,
        "overdue": texts[record.OVERDUE] == "true",
        "sync_state": texts[record.SYNC_STATE] or None,
        "credited": _given_back(credited, currency),
        "made_here": made_here,
        "digest": comparison.digest(texts, of_draft=made_here),
        "refunded": _given_back(refunded, currency),
        "disputed": _given_back(disputed, currency),
        "dispute_status": dispute,
        "payment_problem": problem,
        "sent": None if sent is None else sent != "",
    }


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


def lines_rows(lines: Iterable[Sequence[str]], kept: Kept) -> Iterator[Row]:
    """Rows of :class:`~invoicing.ledger.models.StagedLines`.

    Lines that come one after another and are of one invoice are put together.
    """
    for record_id, some in groupby(lines, itemgetter(1)):
        first, checksum, amount = "", 0, 0
        for line_id, _, key, text, name, quantity, price, exact, whole, product, currency in some:
            key = (key or line_id) if kept.keys else ""
            facts = line_mirror.read_facts(
                key, text or name, quantity, price, exact, whole, product, currency, kept.text
            )
            first, checksum = first or line_id, checksum + facts.checksum
            amount += facts.amount
        yield {"line_id": first, "record_id": record_id, "lines": checksum, "amount": amount}

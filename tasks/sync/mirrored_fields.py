"""What a record and its lines mirror of an invoice in Stripe: one projection, whoever writes it."""

from collections.abc import Iterable, Mapping
from typing import Any

from invoicing.connectors import salesforce
from invoicing.domain.model.wording import label
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.line_mirror import (
    MirroredLine,
    mirror_of,
)
from invoicing.domain.stripe.projection import Projection
from invoicing.domain.stripe.resources import StripeLine
from invoicing.ledger.models import InvoiceLink
from invoicing.settings import settings
from tasks.records.org_facts import text_lengths
from tasks.records.record_writer import kept_of_lines


def mirrored_fields(
    invoice: Projection, link: InvoiceLink | None, *, whole: bool = False
) -> dict[str, Any]:
    """What a record mirrors of its invoice: the one projection onto it, whoever writes it.

    Args:
        invoice: The invoice in Stripe.
        link: What the ledger knows of it, as when it was mailed.
        whole: All of it though it is a draft: it was made in Stripe, or has no record yet.
    """
    account = settings().stripe.account_id
    lengths = text_lengths(record.INVOICE)
    fields = record.projected_fields(invoice, account, whole=whole, lengths=lengths)
    if link and link.sent_at:
        fields[record.SENT_AT] = record.stamp(link.sent_at)
    client = salesforce.client()
    return {name: value for name, value in fields.items() if client.keeps(record.INVOICE, name)}


def cut_texts(fields: Mapping[str, Any], lines: Iterable[MirroredLine] | None) -> str:
    """Which texts the org's shorter fields cut off, in a sentence; empty for none."""
    filled = [
        f"{label(name)} after {length} characters"
        for name, length in text_lengths(record.INVOICE).items()
        if len(fields.get(name) or "") == length
    ]
    length = text_lengths(record.LINE).get("Description__c")
    if length and any(len(line.facts.text) == length for line in lines or ()):
        filled.append(f"a line's description after {length} characters")
    return f"The org's fields end {', '.join(filled)}." if filled else ""


def mirrored_lines(invoice: Projection, lines: Iterable[StripeLine]) -> list[MirroredLine]:
    """What a record's lines mirror of an invoice's lines, in their order."""
    ours, kept = invoice.record_id is not None, kept_of_lines()
    return [mirror_of(line, invoice.currency, ours=ours, kept=kept) for line in lines]

"""The content that was agreed: that of the draft in Stripe, as it was before it became final.

The ledger keeps a checksum of each line and of each part of the header: once an invoice is final
its record takes over what Stripe has, and no longer tells what had been agreed.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

from invoicing.connectors import stripe
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.stripe.header_facts import Header, checksums, header_of, other_parts, said
from invoicing.domain.stripe.line_facts import LineFacts, line_facts, lines_apart, wanted_facts
from invoicing.domain.stripe.resources import Coupon, StripeLine, WholeInvoice
from invoicing.ledger import intents
from invoicing.ledger.intents import AGREE_CONTENT, CHARGE, MAIL
from tasks.runtime.run_name import run_id


class Content(NamedTuple):
    """Everything of an invoice in Stripe that its customer reads, or that decides its tax."""

    header: Header
    lines: list[StripeLine]
    facts: list[LineFacts]


def content_of(invoice: WholeInvoice) -> Content:
    """An invoice's content, with all of its lines and the coupons that it redeems.

    An invoice itself carries its first ten lines, and of its discounts no more than their ids.
    """
    lines = invoice["lines"]["data"]
    if invoice["lines"]["has_more"]:
        lines = stripe.client().invoice_lines(invoice["id"])
    coupons: Mapping[str, Coupon] = {}
    if invoice["discounts"] or any(line["discounts"] for line in lines):
        coupons = stripe.client().coupons_of(invoice["id"])
    taxed = invoice["automatic_tax"]["enabled"]
    rates = None if taxed else [rate["id"] for rate in invoice["default_tax_rates"]]
    facts = [line_facts(line, rates, coupons) for line in lines]
    return Content(header_of(invoice, coupons), lines, facts)


def agree(invoice: Invoice, header: Header, lines: Sequence[LineFacts]) -> None:
    """Write down which content the draft in Stripe has."""
    intents.set_decision(
        AGREE_CONTENT,
        invoice.record_id,
        digest=invoice.content_digest,
        actor=run_id(),
        outcome=" ".join(as_agreed(header, lines)),
    )


def as_agreed(header: Header, lines: Sequence[LineFacts]) -> list[str]:
    """A content as the ledger keeps it: ``footer=`` and a checksum, and checksums of lines."""
    parts = [f"{quote(name, safe='')}={value}" for name, value in checksums(header).items()]
    return sorted([*parts, *(line.checksum for line in lines)])


def note_seen(invoice: Invoice) -> bool:
    """Write down what the record says as somebody sends it, whose content is changed in Stripe.

    Returns:
        Whether it says what it said when this same run began, if it has begun before.
    """
    known = intents.find(AGREE_CONTENT, invoice.record_id)
    if known and known.actor == run_id():
        return known.digest == invoice.content_digest
    intents.set_decision(
        AGREE_CONTENT,
        invoice.record_id,
        digest=invoice.content_digest,
        actor=run_id(),
        outcome="",
    )
    return True


def other_content(invoice: Invoice, there: Content) -> str:
    """How an invoice in Stripe differs from what was agreed, for people.

    Returns:
        Nothing where it is the same, where it is not known what was agreed, or where it has gone
        out: payment methods may still change then.
    """
    if went_out(invoice):
        return ""
    agreed = {
        unquote(name): value
        for name, separator, value in (part.partition("=") for part in _agreed(invoice))
        if separator
    }
    parts = other_parts(checksums(there.header), agreed) if agreed else []
    header = f"other values of {said(parts)}" if parts else ""
    return "; ".join(filter(None, [header, other_lines(invoice, there.facts)]))


def went_out(invoice: Invoice) -> bool:
    """Whether an invoice was mailed or charged, or may have been."""
    return any(intents.attempted(act, invoice.record_id) for act in (MAIL, CHARGE))


def other_lines(invoice: Invoice, lines: Sequence[LineFacts]) -> str:
    """How lines in Stripe differ from those that were agreed; see :func:`other_content`."""
    agreed = _agreed(invoice)
    if not agreed:
        return ""
    known = [part for part in agreed if "=" not in part]
    return lines_apart(lines, known, wanted_facts(invoice), invoice.currency)


def _agreed(invoice: Invoice) -> list[str]:
    known = intents.find(AGREE_CONTENT, invoice.record_id)
    return known.outcome.split() if known and known.outcome else []

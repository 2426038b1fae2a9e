"""The lines that were agreed: those of the draft in Stripe, as it was looked at before it went out.

The ledger keeps a checksum of each: once an invoice is final its record takes over what Stripe has,
and no longer tells what had been agreed.
"""

from collections.abc import Sequence

from invoicing.connectors import stripe
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.stripe.request_params import (
    LineFacts,
    line_facts,
    lines_apart,
    wanted_facts,
)
from invoicing.domain.stripe.resources import StripeLine, WholeInvoice
from invoicing.ledger import intents
from invoicing.ledger.intents import AGREE_LINES
from tasks.runtime.run_page import run_id


def all_lines(invoice: WholeInvoice) -> list[StripeLine]:
    """All lines of an invoice, which itself carries the first ten."""
    if invoice["lines"]["has_more"]:
        return stripe.client().invoice_lines(invoice["id"])
    return invoice["lines"]["data"]


def facts_of(invoice: WholeInvoice, lines: Sequence[StripeLine]) -> list[LineFacts]:
    """Facts of an invoice's lines in Stripe."""
    taxed = invoice["automatic_tax"]["enabled"]
    rates = None if taxed else [rate["id"] for rate in invoice["default_tax_rates"]]
    return [line_facts(line, rates) for line in lines]


def agree_on_lines(invoice: Invoice, lines: Sequence[LineFacts]) -> None:
    """Write down which lines the draft in Stripe has."""
    intents.decide(
        AGREE_LINES,
        invoice.record_id,
        digest=invoice.content_digest,
        actor=run_id(),
        outcome=" ".join(sorted(line.checksum for line in lines)),
    )


def lines_may_change(invoice: Invoice) -> None:
    """Write down that we change them now: until that is done, nothing is known of them."""
    if intents.find(AGREE_LINES, invoice.record_id):
        intents.reopen(AGREE_LINES, invoice.record_id)


def other_lines(invoice: Invoice, lines: Sequence[LineFacts]) -> str:
    """How lines in Stripe differ from those that were agreed, for people.

    Args:
        invoice: The record.
        lines: Stripe's.

    Returns:
        Nothing where they are the same, or where it is not known what was agreed.
    """
    known = intents.find(AGREE_LINES, invoice.record_id)
    if known is None or known.outcome is None:
        return ""
    return lines_apart(lines, known.outcome.split(), wanted_facts(invoice), invoice.currency)

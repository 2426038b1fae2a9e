"""What a draft in Stripe comes to and says, compared with its record before it is sent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.amount_due import AmountDue
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.money import Money
from invoicing.domain.model.wording import counted, label
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.line_mirror import facts_in_stripe
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.stripe import request_params
from invoicing.domain.stripe.balances import amount_due
from invoicing.domain.stripe.projection import project
from invoicing.domain.stripe.resources import StripeLine, WholeInvoice
from invoicing.errors import Conflict, Rejected
from invoicing.ledger import intents, rewritten_values
from invoicing.ledger.intents import AGREE, AGREE_TOTAL, FINALIZE
from invoicing.settings import settings
from tasks.records.invoices import check_lines
from tasks.records.org_facts import text_lengths
from tasks.records.record_writer import kept_of_lines
from tasks.runtime.clock import today
from tasks.runtime.step import step
from tasks.sending.agreed_content import agree, content_of, other_content, went_out


@step("compare the totals")
def compare_totals(stripe_id: str, invoice: Invoice, customer_id: str) -> AmountDue:
    """Read the draft back and compare; the last step before anything reaches the customer.

    Compared are what both sides can work out: the lines after their own discounts, the total
    after all discounts before the tax that Stripe puts on top, and the number of lines. Tax
    itself is Stripe's alone.

    One that we have made final over another total than was compared is for a person to judge.

    Returns:
        What the customer is billed, taxes included, and asked for; and what was agreed of it.

    Raises:
        Conflict: with the two sums; the draft is another customer's; somebody else made it final;
            or Salesforce counts other lines than were read.
    """
    check_lines(invoice)
    draft = _read_draft(stripe_id, invoice, customer_id)
    finalized = draft["status"] != "draft"
    # Until it is final, what was agreed counts for this very content only.
    content = None if finalized else invoice.content_digest
    asked = amount_due(
        draft,
        agreed=_agreed(AGREE, invoice, content),
        agreed_total=_agreed(AGREE_TOTAL, invoice),
    )
    there = content_of(draft)
    if finalized:
        asked = replace(asked, other_content=other_content(invoice, there))
    if asked.was_changed:
        return asked
    if not invoice.made_in_stripe:
        _check_sums(draft, len(there.lines), invoice)
    if not finalized:
        if invoice.made_in_stripe:
            _check_unchanged(draft, there.lines, invoice)
        elif differing := other_content(invoice, there):
            raise Conflict(
                f"{invoice.name} was not sent: somebody changes its draft {stripe_id} in Stripe. "
                f"It has {differing}. Send it again, and its content is the record's again."
            )
        agree(invoice, there.header, there.facts)
    return asked


def _read_draft(stripe_id: str, invoice: Invoice, customer_id: str) -> WholeInvoice:
    """The draft, or the invoice that we have made of it, if it may be sent to this customer."""
    draft = stripe.client().invoice(stripe_id)
    if draft is None:
        raise Conflict(f"The draft of {invoice.name} was deleted in Stripe ({stripe_id}).")
    _check_still_wanted(draft["status"], invoice)
    if draft["status"] == "draft" and draft["customer"] != customer_id:
        raise Conflict(
            f"{invoice.name} was not sent: its draft in Stripe ({stripe_id}) was made for another "
            f"customer than {invoice.account.name}. Clone the record, and delete this one."
        )
    if draft["status"] != "draft" and not intents.attempted(FINALIZE, invoice.record_id):
        raise Conflict(
            f"{invoice.name} was not sent: somebody made it final in Stripe ({stripe_id}). Press "
            "Sync Invoice on its page and look at it; Resend mails it, if Stripe has not done so."
        )
    return draft


def _check_sums(draft: WholeInvoice, lines: int, invoice: Invoice) -> None:
    """Hold what Stripe adds up to before tax to what Salesforce does."""
    subtotal = Money(draft["currency"], draft["subtotal"])
    total = request_params.net_of_exclusive_tax(draft)
    if (subtotal, total, lines) != (invoice.subtotal, invoice.total, len(invoice.lines)):
        off, stripe_off = invoice.subtotal - invoice.total, subtotal - total
        raise Conflict(
            f"{invoice.name} was not sent: before tax, Salesforce adds up to {invoice.total} on "
            f"{len(invoice.lines)} lines with {off} discount, Stripe to {total} on {lines} lines "
            f"with {stripe_off} discount. Compare the draft {draft['id']} in Stripe with the "
            "record."
        )
    get_run_logger().info(
        "Both sides add up to %s before tax on %s; Stripe adds %s tax.",
        invoice.total,
        counted(lines, "line"),
        request_params.tax_of(draft),
    )


def _check_still_wanted(status: str, invoice: Invoice) -> None:
    """Refuse to mail or charge what was given up since: Stripe can charge a written-off invoice.

    Source: https://docs.stripe.com/invoicing/integration/workflow-transitions

    Raises:
        Rejected: it is void or written off, and did not go out.
    """
    if status in ("void", "uncollectible") and not went_out(invoice):
        said = "void" if status == "void" else "written off"
        raise Rejected(
            f"{invoice.name} is {said} in Stripe, so it is neither mailed nor charged. Press Sync "
            "Invoice, and Clone Invoice if it is to be billed after all."
        )


def _agreed(operation: str, invoice: Invoice, content: str | None = None) -> Money | None:
    """The amount that was written down, if it was: of whatever content, or of one only."""
    known = intents.find(operation, invoice.record_id)
    if known is None or not known.outcome or content not in (None, known.digest):
        return None
    return Money(invoice.currency, int(known.outcome))


def _check_unchanged(draft: WholeInvoice, lines: Sequence[StripeLine], invoice: Invoice) -> None:
    """Hold a draft that was made in Stripe to what its record says: that is what is sent.

    Raises:
        Conflict: it was changed since Salesforce heard of it.
    """
    kept = kept_of_lines()
    facts = (facts_in_stripe(one, draft["currency"], ours=False, kept=kept) for one in lines)
    there = Counter((one.text, one.amount) for one in facts)
    here = Counter((one.label, one.amount(invoice.currency).minor) for one in invoice.lines)
    changed = [label(name) for name in _header_changes(draft, invoice)]
    if there != here:
        changed.append("lines")
    if changed:
        total = Money(draft["currency"], draft["total"])
        raise Conflict(
            f"{invoice.name} was not sent: its draft {draft['id']} was made in Stripe, and was "
            f"changed there since Salesforce heard of it ({', '.join(changed)}); it comes to "
            f"{total} now. Press Sync Invoice, look at it, and send it again."
        )


def _header_changes(draft: WholeInvoice, invoice: Invoice) -> list[str]:
    """Fields of a record that say otherwise than its draft in Stripe, which they mirror."""
    seen = project(draft, today=today(), zone=settings().business.zone)
    lengths, account = text_lengths(record.INVOICE), settings().stripe.account_id
    there = record.projected_fields(seen, account, whole=True, lengths=lengths)
    asked = Query(record.INVOICE, record.CONTENT_MIRRORED, where=equals("Id", invoice.record_id))
    [row] = salesforce.client().query(asked)
    by_org = rewritten_values.of_invoices([invoice.record_id]).get(invoice.record_id, {})
    wanted = {name: there[name] for name in record.CONTENT_MIRRORED}
    return list(record.differences(record.as_written(row, by_org), wanted))

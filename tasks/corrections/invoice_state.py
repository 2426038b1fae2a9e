"""An invoice's state in Stripe, and what it allows."""

from invoicing.domain.model.status import DELETABLE, Status, vanished_message
from invoicing.domain.stripe.action_rules import (
    RESULTING_STATUS,
    InvoiceAction,
    InvoiceState,
    action_problems,
    invoice_state,
)
from invoicing.errors import Conflict, Rejected
from invoicing.ledger import links
from tasks.records.invoices import read_invoice
from tasks.records.linked_invoice import own_stripe_id, stripe_invoice
from tasks.runtime.step import step


@step("read the invoice's state")
def read_invoice_state(record_id: str) -> InvoiceState:
    """Read the record, and its invoice in Stripe as it is at this moment.

    Raises:
        Conflict: the record names the invoice of another, or one that is gone and cannot be.
    """
    record = read_invoice.fn(record_id)
    stripe_id, invoice = own_stripe_id(record), stripe_invoice(record)
    if stripe_id and not invoice and record.status not in DELETABLE:
        raise Conflict(f"{record.name}: {vanished_message(stripe_id, record.status)}")
    if invoice and stripe_id:
        links.link_invoice(stripe_id, record_id)
    return invoice_state(
        record_id,
        record.name,
        record.account.name,
        record.lines,
        currency=record.currency,
        status=Status.DELETED if stripe_id and not invoice else record.status,
        invoice=invoice,
    )


@step("check that its state allows it")
def check_allowed(act: InvoiceAction, state: InvoiceState) -> None:
    """Refuse what an invoice's state does not allow; what was reached already is fine.

    Raises:
        Rejected: nothing was written to Stripe.
    """
    problems = list(action_problems(act, state))
    if problems and RESULTING_STATUS.get(act) is not state.status:
        raise Rejected(problems)

"""An invoice's state in Stripe, and what it allows."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from invoicing.connectors import stripe
from invoicing.domain.model.status import DELETABLE, Status, vanished_message
from invoicing.domain.stripe.action_rules import (
    RESULTING_STATUS,
    InvoiceAction,
    InvoiceState,
    action_problems,
    invoice_state,
)
from invoicing.domain.stripe.resources import PaidInvoice
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
        email=record.email or "",
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


def invoice_now(state: InvoiceState) -> PaidInvoice:
    """The invoice in Stripe as it is at this moment, with its payments.

    A step that is tried again may come minutes after the invoice was looked at.

    Raises:
        Conflict: it is gone.
    """
    invoice = stripe.client().invoice_with_payments(state.stripe_id)
    if invoice is None:
        raise Conflict(f"{state.name}: {vanished_message(state.stripe_id, state.status)}")
    return invoice


def state_now(state: InvoiceState, invoice: PaidInvoice | None = None) -> InvoiceState:
    """The state at this moment, or of an invoice that was just read."""
    return invoice_state(
        state.record_id,
        state.name,
        state.account,
        state.lines,
        currency=state.currency,
        status=state.status,
        invoice=invoice or invoice_now(state),
    )


def refuse_changed(
    state: InvoiceState, problems: Iterable[str], cause: Exception | None = None
) -> None:
    """Refuse what became impossible after it was checked.

    Raises:
        Rejected: with what is in the way now, if anything is.
    """
    if now := list(problems):
        raise Rejected([f"{state.name} changed in Stripe meanwhile.", *now]) from cause


@contextmanager
def refusal_explained(act: InvoiceAction, state: InvoiceState) -> Iterator[None]:
    """Say in our own words why Stripe refuses an act, if the invoice's state is why.

    Raises:
        Rejected: with what is in the way and what to do, or Stripe's own reason.
    """
    try:
        yield
    except Rejected as error:
        refuse_changed(state, action_problems(act, state_now(state)), error)
        raise

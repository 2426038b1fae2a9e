"""An invoice's state in Stripe: read, and moved to void or uncollectible."""

from collections.abc import Callable
from datetime import datetime

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.status import DELETABLE, Status, vanished_message
from invoicing.domain.stripe.resources import WholeInvoice
from invoicing.domain.stripe.transitions import (
    RESULTING_STATUS,
    InvoiceAction,
    InvoiceState,
    action_problems,
    invoice_state,
)
from invoicing.errors import Conflict, Rejected
from invoicing.ledger import intents, links
from invoicing.ledger.intents import (
    VOID,
    WRITE_OFF,
)
from tasks.records.invoices import read_invoice
from tasks.records.locks import INVOICE
from tasks.records.own_invoice import own_stripe_id, stripe_invoice
from tasks.runtime.retries import STEP
from tasks.runtime.run_page import run_id


@task(task_run_name="read the invoice's state", **STEP)
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


@task(task_run_name="check that its state allows it", **STEP)
def check_allowed(act: InvoiceAction, state: InvoiceState) -> None:
    """Refuse what an invoice's state does not allow; what was reached already is fine.

    Raises:
        Rejected: nothing was written to Stripe.
    """
    problems = list(action_problems(act, state))
    if problems and RESULTING_STATUS.get(act) is not state.status:
        raise Rejected(problems)


@task(task_run_name="void it", **STEP)
def void(state: InvoiceState) -> None:
    """Void an invoice in Stripe, once and for good."""
    _move(VOID, state, Status.VOID, lambda key: stripe.client().void(state.stripe_id, key))


@task(task_run_name="write it off", **STEP)
def write_off(state: InvoiceState) -> None:
    """Mark an invoice as uncollectible in Stripe, once."""
    _move(
        WRITE_OFF,
        state,
        Status.UNCOLLECTIBLE,
        lambda key: stripe.client().mark_uncollectible(state.stripe_id, key),
    )


def _move(
    operation: str, state: InvoiceState, to: Status, act: Callable[[str], WholeInvoice]
) -> None:
    if state.status is to:
        get_run_logger().info("%s is %s already.", state.name, to)
        return
    INVOICE.keep(state.record_id)

    def reached(_since: datetime) -> str | None:
        now = stripe.client().invoice(state.stripe_id)
        return str(to) if now and Status.of_stripe(now["status"]) is to else None

    intents.once(
        operation,
        state.stripe_id,
        digest=fingerprint(state.stripe_id),
        actor=run_id(),
        evidence=reached,
        act=lambda key: act(key)["status"],
    )

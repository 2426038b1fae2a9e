"""The end of an invoice: void, or written off as uncollectible."""

from collections.abc import Callable
from datetime import datetime

from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.status import Status
from invoicing.domain.stripe.action_rules import (
    RESULTING_STATUS,
    InvoiceAction,
    InvoiceState,
    action_problems,
)
from invoicing.domain.stripe.resources import WholeInvoice
from invoicing.ledger import intents
from invoicing.ledger.intents import (
    VOID,
    WRITE_OFF,
)
from tasks.corrections.invoice_state import refusal_explained, refuse_changed, state_now
from tasks.records.locks import INVOICE
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step


@step("void it")
def void(state: InvoiceState) -> None:
    """Void an invoice in Stripe, once and for good."""
    _move(
        VOID,
        InvoiceAction.VOID,
        state,
        lambda key: stripe.client().void(state.stripe_id, key),
    )


@step("write it off")
def write_off(state: InvoiceState) -> None:
    """Mark an invoice as uncollectible in Stripe, once."""
    _move(
        WRITE_OFF,
        InvoiceAction.WRITE_OFF,
        state,
        lambda key: stripe.client().mark_uncollectible(state.stripe_id, key),
    )


def _move(
    operation: str,
    action: InvoiceAction,
    state: InvoiceState,
    call: Callable[[str], WholeInvoice],
) -> None:
    to = RESULTING_STATUS[action]
    if state.status is to:
        get_run_logger().info("%s is %s already.", state.name, to)
        return
    INVOICE.keep(state.record_id)
    before = intents.find(operation, state.stripe_id)
    if before and before.outcome:  # somebody has taken off since what paid it after all
        intents.reopen(operation, state.stripe_id, run_id())

    def reached(_since: datetime) -> str | None:
        now = stripe.client().invoice(state.stripe_id)
        return str(to) if now and Status.of_stripe(now["status"]) is to else None

    def move(key: str) -> str:
        refuse_changed(state, action_problems(action, state_now(state)))
        with refusal_explained(action, state):
            return call(key)["status"]

    intents.once(
        operation,
        state.stripe_id,
        digest=fingerprint(state.stripe_id),
        actor=run_id(),
        evidence=reached,
        act=move,
    )

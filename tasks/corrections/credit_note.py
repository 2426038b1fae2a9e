"""Credit notes: worked out, checked, issued once."""

from collections.abc import Callable
from datetime import datetime

from invoicing.connectors import stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.money import Money
from invoicing.domain.stripe.action_rules import InvoiceState
from invoicing.domain.stripe.credit_notes import (
    Credit,
    CreditRequest,
    credit_note_params,
    plan_credit,
)
from invoicing.domain.stripe.payment_facts import MoneyBack
from invoicing.domain.stripe.projection import RECORD_KEY
from invoicing.domain.stripe.resources import CreditNote
from invoicing.errors import Rejected
from invoicing.ledger import intents
from invoicing.ledger.intents import (
    CREDIT,
)
from invoicing.settings import settings
from tasks.corrections.duplicate_requests import (
    CONTENT_KEY,
    REQUEST_KEY,
    earlier_outcome,
    repeated_request_problems,
    request_subject,
)
from tasks.records.locks import INVOICE
from tasks.runtime.run_page import run_id
from tasks.runtime.step import step

# Credit


@step("check the credit")
def check_credit(state: InvoiceState, request: CreditRequest, request_id: str) -> Credit:
    """Work a credit note out and check it; the one that was issued for the same request, if any.

    Raises:
        Rejected: with every mistake; nothing was written to Stripe.
    """
    client, subject = stripe.client(), request_subject(state, request_id)
    invoice = client.invoice_with_payments(state.stripe_id) if state.stripe_id else None
    money_back = client.money_back(invoice) if invoice else MoneyBack(state.currency, {})
    if earlier_outcome(
        CREDIT, subject, fingerprint(state.stripe_id, request), _issued(state, subject)
    ):
        note = _note(state, subject)
        if note:
            return Credit(
                Money(state.currency, note["amount"]),
                Money(state.currency, note["pre_payment_amount"]),
                Money(state.currency, note["post_payment_amount"]),
                lost=money_back.books_a_dispute(note),
            )
    credit, problems = plan_credit(
        state,
        request,
        stripe_lines=client.invoice_lines(state.stripe_id) if request.lines and invoice else [],
        credited_lines=client.credited_lines(money_back.notes) if request.lines else [],
        money_back=money_back,
        zone=settings().business.zone,
    )
    twice = repeated_request_problems(
        CREDIT,
        state,
        request_id,
        fingerprint(state.stripe_id, request),
        effect=CREDIT,
        find_effect=lambda other, since: _issued(state, other)(since),
        set_apart="a memo",
    )
    if problems or twice:
        raise Rejected([*problems, *twice])
    return credit


@step("issue the credit note")
def issue_credit_note(
    state: InvoiceState, request: CreditRequest, credit: Credit, request_id: str
) -> str:
    """Issue a credit note in Stripe, once for each request; its number."""
    subject = request_subject(state, request_id)
    digest = fingerprint(state.stripe_id, request)
    metadata = {RECORD_KEY: state.record_id, REQUEST_KEY: subject, CONTENT_KEY: digest}
    params = credit_note_params(state, request, credit, metadata)
    INVOICE.keep(state.record_id)
    intents.once(
        CREDIT,
        subject,
        digest=digest,
        actor=run_id(),
        evidence=_issued(state, subject),
        act=lambda key: stripe.client().create_credit_note(params, key)["id"],
    )
    note = _note(state, subject)
    return note["number"] if note else ""


def _note(state: InvoiceState, subject: str) -> CreditNote | None:
    """The credit note that was issued for a request."""
    for note in stripe.client().credit_notes(state.stripe_id):
        if (note["metadata"] or {}).get(REQUEST_KEY) == subject:
            return note
    return None


def _issued(state: InvoiceState, subject: str) -> Callable[[datetime], str | None]:
    def evidence(_since: datetime) -> str | None:
        note = _note(state, subject)
        return note["id"] if note else None

    return evidence

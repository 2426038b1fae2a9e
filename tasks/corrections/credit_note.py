"""Credit notes: worked out, checked, issued once."""

from invoicing.connectors import stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.money import Money
from invoicing.domain.stripe.action_rules import InvoiceAction, InvoiceState
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
from invoicing.ledger.intents import CREDIT
from invoicing.settings import settings
from tasks.corrections.duplicate_requests import (
    CONTENT_KEY,
    REQUEST_KEY,
    earlier_outcome,
    repeated_request_problems,
    request_subject,
)
from tasks.corrections.invoice_state import (
    invoice_now,
    refusal_explained,
    refuse_changed,
    state_now,
)
from tasks.records.locks import INVOICE
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step


@step("check the credit")
def check_credit(state: InvoiceState, request: CreditRequest, request_id: str) -> Credit:
    """Work a credit note out and check it; the one that was issued for the same request, if any.

    Raises:
        Rejected: with every mistake; nothing was written to Stripe.
    """
    client, subject = stripe.client(), request_subject(state, request_id)
    digest = fingerprint(state.stripe_id, request)
    invoice = client.invoice_with_payments(state.stripe_id) if state.stripe_id else None
    money_back = client.money_back(invoice) if invoice else MoneyBack(state.currency, {})
    earlier = earlier_outcome(CREDIT, subject, digest, lambda _since: _issued(state, subject))
    if earlier and (note := _note(state, subject)):
        return Credit(
            Money(state.currency, note["amount"]),
            Money(state.currency, note["pre_payment_amount"]),
            Money(state.currency, note["post_payment_amount"]),
            lost=money_back.books_a_dispute(note),
        )
    credit, problems = _plan(state, request, money_back)
    twice = repeated_request_problems(
        CREDIT,
        state,
        request_id,
        digest,
        effect=CREDIT,
        find_effect=lambda other, _since: _issued(state, other),
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

    def issue(key: str) -> str:
        _check_still_right(state, request, credit)
        with refusal_explained(InvoiceAction.CREDIT, state):
            return stripe.client().create_credit_note(params, key)["id"]

    intents.once(
        CREDIT,
        subject,
        digest=digest,
        actor=run_id(),
        evidence=lambda _since: _issued(state, subject),
        act=issue,
    )
    note = _note(state, subject)
    return note["number"] if note else ""


def _plan(
    state: InvoiceState, request: CreditRequest, money_back: MoneyBack
) -> tuple[Credit, list[str]]:
    client, by_line = stripe.client(), bool(request.lines and state.stripe_id)
    return plan_credit(
        state,
        request,
        stripe_lines=client.invoice_lines(state.stripe_id) if by_line else [],
        credited_lines=client.credited_lines(money_back.notes) if by_line else [],
        money_back=money_back,
        zone=settings().business.zone,
    )


def _check_still_right(state: InvoiceState, request: CreditRequest, credit: Credit) -> None:
    """Refuse a credit that was worked out before somebody paid, credited or gave money back.

    Raises:
        Rejected: with what is in the way now.
    """
    invoice = invoice_now(state)
    now = state_now(state, invoice)
    planned, problems = _plan(now, request, stripe.client().money_back(invoice))
    if not problems and planned != credit:
        problems = [
            f"What was checked was {credit.describe(request.give_back)}; now it would be "
            f"{planned.describe(request.give_back)}. Nothing was credited; ask for it once more."
        ]
    refuse_changed(state, problems)


def _note(state: InvoiceState, subject: str) -> CreditNote | None:
    """The credit note that was issued for a request."""
    notes = stripe.client().credit_notes(state.stripe_id)
    return next((one for one in notes if (one["metadata"] or {}).get(REQUEST_KEY) == subject), None)


def _issued(state: InvoiceState, subject: str) -> str | None:
    note = _note(state, subject)
    return note["id"] if note else None

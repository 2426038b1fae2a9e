"""Mailing a sent invoice to its customer again."""

from datetime import datetime

from invoicing.connectors import stripe
from invoicing.domain.model.dates import written
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.stripe.action_rules import InvoiceAction, InvoiceState
from invoicing.errors import Rejected
from invoicing.ledger import intents
from invoicing.ledger.intents import FINALIZE, RESEND, SEND
from tasks.corrections.duplicate_requests import (
    earlier_outcome,
    repeated_request_problems,
    request_subject,
)
from tasks.corrections.invoice_state import check_allowed
from tasks.records.locks import INVOICE
from tasks.runtime.step import step
from tasks.sending.mail_once import find_mail, is_mail_of, mail_once, mailed, write_down_mail
from tasks.sending.one_off_email import is_same_email


@step("mail it to {state.email} again")
def mail_again(state: InvoiceState, request_id: str) -> str:
    """Have Stripe e-mail an invoice once more, once for each request.

    Returns:
        A sentence, if it has another address in Salesforce by now.

    Raises:
        Rejected: the invoice's state does not allow it.
        Conflict: so long ago that Stripe no longer knows whether the mail went out.
    """
    subject = request_subject(state, request_id)
    begun = intents.find(RESEND, subject)
    customer = stripe.client().customer(state.customer_id) if state.customer_id else None
    addresses = [state.email_in_salesforce, customer and customer["email"]]
    digest = (begun and begun.digest) or fingerprint(state.stripe_id, *addresses)

    def evidence(since: datetime) -> str | None:
        forgotten = (
            f"Stripe no longer tells whether {state.name} was mailed again on {written(since)}. "
            "Ask the customer, and start again if need be."
        )
        return mailed(since, is_mail_of(RESEND, subject), forgotten)

    if earlier_outcome(RESEND, subject, digest, evidence) is None:
        check_allowed.fn(InvoiceAction.RESEND, state)
        _check_sent(state)
        twice = repeated_request_problems(
            RESEND,
            state,
            request_id,
            digest,
            effect=RESEND,
            find_effect=lambda other, since: find_mail(since, is_mail_of(RESEND, other)),
        )
        if twice:
            raise Rejected(twice)
        INVOICE.keep(state.record_id)
    when = mail_once(RESEND, subject, state.stripe_id, digest=digest, evidence=evidence)
    key = f"{state.record_id}-mailed-{fingerprint(subject)[:16]}"
    what = f"Mailed to {state.email} again"
    write_down_mail(key, state.record_id, state.stripe_id, what, when)
    new = state.email_in_salesforce
    if not new or is_same_email(new, state.email):
        return ""
    return f" In Salesforce its address is {new}; an invoice keeps the one that it was sent with."


def _check_sent(state: InvoiceState) -> None:
    """Refuse to mail again what is final and was not sent: it may wait for a decision.

    Raises:
        Rejected: its sending has not come to its end.
    """
    sending = intents.find(SEND, state.record_id)
    if sending and not sending.outcome and intents.attempted(FINALIZE, state.record_id):
        raise Rejected(
            f"{state.name} was not sent yet: it waits for a decision, was declined, or its sending "
            "did not come to its end. Run send-invoice, which goes on with it."
        )

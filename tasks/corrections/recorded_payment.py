"""Payments that came in outside Stripe: checked, reported, counted towards the invoice."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import get_args

from invoicing.connectors import stripe
from invoicing.domain.forms.parameters import PaidBy
from invoicing.domain.model.dates import start_of_day
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.money import Money, plain
from invoicing.domain.model.status import Status
from invoicing.domain.stripe import request_params
from invoicing.domain.stripe.action_rules import InvoiceAction, InvoiceState, payment_problems
from invoicing.domain.stripe.projection import RECORD_KEY
from invoicing.errors import Rejected
from invoicing.ledger import intents
from invoicing.ledger.intents import ATTACH_PAYMENT, REPORT_PAYMENT
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
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that was received outside Stripe."""

    state: InvoiceState
    money: Money
    received_on: date
    paid_by: PaidBy
    reference: str
    subject: str
    digest: str


@step("check the payment")
def check_payment(
    state: InvoiceState,
    amount: Decimal | None,
    received_on: date | None,
    paid_by: PaidBy,
    reference: str,
    request_id: str,
) -> Payment:
    """Check a payment against what remains to be paid; one that was begun goes on.

    Raises:
        Rejected: with every mistake; nothing was written to Stripe.
    """
    subject, reference = request_subject(state, request_id), " ".join(reference.split())
    asked = None if amount is None else plain(amount)
    digest = fingerprint(state.stripe_id, asked, received_on, paid_by, reference)
    earlier = earlier_outcome(REPORT_PAYMENT, subject, digest, lambda _since: None)
    day = received_on or today()
    problems: list[str] = []
    if not earlier:
        paid = state.status is Status.PAID
        lost = stripe.client().money_back(invoice_now(state)).lost if paid else 0
        problems += payment_problems(state, amount, day, today(), lost)
    if not reference:
        problems += repeated_request_problems(
            REPORT_PAYMENT,
            state,
            request_id,
            digest,
            effect=ATTACH_PAYMENT,
            find_effect=lambda other, _since: _counted(state, _reported(other)),
            set_apart="a reference",
        )
    ways: tuple[str, ...] = get_args(PaidBy)
    dated = {fingerprint(state.stripe_id, asked, day, way, reference) for way in ways}
    undated = {fingerprint(state.stripe_id, asked, None, way, reference) for way in ways}
    if reference and _recorded_before(state, subject, day, dated, undated):
        problems.append(
            f"This payment was noted on {state.name} already: the same amount, day and reference "
            f"{reference!r}. If another one came in, say so in its reference."
        )
    if problems:
        raise Rejected(problems)
    if earlier:
        noted = stripe.client().payment_record(earlier)["amount_requested"]
        money = Money(noted["currency"], noted["value"])
    else:
        money = state.remaining if amount is None else Money.of(amount, state.currency)
    return Payment(state, money, day, paid_by, reference, subject, digest)


def _reported(subject: str) -> str | None:
    """The payment record that was made for a request."""
    reported = intents.find(REPORT_PAYMENT, subject)
    return reported.outcome if reported else None


def _counted(state: InvoiceState, payment_record: str | None) -> str | None:
    """The payment by which a reported one counts towards its invoice, if it does."""
    paid = stripe.client().paid_payments(state.stripe_id) if payment_record else []
    records = ((one["id"], one["payment"].get("payment_record")) for one in paid)
    return next((id_ for id_, reported in records if reported == payment_record), None)


def _recorded_before(
    state: InvoiceState, subject: str, day: date, dated: Collection[str], undated: Collection[str]
) -> bool:
    """Whether the same payment counts towards the invoice, because another request had it noted.

    Args:
        state: The invoice.
        subject: This request.
        day: When the money came in.
        dated: The digests of the same payment where that day was entered, whatever way it came.
        undated: Its digests where the day was left empty, for that of the request.
    """
    zone = settings().business.zone
    reported = {
        one.outcome
        for one in intents.concluded(REPORT_PAYMENT, f"{state.record_id}:")
        if one.subject != subject
        and (
            one.digest in dated
            or (one.digest in undated and one.intended_at.astimezone(zone).date() == day)
        )
    }
    counted = stripe.client().paid_payments(state.stripe_id) if reported else []
    return any(paid["payment"].get("payment_record") in reported for paid in counted)


@step("report the payment of {payment.money}")
def report_payment(payment: Payment) -> str:
    """Report a payment to Stripe with its reference and date; the id of its payment record.

    One whose answer was lost for longer than a key lives is reported again; the first is attached
    to nothing, and counts for nothing.
    """
    state, paid_by = payment.state, payment.paid_by.capitalize()
    params = request_params.reported_payment_params(
        payment.money,
        start_of_day(payment.received_on, settings().business.zone),
        paid_by=paid_by,
        description=f"{paid_by} for {state.name}",
        reference=payment.reference,
        metadata={
            RECORD_KEY: state.record_id,
            REQUEST_KEY: payment.subject,
            CONTENT_KEY: payment.digest,
        },
    )
    INVOICE.keep(state.record_id)
    return intents.once(
        REPORT_PAYMENT,
        payment.subject,
        digest=payment.digest,
        actor=run_id(),
        evidence=lambda _since: None,
        act=lambda key: stripe.client().report_payment(params, key)["id"],
    )


@step("attach the payment to the invoice")
def attach_payment(payment: Payment, payment_record: str) -> None:
    """Count a reported payment towards its invoice, once.

    Raises:
        Rejected: it no longer fits, because the customer has paid meanwhile; it counts for nothing.
    """
    client, stripe_id = stripe.client(), payment.state.stripe_id
    INVOICE.keep(payment.state.record_id)

    def attach(key: str) -> str:
        now, day = state_now(payment.state), payment.received_on
        refuse_changed(now, payment_problems(now, payment.money.decimal, day, day))
        with refusal_explained(InvoiceAction.PAY, payment.state):
            client.attach_payment(stripe_id, payment_record, key)
        return payment_record

    intents.once(
        ATTACH_PAYMENT,
        payment.subject,
        digest=fingerprint(payment_record),
        actor=run_id(),
        evidence=lambda _since: _counted(payment.state, payment_record),
        act=attach,
    )

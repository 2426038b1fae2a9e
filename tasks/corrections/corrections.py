"""Steps on invoices that were sent: void, write off, mail again, pay elsewhere, credit.

Each act is one request, named by its request id or by its run. Stripe is read before every
step; what an earlier run began for the same request is brought to its end, and what was done is
not done again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.forms.parameters import PaidBy
from invoicing.domain.model.dates import start_of_day
from invoicing.domain.model.money import Money, plain
from invoicing.domain.model.status import DELETABLE, Status, vanished_message
from invoicing.domain.stripe.projection import RECORD_KEY
from invoicing.domain.stripe.transitions import (
    RESULTING_STATUS,
    Credit,
    CreditRequest,
    InvoiceAction,
    InvoiceState,
    action_problems,
    invoice_state,
    payment_problems,
    plan_credit,
)
from invoicing.errors import Conflict, Rejected
from invoicing.ledger import intents, leases, links
from invoicing.ledger.intents import (
    ATTACH_PAYMENT,
    CREDIT,
    REPORT_PAYMENT,
    RESEND,
    VOID,
    WRITE_OFF,
)
from invoicing.settings import settings
from tasks.records.invoices import read_invoice, today
from tasks.runtime.retries import STEP
from tasks.runtime.run import run_id, this_attempt
from tasks.sending.email import is_mail_of, mail_once, mailed

REQUEST_KEY = "salesforce_request"
"""Metadata of what was made in Stripe: the request that it was made for."""

DUPLICATE_WINDOW = timedelta(minutes=5)
"""So long the same request of another run is taken for a button that was pressed twice."""

PAID_BACK_PARAMS = {
    "refund": "refund_amount",
    "customer balance": "credit_amount",
    "out of band": "out_of_band_amount",
}


def _subject(state: InvoiceState, request_id: str) -> str:
    """The intent's subject for an act that may be asked for several times: its request."""
    return f"{state.record_id}:{request_id or run_id()}"


def _digest(*asked: object) -> str:
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:32]


def _earlier_outcome(
    operation: str, subject: str, digest: str, evidence: Callable[[datetime], str | None]
) -> str | None:
    """Outcome of the same request earlier; None when it was not fulfilled yet.

    Raises:
        Rejected: the same request id asked for something else.
    """
    before = intents.find(operation, subject)
    if before is None:
        return None
    if before.digest != digest:
        raise Rejected(
            "This request id was used before, for something else; give the new request its own."
        )
    if before.outcome is None:
        found = evidence(before.intended_at)
        if found is not None:
            intents.conclude(operation, subject, found)
        return found
    return before.outcome


def _duplicate_problems(
    operation: str, state: InvoiceState, request_id: str, digest: str
) -> list[str]:
    """Reason why a request without an id is rejected, if another run has just had the same.

    A button pressed twice is two runs with one request; whoever wants it twice can say so. What
    was begun goes on.
    """
    subject = _subject(state, request_id)
    if request_id or intents.find(operation, subject):
        return []
    since = datetime.now(UTC) - DUPLICATE_WINDOW
    first = intents.find_duplicate(
        operation, f"{state.record_id}:", digest=digest, but=subject, since=since
    )
    if first is None:
        return []
    when = first.intended_at.astimezone(settings().business.zone)
    minutes = int(DUPLICATE_WINDOW.total_seconds() // 60)
    return [
        f"The same was asked for {state.name} at {when:%H:%M:%S}, by the run {first.actor}. If it "
        f"is wanted once more, give it a request id of its own, or wait until {minutes} minutes "
        "are over."
    ]


@task(task_run_name="read the invoice's state", **STEP)
def read_invoice_state(record_id: str) -> InvoiceState:
    """Read the record, and its invoice in Stripe as it is at this moment."""
    record = read_invoice.fn(record_id)
    stripe_id = record.stripe_id or links.stripe_id(record_id)
    invoice = stripe.client().invoice(stripe_id) if stripe_id else None
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
    operation: str, state: InvoiceState, to: Status, act: Callable[[str], stripe.Object]
) -> None:
    if state.status is to:
        get_run_logger().info("%s is %s already.", state.name, to)
        return
    leases.acquire(state.record_id, this_attempt())

    def reached(_since: datetime) -> str | None:
        now = stripe.client().invoice(state.stripe_id)
        return str(to) if now and Status.of_stripe(now["status"]) is to else None

    intents.once(
        operation,
        state.stripe_id,
        digest=_digest(state.stripe_id),
        actor=run_id(),
        evidence=reached,
        act=lambda key: str(act(key)["status"]),
    )


# Mail again


@task(task_run_name="mail it to {state.email} again", **STEP)
def mail_again(state: InvoiceState, request_id: str) -> None:
    """Have Stripe e-mail an invoice once more, once for each request.

    Raises:
        Rejected: the invoice's state does not allow it.
        Conflict: so long ago that Stripe no longer knows whether the mail went out.
    """
    subject, digest = _subject(state, request_id), _digest(state.stripe_id)

    def evidence(since: datetime) -> str | None:
        forgotten = (
            f"Stripe no longer tells whether {state.name} was mailed again on {since:%Y-%m-%d}. "
            "Ask the customer, and start again if need be."
        )
        return mailed(since, is_mail_of(RESEND, subject), forgotten)

    if _earlier_outcome(RESEND, subject, digest, evidence) is None:
        check_allowed.fn(InvoiceAction.RESEND, state)
        twice = _duplicate_problems(RESEND, state, request_id, digest)
        if twice:
            raise Rejected(twice)
        leases.acquire(state.record_id, this_attempt())
    when = mail_once(RESEND, subject, state.stripe_id, digest=digest, evidence=evidence)
    links.mark_sent(state.stripe_id, when)


# Money that came in outside Stripe


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


@task(task_run_name="check the payment", **STEP)
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
    subject = _subject(state, request_id)
    asked = None if amount is None else plain(amount)
    digest = _digest(state.stripe_id, asked, received_on, paid_by, reference)
    earlier = _earlier_outcome(REPORT_PAYMENT, subject, digest, lambda _since: None)
    day = received_on or today()
    problems = [] if earlier else list(payment_problems(state, amount, day, today()))
    if not reference:
        problems += _duplicate_problems(REPORT_PAYMENT, state, request_id, digest)
    if reference and not request_id and _recorded_before(state, subject, digest, received_on):
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


def _recorded_before(
    state: InvoiceState, subject: str, digest: str, received_on: date | None
) -> bool:
    """Whether the same payment counts towards the invoice, because another request had it noted."""
    zone = settings().business.zone
    reported = {
        one.outcome
        for one in intents.concluded(REPORT_PAYMENT, f"{state.record_id}:")
        if (one.digest == digest and one.subject != subject)
        and (received_on or one.intended_at.astimezone(zone).date() == today())
    }
    counted = stripe.client().paid_payments(state.stripe_id) if reported else []
    return any(paid["payment"].get("payment_record") in reported for paid in counted)


@task(task_run_name="report the payment of {payment.money}", **STEP)
def report_payment(payment: Payment) -> str:
    """Report a payment to Stripe with its reference and date; the id of its payment record.

    Stripe does not list payment records. One whose answer was lost for longer than a key lives
    is reported again; the first is attached to nothing, and counts for nothing.
    """
    state, currency = payment.state, payment.money.currency.lower()
    received = start_of_day(payment.received_on, settings().business.zone)
    params = {
        "amount_requested": {"currency": currency, "value": payment.money.minor},
        "initiated_at": received,
        "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": received},
        "description": f"{payment.paid_by.capitalize()} for {state.name}",
        "payment_method_details": {
            "type": "custom",
            "custom": {"display_name": payment.paid_by.capitalize()},
        },
        "metadata": {RECORD_KEY: state.record_id, REQUEST_KEY: payment.subject},
    }
    if payment.reference:
        custom = {"payment_reference": payment.reference}
        params["processor_details"] = {"type": "custom", "custom": custom}
    leases.acquire(state.record_id, this_attempt())
    return intents.once(
        REPORT_PAYMENT,
        payment.subject,
        digest=payment.digest,
        actor=run_id(),
        evidence=lambda _since: None,
        act=lambda key: str(stripe.client().report_payment(params, key)["id"]),
    )


@task(task_run_name="attach the payment to the invoice", **STEP)
def attach_payment(payment: Payment, payment_record: str) -> None:
    """Count a reported payment towards its invoice, once."""
    client, stripe_id = stripe.client(), payment.state.stripe_id
    leases.acquire(payment.state.record_id, this_attempt())

    def counted(_since: datetime) -> str | None:
        for paid in client.paid_payments(stripe_id):
            if paid["payment"].get("payment_record") == payment_record:
                return str(paid["id"])
        return None

    def attach(key: str) -> str:
        client.attach_payment(stripe_id, payment_record, key)
        return payment_record

    intents.once(
        ATTACH_PAYMENT,
        payment.subject,
        digest=_digest(payment_record),
        actor=run_id(),
        evidence=counted,
        act=attach,
    )


# Credit


@task(task_run_name="check the credit", **STEP)
def check_credit(state: InvoiceState, request: CreditRequest, request_id: str) -> Credit:
    """Work a credit note out and check it; the one that was issued for the same request, if any.

    Raises:
        Rejected: with every mistake; nothing was written to Stripe.
    """
    client, subject = stripe.client(), _subject(state, request_id)
    if _earlier_outcome(
        CREDIT, subject, _digest(state.stripe_id, request), _issued(state, subject)
    ):
        note = _note(state, subject) or {}
        total, off, back = (
            Money(state.currency, note[name])
            for name in ("amount", "pre_payment_amount", "post_payment_amount")
        )
        return Credit(total, off, back)
    payments = client.paid_payments(state.stripe_id) if state.stripe_id else []
    credit, problems = plan_credit(
        state,
        request,
        stripe_lines=client.invoice_lines(state.stripe_id)
        if request.lines and state.stripe_id
        else [],
        collected=sum(
            paid["amount_paid"] for paid in payments if paid["payment"]["type"] == "payment_intent"
        ),
    )
    twice = _duplicate_problems(CREDIT, state, request_id, _digest(state.stripe_id, request))
    if problems or twice:
        raise Rejected([*problems, *twice])
    return credit


@task(task_run_name="issue the credit note", **STEP)
def issue_credit_note(
    state: InvoiceState, request: CreditRequest, credit: Credit, request_id: str
) -> str:
    """Issue a credit note in Stripe, once for each request; its number."""
    subject = _subject(state, request_id)
    params: dict[str, object] = {
        "invoice": state.stripe_id,
        "email_type": "credit_note" if request.mail else "none",
        "metadata": {RECORD_KEY: state.record_id, REQUEST_KEY: subject},
    }
    if credit.lines:
        params["lines"] = list(credit.lines)
    else:
        params["amount"] = credit.total.minor
    if credit.back.minor:
        params[PAID_BACK_PARAMS[request.give_back]] = credit.back.minor
    if request.reason != "other":
        params["reason"] = request.reason.replace(" ", "_")
    if request.memo:
        params["memo"] = request.memo
    leases.acquire(state.record_id, this_attempt())
    intents.once(
        CREDIT,
        subject,
        digest=_digest(state.stripe_id, request),
        actor=run_id(),
        evidence=_issued(state, subject),
        act=lambda key: str(stripe.client().create_credit_note(params, key)["id"]),
    )
    return str((_note(state, subject) or {}).get("number", ""))


def _note(state: InvoiceState, subject: str) -> stripe.Object | None:
    """The credit note that was issued for a request."""
    for note in stripe.client().credit_notes(state.stripe_id):
        if (note["metadata"] or {}).get(REQUEST_KEY) == subject:
            return note
    return None


def _issued(state: InvoiceState, subject: str) -> Callable[[datetime], str | None]:
    def evidence(_since: datetime) -> str | None:
        note = _note(state, subject)
        return str(note["id"]) if note else None

    return evidence

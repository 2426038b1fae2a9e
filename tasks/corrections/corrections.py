"""Steps on invoices that were sent: void, write off, mail again, pay elsewhere, credit.

Each act is one wish of somebody, named by a request id or by its run. Stripe is read before
every step; what an earlier run began for the same wish is brought to its end, and what was
done is not done again.
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
from invoicing.domain.model.status import MAY_VANISH, Status, vanished
from invoicing.domain.stripe.projection import RECORD_KEY
from invoicing.domain.stripe.transitions import (
    COMES_TO,
    Act,
    Credit,
    CreditWish,
    Standing,
    act_problems,
    payment_problems,
    plan_credit,
    standing,
)
from invoicing.errors import Conflict, Refused
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
from tasks.sending.email import asked_for, mail_once, mailed

REQUEST_KEY = "salesforce_request"
"""Metadata of what we made in Stripe: whose wish it was."""

TWICE_WITHIN = timedelta(minutes=5)
"""So long the same wish of another run is taken for a button that was pressed twice."""

GIVEN_BACK_BY = {
    "refund": "refund_amount",
    "customer balance": "credit_amount",
    "out of band": "out_of_band_amount",
}


def _wish(at: Standing, request_id: str) -> str:
    """The subject of an act that may be wanted several times: whose wish it is."""
    return f"{at.record_id}:{request_id or run_id()}"


def _digest(*asked: object) -> str:
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:32]


def _done_before(
    operation: str, subject: str, digest: str, evidence: Callable[[datetime], str | None]
) -> str | None:
    """What came of the same wish earlier; None when it was not fulfilled yet.

    Raises:
        Refused: the same request id asked for something else.
    """
    before = intents.find(operation, subject)
    if before is None:
        return None
    if before.digest != digest:
        raise Refused(
            "This request id was used before, for something else; give the new request its own."
        )
    if before.outcome is None:
        found = evidence(before.intended_at)
        if found is not None:
            intents.conclude(operation, subject, found)
        return found
    return before.outcome


def _asked_twice(operation: str, at: Standing, request_id: str, digest: str) -> list[str]:
    """Why a wish without a request id is not fulfilled, if another run has just had the same.

    A button pressed twice is two runs with one wish; whoever wants it twice can say so. What was
    begun goes on.
    """
    wish = _wish(at, request_id)
    if request_id or intents.find(operation, wish):
        return []
    since = datetime.now(UTC) - TWICE_WITHIN
    first = intents.another(operation, f"{at.record_id}:", digest=digest, but=wish, since=since)
    if first is None:
        return []
    when = first.intended_at.astimezone(settings().business.zone)
    minutes = int(TWICE_WITHIN.total_seconds() // 60)
    return [
        f"The same was asked for {at.name} at {when:%H:%M:%S}, by the run {first.actor}. If it is "
        f"wanted once more, give it a request id of its own, or wait until {minutes} minutes are "
        "over."
    ]


@task(task_run_name="see where it stands", **STEP)
def read_standing(record_id: str) -> Standing:
    """Read the record, and its invoice in Stripe as it is at this moment."""
    record = read_invoice.fn(record_id)
    stripe_id = record.stripe_id or links.stripe_id(record_id)
    invoice = stripe.client().invoice(stripe_id) if stripe_id else None
    if stripe_id and not invoice and record.status not in MAY_VANISH:
        raise Conflict(f"{record.name}: {vanished(stripe_id, record.status)}")
    if invoice and stripe_id:
        links.link_invoice(stripe_id, record_id)
    return standing(
        record_id,
        record.name,
        record.account.name,
        record.lines,
        currency=record.currency,
        status=Status.DELETED if stripe_id and not invoice else record.status,
        invoice=invoice,
    )


@task(task_run_name="check that it is possible", **STEP)
def approve(act: Act, at: Standing) -> None:
    """Refuse what an invoice's state does not allow; what was reached already is fine.

    Raises:
        Refused: nothing was written to Stripe.
    """
    problems = list(act_problems(act, at))
    if problems and COMES_TO.get(act) is not at.status:
        raise Refused(problems)


@task(task_run_name="void it", **STEP)
def void(at: Standing) -> None:
    """Void an invoice in Stripe, once and for good."""
    _move(VOID, at, Status.VOID, lambda key: stripe.client().void(at.stripe_id, key))


@task(task_run_name="write it off", **STEP)
def write_off(at: Standing) -> None:
    """Mark an invoice as uncollectible in Stripe, once."""
    _move(
        WRITE_OFF,
        at,
        Status.UNCOLLECTIBLE,
        lambda key: stripe.client().mark_uncollectible(at.stripe_id, key),
    )


def _move(operation: str, at: Standing, to: Status, act: Callable[[str], stripe.Object]) -> None:
    if at.status is to:
        get_run_logger().info("%s is %s already.", at.name, to)
        return
    leases.acquire(at.record_id, this_attempt())

    def reached(_since: datetime) -> str | None:
        now = stripe.client().invoice(at.stripe_id)
        return str(to) if now and Status.of_stripe(now["status"]) is to else None

    intents.once(
        operation,
        at.stripe_id,
        digest=_digest(at.stripe_id),
        actor=run_id(),
        evidence=reached,
        act=lambda key: str(act(key)["status"]),
    )


# Mail again


@task(task_run_name="mail it to {at.email} again", **STEP)
def mail_again(at: Standing, request_id: str) -> None:
    """Have Stripe e-mail an invoice once more, once for each wish.

    Raises:
        Refused: the invoice's state does not allow it.
        Conflict: so long ago that Stripe no longer knows whether the mail went out.
    """
    subject, digest = _wish(at, request_id), _digest(at.stripe_id)

    def evidence(since: datetime) -> str | None:
        forgotten = (
            f"Stripe no longer tells whether {at.name} was mailed again on {since:%Y-%m-%d}. "
            "Ask the customer, and start anew if need be."
        )
        return mailed(since, asked_for(RESEND, subject), forgotten)

    if _done_before(RESEND, subject, digest, evidence) is None:
        approve.fn(Act.RESEND, at)
        twice = _asked_twice(RESEND, at, request_id, digest)
        if twice:
            raise Refused(twice)
        leases.acquire(at.record_id, this_attempt())
    when = mail_once(RESEND, subject, at.stripe_id, digest=digest, evidence=evidence)
    links.mark_sent(at.stripe_id, when)


# Money that came in outside Stripe


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that was received outside Stripe."""

    at: Standing
    money: Money
    received_on: date
    paid_by: PaidBy
    reference: str
    wish: str
    digest: str


@task(task_run_name="check the payment", **STEP)
def approve_payment(
    at: Standing,
    amount: Decimal | None,
    received_on: date | None,
    paid_by: PaidBy,
    reference: str,
    request_id: str,
) -> Payment:
    """Check a payment against what remains to be paid; one that was begun goes on.

    Raises:
        Refused: with every mistake; nothing was written to Stripe.
    """
    wish = _wish(at, request_id)
    asked = None if amount is None else plain(amount)
    digest = _digest(at.stripe_id, asked, received_on, paid_by, reference)
    begun = _done_before(REPORT_PAYMENT, wish, digest, lambda _since: None)
    day = received_on or today()
    problems = [] if begun else list(payment_problems(at, amount, day, today()))
    if not reference:
        problems += _asked_twice(REPORT_PAYMENT, at, request_id, digest)
    if reference and not request_id and _noted_before(at, wish, digest, received_on):
        problems.append(
            f"This payment was noted on {at.name} already: the same amount, day and reference "
            f"{reference!r}. If another one came in, say so in its reference."
        )
    if problems:
        raise Refused(problems)
    if begun:
        noted = stripe.client().payment_record(begun)["amount_requested"]
        money = Money(noted["currency"], noted["value"])
    else:
        money = at.remaining if amount is None else Money.of(amount, at.currency)
    return Payment(at, money, day, paid_by, reference, wish, digest)


def _noted_before(at: Standing, wish: str, digest: str, received_on: date | None) -> bool:
    """Whether the same payment counts towards the invoice, because another wish had it noted."""
    zone = settings().business.zone
    reported = {
        one.outcome
        for one in intents.concluded(REPORT_PAYMENT, f"{at.record_id}:")
        if (one.digest == digest and one.subject != wish)
        and (received_on or one.intended_at.astimezone(zone).date() == today())
    }
    counted = stripe.client().paid_payments(at.stripe_id) if reported else []
    return any(paid["payment"].get("payment_record") in reported for paid in counted)


@task(task_run_name="report the payment of {payment.money}", **STEP)
def report_payment(payment: Payment) -> str:
    """Report a payment to Stripe with its reference and date; the id of its payment record.

    Stripe does not list payment records. One whose answer was lost for longer than a key lives
    is reported anew; the first is attached to nothing, and counts for nothing.
    """
    at, currency = payment.at, payment.money.currency.lower()
    received = start_of_day(payment.received_on, settings().business.zone)
    params = {
        "amount_requested": {"currency": currency, "value": payment.money.minor},
        "initiated_at": received,
        "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": received},
        "description": f"{payment.paid_by.capitalize()} for {at.name}",
        "payment_method_details": {
            "type": "custom",
            "custom": {"display_name": payment.paid_by.capitalize()},
        },
        "metadata": {RECORD_KEY: at.record_id, REQUEST_KEY: payment.wish},
    }
    if payment.reference:
        custom = {"payment_reference": payment.reference}
        params["processor_details"] = {"type": "custom", "custom": custom}
    leases.acquire(at.record_id, this_attempt())
    return intents.once(
        REPORT_PAYMENT,
        payment.wish,
        digest=payment.digest,
        actor=run_id(),
        evidence=lambda _since: None,
        act=lambda key: str(stripe.client().report_payment(params, key)["id"]),
    )


@task(task_run_name="count it towards the invoice", **STEP)
def attach_payment(payment: Payment, payment_record: str) -> None:
    """Count a reported payment towards its invoice, once."""
    client, stripe_id = stripe.client(), payment.at.stripe_id
    leases.acquire(payment.at.record_id, this_attempt())

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
        payment.wish,
        digest=_digest(payment_record),
        actor=run_id(),
        evidence=counted,
        act=attach,
    )


# Credit


@task(task_run_name="check the credit", **STEP)
def approve_credit(at: Standing, wish: CreditWish, request_id: str) -> Credit:
    """Work a credit note out and check it; the one that was issued for the same wish, if any.

    Raises:
        Refused: with every mistake; nothing was written to Stripe.
    """
    client, subject = stripe.client(), _wish(at, request_id)
    if _done_before(CREDIT, subject, _digest(at.stripe_id, wish), _issued(at, subject)):
        note = _note(at, subject) or {}
        total, off, back = (
            Money(at.currency, note[name])
            for name in ("amount", "pre_payment_amount", "post_payment_amount")
        )
        return Credit(total, off, back)
    payments = client.paid_payments(at.stripe_id) if at.stripe_id else []
    credit, problems = plan_credit(
        at,
        wish,
        stripe_lines=client.invoice_lines(at.stripe_id) if wish.lines and at.stripe_id else [],
        collected=sum(
            paid["amount_paid"] for paid in payments if paid["payment"]["type"] == "payment_intent"
        ),
    )
    twice = _asked_twice(CREDIT, at, request_id, _digest(at.stripe_id, wish))
    if problems or twice:
        raise Refused([*problems, *twice])
    return credit


@task(task_run_name="issue the credit note", **STEP)
def issue_credit_note(at: Standing, wish: CreditWish, credit: Credit, request_id: str) -> str:
    """Issue a credit note in Stripe, once for each wish; its number."""
    subject = _wish(at, request_id)
    params: dict[str, object] = {
        "invoice": at.stripe_id,
        "email_type": "credit_note" if wish.mail else "none",
        "metadata": {RECORD_KEY: at.record_id, REQUEST_KEY: subject},
    }
    if credit.lines:
        params["lines"] = list(credit.lines)
    else:
        params["amount"] = credit.total.minor
    if credit.back.minor:
        params[GIVEN_BACK_BY[wish.give_back]] = credit.back.minor
    if wish.reason != "other":
        params["reason"] = wish.reason.replace(" ", "_")
    if wish.memo:
        params["memo"] = wish.memo
    leases.acquire(at.record_id, this_attempt())
    intents.once(
        CREDIT,
        subject,
        digest=_digest(at.stripe_id, wish),
        actor=run_id(),
        evidence=_issued(at, subject),
        act=lambda key: str(stripe.client().create_credit_note(params, key)["id"]),
    )
    return str((_note(at, subject) or {}).get("number", ""))


def _note(at: Standing, subject: str) -> stripe.Object | None:
    """The credit note that was issued for a wish."""
    for note in stripe.client().credit_notes(at.stripe_id):
        if (note["metadata"] or {}).get(REQUEST_KEY) == subject:
            return note
    return None


def _issued(at: Standing, subject: str) -> Callable[[datetime], str | None]:
    def evidence(_since: datetime) -> str | None:
        note = _note(at, subject)
        return str(note["id"]) if note else None

    return evidence

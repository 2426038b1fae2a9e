"""From draft to the customer: finalized, mailed or charged, once each.

Every step reads before it acts, and acts under the idempotency key that the ledger keeps for it,
so it may be repeated at any time, by this run or by a later one.
"""

from dataclasses import replace
from datetime import datetime

from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.amount_due import AmountDue, collection_problems
from invoicing.domain.model.dates import written
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice, sending_problems
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.action_rules import ALLOWED_STATUSES, NEXT_STEPS, InvoiceAction
from invoicing.domain.stripe.balances import amount_due
from invoicing.domain.stripe.payment_facts import payments_of, under_way
from invoicing.domain.stripe.resources import WholeInvoice
from invoicing.errors import Conflict, InvoicingError, Rejected, TransientError
from invoicing.ledger import intents
from invoicing.ledger.intents import AGREE, AGREE_TOTAL, CHARGE, FINALIZE, MAIL, SEND
from invoicing.settings import settings
from tasks.records.invoices import say_on_record
from tasks.records.linked_invoice import own_stripe_id
from tasks.records.locks import ACCOUNT, INVOICE
from tasks.records.starting_balance import owed_before, stripe_customer
from tasks.records.tax_rate_names import rate_problems
from tasks.records.timeline import add_entry
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step
from tasks.sending.agreed_content import content_of, note_seen, other_content
from tasks.sending.approval import approval_limit
from tasks.sending.mail_once import mail_once, mailed, write_down_mail
from tasks.sending.one_off_email import give_back_emails, is_same_email, lend_email


@step("check that it can be sent")
def check_sendable(invoice: Invoice, *, small_amount_is_meant: bool) -> None:
    """Refuse what cannot be sent; let a sending that was begun go on.

    Args:
        invoice: The record.
        small_amount_is_meant: Whether too little to be collected may go onto the next invoice.

    Raises:
        Rejected: with every reason; nothing was written to Stripe.
        Conflict: the record names the invoice of another; or it was made in Stripe, and says
            otherwise than when this run began.
    """
    earlier = intents.find(SEND, invoice.record_id)
    if earlier and earlier.outcome and earlier.actor == run_id():
        return
    if earlier and not earlier.outcome and intents.attempted(FINALIZE, invoice.record_id):
        get_run_logger().info("An earlier run began to send this invoice; going on from there.")
        return
    if earlier and earlier.outcome and _may_charge_again(invoice):
        get_run_logger().info("The bank debit of this invoice failed; it is charged once more.")
        for operation in (CHARGE, SEND):
            intents.reopen(operation, invoice.record_id, run_id())
        return
    if invoice.status is not Status.DRAFT:
        mailable = invoice.status in ALLOWED_STATUSES[InvoiceAction.RESEND]
        again = "To mail it again, press Resend on its page, or run resend-invoice."
        raise Rejected(
            f"{invoice.name} is {invoice.status}, and only a draft can be sent. "
            f"{again if mailable else NEXT_STEPS[invoice.status]}"
        )
    own_stripe_id(invoice)
    problems = sending_problems(invoice, today()) + rate_problems(invoice.billed.tax_rates)
    problems = problems or _collection_problems(invoice, small_amount_is_meant)
    if problems:
        raise Rejected([f"{invoice.name} cannot be sent.", *problems])
    if invoice.made_in_stripe and not note_seen(invoice):
        raise Conflict(
            f"{invoice.name} was not sent: it was made in Stripe, and was changed there after it "
            "was sent from here. Look at it, and send it again."
        )
    intents.intend(SEND, invoice.record_id, digest=invoice.content_digest, actor=run_id())


def _collection_problems(invoice: Invoice, small_amount_is_meant: bool) -> list[str]:
    """Say what can be said of the amount before there is a draft in Stripe, which has the rest.

    The customer's balance is asked for only where it decides, and taxes only ever add.
    """
    if not collection_problems(invoice.total, small_amount_is_meant=small_amount_is_meant):
        return []
    owed = owed_before(invoice, stripe_customer(invoice.account))
    taxed = invoice.billed.automatic_tax or bool(invoice.billed.tax_rates)
    return collection_problems(
        invoice.total + owed, small_amount_is_meant=small_amount_is_meant or taxed
    )


def check_collectable(invoice: Invoice, asked: AmountDue, *, small_amount_is_meant: bool) -> None:
    """Refuse to finalize what Stripe would not collect.

    Raises:
        Rejected: with the reason; the draft in Stripe stays a draft.
    """
    problems = collection_problems(asked.due, small_amount_is_meant=small_amount_is_meant)
    if problems and not asked.finalized:
        raise Rejected([f"{invoice.name} cannot be sent.", *problems])


def _may_charge_again(invoice: Invoice) -> bool:
    """Whether an invoice was to be charged by a bank debit, which has failed since."""
    charged = intents.find(CHARGE, invoice.record_id)
    if charged is None or charged.outcome == "paid" or not invoice.stripe_id:
        return False
    now = stripe.client().invoice_with_payments(invoice.stripe_id)
    return now is not None and now["status"] == "open" and not under_way(payments_of(now))


@step("make the invoice final in Stripe")
def finalize(stripe_id: str, invoice: Invoice, customer_id: str, asked: AmountDue) -> AmountDue:
    """Turn the draft into an open invoice, once, with the address that it is to go to.

    That address is the customer's until this moment. Where it is not the customer's own, it is lent
    and given back with nobody in between.

    Never with ``auto_advance``: Stripe would mail it by itself, and ours would be the second.

    What was said to be due is written down first, for balances move until this moment. A preview
    says it, but above the limit of approval only what was looked at last: nobody approved more. So
    is the total, for people change drafts in Stripe. They change texts, too, or lines so that the
    sum is the same: what became final is held to the content that was compared.

    Returns:
        What the customer is asked for in the end, and how its content differs from what was agreed.

    Raises:
        Conflict: it was finalized with another address; it is mailed to nobody.
    """
    INVOICE.keep(invoice.record_id)
    client = stripe.client()
    agreed, limit = asked.agreed or asked.due, approval_limit(invoice.currency)
    if limit is not None and agreed > limit:
        agreed = min(agreed, asked.due)
    if agreed != asked.agreed:
        intents.set_decision(
            AGREE,
            invoice.record_id,
            digest=invoice.content_digest,
            actor=run_id(),
            outcome=str(agreed.minor),
        )
    if not asked.finalized:
        intents.set_decision(
            AGREE_TOTAL,
            invoice.record_id,
            digest=invoice.content_digest,
            actor=run_id(),
            outcome=str(asked.total.minor),
        )
    agreed_total = asked.agreed_total if asked.finalized else asked.total
    seen: list[WholeInvoice] = []

    def frozen(now: WholeInvoice) -> str:
        seen.append(now)
        if not is_same_email(now["customer_email"], invoice.email):
            raise Conflict(
                f"{invoice.name} was not mailed: in Stripe it was finalized for "
                f"{now['customer_email'] or 'nobody'} and is to go to {invoice.email}. Press "
                "Void, then Clone, and send that draft."
            )
        return str(now["status"])

    def finalized(_since: datetime) -> str | None:
        now = client.invoice(stripe_id)
        return frozen(now) if now and now["status"] != "draft" else None

    with ACCOUNT.held(invoice.account.id):
        lend_email(stripe_id, invoice, customer_id)
        try:
            intents.once(
                FINALIZE,
                invoice.record_id,
                digest=fingerprint(stripe_id),
                actor=run_id(),
                evidence=finalized,
                act=lambda key: frozen(client.finalize(stripe_id, key)),
            )
        except TransientError:
            raise  # it may be under way still, and is tried again with the same address
        except InvoicingError:
            give_back_emails(invoice.account.id)
            raise
        give_back_emails(invoice.account.id)
    if not seen and (now := client.invoice(stripe_id)):
        frozen(now)
    get_run_logger().info("%s is finalized: numbered and frozen.", stripe_id)
    if not seen:
        return asked
    now = seen[-1]
    differing = other_content(invoice, content_of(now))
    return replace(amount_due(now, agreed, agreed_total), other_content=differing)


@step("mail it to {email}")
def mail(stripe_id: str, record_id: str, email: str) -> None:
    """Have Stripe e-mail the invoice, once.

    Raises:
        Conflict: so long ago that Stripe no longer knows whether the mail went out.
    """
    INVOICE.keep(record_id)

    def evidence(since: datetime) -> str | None:
        forgotten = (
            f"Stripe no longer tells whether {stripe_id} was mailed on {written(since)}. "
            "Ask the customer, and mail it from Stripe's dashboard if need be."
        )
        return mailed(since, lambda event: event["data"]["object"]["id"] == stripe_id, forgotten)

    when = mail_once(MAIL, record_id, stripe_id, digest=fingerprint(stripe_id), evidence=evidence)
    key = f"{record_id}-mailed-{int(when.timestamp())}"
    write_down_mail(key, record_id, stripe_id, f"Mailed to {email}", when)
    get_run_logger().info("Stripe has mailed it to %s.", email)


@step("charge the saved payment method")
def charge(stripe_id: str, record_id: str) -> bool:
    """Charge the customer, once.

    Returns:
        Whether it is paid; a bank debit is under way for days, and the invoice is open meanwhile.

    Raises:
        Rejected: the payment was declined. The invoice stays open; sending it again tries again.
    """
    INVOICE.keep(record_id)
    client = stripe.client()

    def charged(_since: datetime) -> str | None:
        now = client.invoice_with_payments(stripe_id)
        done = now and (now["status"] == "paid" or under_way(payments_of(now)))
        return str(now["status"]) if now and done else None

    status = intents.once(
        CHARGE,
        record_id,
        digest=fingerprint(stripe_id),
        actor=run_id(),
        evidence=charged,
        act=lambda key: str(client.pay(stripe_id, key)["status"]),
    )
    paid = status == "paid"
    get_run_logger().info("%s is %s.", stripe_id, "paid" if paid else "debited, which takes days")
    return paid


def enable_auto_advance(stripe_id: str) -> None:
    """Let Stripe remind and reconcile from now on, where the business wants it to.

    Only a draft and an open invoice take that, and one that was paid meanwhile needs it no more:
    https://docs.stripe.com/invoicing/integration/automatic-advancement-collection
    """
    if settings().stripe.auto_advance:
        _enable_auto_advance(stripe_id)


@step("let Stripe follow the payment from here")
def _enable_auto_advance(stripe_id: str) -> None:
    now = stripe.client().invoice(stripe_id)
    if now and now["status"] == "open":
        stripe.client().update_invoice(stripe_id, {"auto_advance": True})


@step("write on the record that it was sent")
def conclude_sending(
    record_id: str, stripe_id: str, asked: AmountDue, not_linked: str = ""
) -> None:
    """Write down that the whole sending came to its end, and what there is to say of it.

    Args:
        record_id: The record.
        stripe_id: The invoice.
        asked: Says why the total is not what is due.
        not_linked: Why the customer could not be written on the Account.
    """
    if asked.note:
        note = asked.note.strip()
        add_entry(f"{record_id}-due", record_id, note, stripe_id=stripe_id, amount=asked.due)
    if note := f"{asked.note}{not_linked}".strip():
        say_on_record(record_id, {record.SYNC_MESSAGE: note[: record.MESSAGE_LENGTH]})
    intents.conclude(SEND, record_id, stripe_id)

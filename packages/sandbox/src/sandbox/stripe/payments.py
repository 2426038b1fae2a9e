"""Money coming in on an invoice: intents, charges, invoice payments, and what they settle."""

from dataclasses import replace

from sandbox.stripe import (
    account_balance,
    balances,
    disputes,
    invoice_object,
    payment_methods,
    three_d_secure,
)
from sandbox.stripe.cards import CARDS, Card
from sandbox.stripe.context import Context
from sandbox.stripe.debits import Debit
from sandbox.stripe.errors import StripeError, wrong_state
from sandbox.stripe.payment_methods import Instrument
from sandbox.stripe.payment_objects import (
    new_charge,
    new_debit_charge,
    new_intent,
    new_invoice_payment,
    note_attempt,
)
from sandbox.stripe.store import Doc, public


def open_default(context: Context, invoice: Doc) -> None:
    """Give a finalized invoice its default payment, for all that is due."""
    intent = new_intent(context, invoice["amount_due"], invoice["currency"], invoice["customer"])
    intent["description"] = f"Payment for Invoice {invoice['number']}"
    intent["_"] = {"invoice": invoice["id"]}
    context.add("payment_intent", intent)
    payment = new_invoice_payment(context, invoice, invoice["amount_due"], intent["id"])
    context.add("invoice_payment", payment, "invoice_payment.open")


def default_payment(context: Context, invoice: Doc) -> Doc | None:
    """Return the invoice's default payment while it is open."""
    for payment in context.space.find(
        "invoice_payment", {"invoice": invoice["id"], "status": "open"}
    ):
        if payment["is_default"]:
            return payment
    return None


def charge(
    context: Context, invoice: Doc, amount: int, card: Instrument, method: str, *, off_session: bool
) -> Doc:
    """Charge a card or a bank account for an invoice, fully or in part.

    Returns:
        The invoice, settled as far as the payment goes; open as before while a debit is under way.

    Raises:
        StripeError: 402 if the card is declined, or the payer has to confirm the payment; the
            attempt stays recorded.
    """
    payment, intent = _payment_for(context, invoice, amount)
    if isinstance(card, Debit):
        _submit(context, intent, card, method, invoice)
        return invoice
    if card.declines:
        raise _declined(context, invoice, intent, card, method)
    if card.authenticates:
        three_d_secure.demand(context, intent, method, invoice, off_session=off_session)
        raise three_d_secure.required(intent)
    note_attempt(invoice)
    return _collect(context, intent, card, method, (payment, invoice))


def charge_without_intent(context: Context, invoice: Doc) -> Doc:
    """Let an invoice have been paid by a charge that has no payment intent.

    So were those finalized before 2019-03-15, and their payments name the charge.
    Source: the SDK's docstrings of ``InvoicePayment.Payment``.

    Returns:
        The charge.
    """
    asked = {
        "id": None,
        "amount": invoice["amount_remaining"],
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": f"Payment for Invoice {invoice['number']}",
    }
    card = CARDS[0]
    made = new_charge(context, asked, card, card.token)
    account_balance.charged(context, made)
    context.add("charge", made, "charge.succeeded")
    payment = new_invoice_payment(
        context, invoice, made["amount"], charge=made["id"], default=False
    )
    attach(context, invoice, payment, made["amount"])
    return made


def confirm(context: Context, intent: Doc, *, off_session: bool = False) -> Doc:
    """Charge an intent's card and settle the invoice the intent is attached to.

    Returns:
        The intent: succeeded, or waiting for its payer.

    Raises:
        StripeError: 402 if the card is declined, as it is where its payer is not there to confirm.
    """
    method = intent["payment_method"]
    card = payment_methods.instrument_of(context, method)
    attached = _attached(context, intent["id"])
    invoice = attached[1] if attached else None
    if isinstance(card, Debit):
        _submit(context, intent, card, method, invoice)
        return intent
    if card.authenticates and off_session:
        required = "authentication_required"
        card = replace(card, code=required, decline_code=required)
    if card.declines:
        raise _declined(context, invoice, intent, card, method)
    if card.authenticates:
        three_d_secure.demand(context, intent, method, invoice, off_session=False)
    else:
        _collect(context, intent, card, method, attached)
    return intent


def authenticated(context: Context, intent: Doc, *, confirmed: bool) -> None:
    """Go on with a payment that waited for its payer, who has confirmed it or would not.

    What nobody is to pay any more is not collected.
    """
    method, attached = intent["payment_method"], _attached(context, intent["id"])
    if attached and attached[1]["status"] not in ("open", "uncollectible"):
        cancel_intent(context, intent, None)
    elif confirmed:
        card = payment_methods.instrument_of(context, method)
        if isinstance(card, Card):
            _collect(context, intent, card, method, attached)
    else:
        _fail(context, attached[1] if attached else None, intent, three_d_secure.failure())


def under_way(context: Context, invoice: Doc) -> bool:
    """Return whether a bank is still to say what becomes of a payment of the invoice."""
    payment = default_payment(context, invoice)
    if payment is None:
        return False
    intent = context.require("payment_intent", payment["payment"]["payment_intent"])
    return bool(intent["status"] == "processing")


def require_settled(context: Context, invoice: Doc, verb: str) -> None:
    """Refuse what cannot be done to an invoice while a payment of it is under way.

    Source for voiding: https://github.com/frappe/press/pull/2421

    Raises:
        StripeError: 400.
    """
    if under_way(context, invoice):
        raise wrong_state(
            f"You can't {verb} this invoice: its payment is processing.",
            "payment_intent_unexpected_state",
        )


def end_debit(context: Context, intent: Doc, code: str | None = None) -> Doc:
    """Let a debit that is under way succeed, or fail for a reason.

    Args:
        context: The act.
        intent: A payment intent that is processing.
        code: Why it failed, as a charge's ``failure_code``; None if it succeeded.
    """
    if intent["status"] != "processing":
        raise wrong_state("This payment is not under way.", "payment_intent_unexpected_state")
    pending = context.require("charge", intent["latest_charge"])
    debit = payment_methods.instrument_of(context, pending["payment_method"])
    attached = _attached(context, intent["id"])
    intent["_"]["settles_at"] = None
    if code:
        pending |= {
            "amount_captured": 0,
            "captured": False,
            "failure_code": code,
            "failure_message": "The bank did not carry out the debit.",
            "status": "failed",
        }
        context.space.update("charge", pending)
        context.emit("charge.failed", pending)
        error = StripeError(
            pending["failure_message"], status=402, kind="card_error", code=code, keep=True
        )
        payable = attached and attached[1]["status"] in ("open", "uncollectible")
        _fail(context, attached[1] if attached and payable else None, intent, error)
        return intent
    pending |= {"paid": True, "status": "succeeded"}
    account_balance.charged(context, pending)
    context.space.update("charge", pending)
    context.emit("charge.succeeded", pending)
    _succeed(context, intent, pending, pending["payment_method"])
    if attached:
        settle_payment(context, attached[1], attached[0], intent["amount"])
    if debit.disputed:
        disputes.open_dispute(context, pending)
    return intent


def attach(context: Context, invoice: Doc, payment: Doc, amount: int | None) -> Doc:
    """Attach a payment to an invoice; what was paid already counts at once.

    Args:
        context: The act.
        invoice: An open or uncollectible invoice.
        payment: A new invoice payment, not stored yet.
        amount: What has been paid, or None if that is still to come.
    """
    context.space.insert("invoice_payment", payment)
    if amount is None:
        return invoice
    return settle_payment(context, invoice, payment, amount)


def _attached(context: Context, intent_id: str) -> tuple[Doc, Doc] | None:
    """Return the open payment made of an intent, and its invoice."""
    filters = {"payment.payment_intent": intent_id, "status": "open"}
    for payment in context.space.find("invoice_payment", filters):
        return payment, context.require("invoice", payment["invoice"])
    return None


def settle_payment(context: Context, invoice: Doc, payment: Doc, amount: int) -> Doc:
    """Count a payment towards its invoice; what is too much becomes the customer's credit."""
    payment |= {"amount_paid": amount, "status": "paid"}
    payment["status_transitions"]["paid_at"] = context.now
    context.space.update("invoice_payment", payment)
    context.emit("invoice_payment.paid", payment)
    overpaid = max(0, amount - invoice["amount_remaining"])
    invoice["amount_paid"] += amount - overpaid
    invoice["amount_overpaid"] += overpaid
    invoice_object.settle(invoice, invoice["amount_due"])
    if overpaid:
        currency = invoice["currency"]
        balances.change(
            context, invoice["customer"], -overpaid, "invoice_overpaid", currency, invoice
        )
    if invoice["status"] == "paid":
        context.save("invoice", invoice, "invoice.updated")
        context.emit("invoice.overpaid", invoice)
        return invoice
    if invoice["amount_remaining"] == 0:
        return mark_paid(context, invoice, collected=payment["payment"]["type"] == "payment_intent")
    keep_in_step(context, invoice)
    return context.save("invoice", invoice, "invoice.updated")


def mark_paid(context: Context, invoice: Doc, *, collected: bool) -> Doc:
    """Close an invoice of which nothing remains.

    Args:
        context: The act.
        invoice: The invoice.
        collected: A payment through Stripe succeeded, which alone ``invoice.payment_succeeded``
            tells of; not so where nothing was due, or too little to be charged.

    Source: https://docs.stripe.com/invoicing/overview, "Paid invoices"
    """
    close_default(context, invoice)
    invoice |= {"status": "paid", "attempted": True, "next_payment_attempt": None}
    invoice["status_transitions"]["paid_at"] = context.now
    context.save("invoice", invoice, "invoice.updated")
    context.emit("invoice.paid", invoice)
    if collected:
        context.emit("invoice.payment_succeeded", invoice)
    if invoice["amount_overpaid"]:
        context.emit("invoice.overpaid", invoice)
    return invoice


def unapply(context: Context, invoice: Doc) -> Doc:
    """Take the newest payment off a paid invoice, as people do in the dashboard: it is open again.

    A default payment asks for what is due again. That the payment is canceled, that nothing tells
    when the invoice was paid, and that of events there is ``invoice.updated``, is believed.
    Sources: https://docs.stripe.com/invoicing/payment-application and
    https://docs.stripe.com/changelog/clover/2026-01-28/detach-payment-from-invoice (a preview)

    Raises:
        StripeError: It is not paid, or by no payment.
    """
    paid = context.space.find("invoice_payment", {"invoice": invoice["id"], "status": "paid"})
    if invoice["status"] != "paid" or not paid:
        raise wrong_state("Only a payment of a paid invoice can be unapplied.")
    payment = paid[-1]
    invoice["amount_paid"] -= payment["amount_paid"]
    payment |= {"amount_paid": None, "status": "canceled"}
    payment["status_transitions"] |= {"canceled_at": context.now, "paid_at": None}
    context.space.update("invoice_payment", payment)
    invoice["status"] = "open"
    invoice["status_transitions"]["paid_at"] = None
    invoice_object.settle(invoice, invoice["amount_due"])
    open_default(context, invoice)
    keep_in_step(context, invoice)
    return context.save("invoice", invoice, "invoice.updated")


def keep_in_step(context: Context, invoice: Doc) -> None:
    """Let the default payment ask for exactly what remains; one under way asks for what it did."""
    payment = default_payment(context, invoice)
    if payment is None or under_way(context, invoice):
        return
    payment["amount_requested"] = invoice["amount_remaining"]
    context.space.update("invoice_payment", payment)
    intent = context.require("payment_intent", payment["payment"]["payment_intent"])
    intent["amount"] = invoice["amount_remaining"]
    context.space.update("payment_intent", intent)


def close_default(context: Context, invoice: Doc, reason: str | None = None) -> None:
    """Cancel the default payment of an invoice that no longer needs it, if it is not under way."""
    payment = default_payment(context, invoice)
    if payment is None or under_way(context, invoice):
        return
    payment["status"] = "canceled"
    payment["status_transitions"]["canceled_at"] = context.now
    context.space.update("invoice_payment", payment)
    context.emit("invoice_payment.canceled", payment)
    intent = context.require("payment_intent", payment["payment"]["payment_intent"])
    cancel_intent(context, intent, reason)


def cancel_intent(context: Context, intent: Doc, reason: str | None) -> None:
    """Cancel a payment that is not to be made any more."""
    intent |= {
        "status": "canceled",
        "canceled_at": context.now,
        "cancellation_reason": reason,
        "next_action": None,
    }
    context.space.update("payment_intent", intent)
    context.emit("payment_intent.canceled", intent)


def _payment_for(context: Context, invoice: Doc, amount: int) -> tuple[Doc, Doc]:
    """Return the default payment and its intent, or new ones for a part of the amount."""
    payment = default_payment(context, invoice)
    if payment and amount == payment["amount_requested"]:
        return payment, context.require("payment_intent", payment["payment"]["payment_intent"])
    intent = new_intent(context, amount, invoice["currency"], invoice["customer"])
    intent["_"] = {"invoice": invoice["id"]}
    context.add("payment_intent", intent)
    payment = new_invoice_payment(context, invoice, amount, intent["id"], default=False)
    context.space.insert("invoice_payment", payment)
    return payment, intent


def _submit(context: Context, intent: Doc, debit: Debit, method: str, invoice: Doc | None) -> None:
    """Send a debit to the bank: it is under way from now on, and its invoice stays open."""
    if intent["currency"] != debit.currency:
        raise wrong_state(
            f"{debit.kind} payments can only be made in {debit.currency}.", param="payment_method"
        )
    pending = new_debit_charge(context, intent, debit, method)
    context.add("charge", pending, "charge.pending")
    intent["_"]["settles_at"] = context.now + debit.seconds(livemode=context.livemode)
    intent |= {
        "last_payment_error": None,
        "latest_charge": pending["id"],
        "payment_method": method,
        "payment_method_types": [debit.kind],
        "status": "processing",
    }
    context.space.update("payment_intent", intent)
    context.emit("payment_intent.processing", intent)
    if invoice:
        note_attempt(invoice)
        context.save("invoice", invoice, "invoice.updated")


def _collect(
    context: Context, intent: Doc, card: Card, method: str, attached: tuple[Doc, Doc] | None
) -> Doc:
    """Take an intent's money; returns the invoice that it settles, or the intent without one."""
    paid_charge = new_charge(context, intent, card, method)
    account_balance.charged(context, paid_charge)
    context.add("charge", paid_charge, "charge.succeeded")
    _succeed(context, intent, paid_charge, method)
    settled = intent
    if attached:
        payment, invoice = attached
        settled = settle_payment(context, invoice, payment, intent["amount"])
    if card.disputed:
        disputes.open_dispute(context, paid_charge)
    return settled


def _succeed(context: Context, intent: Doc, paid_charge: Doc, method: str) -> None:
    intent |= {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "latest_charge": paid_charge["id"],
        "next_action": None,
        "payment_method": method,
        "status": "succeeded",
    }
    context.space.update("payment_intent", intent)
    context.emit("payment_intent.succeeded", intent)


def _declined(
    context: Context, invoice: Doc | None, intent: Doc, card: Card, method: str
) -> StripeError:
    """Record a refused charge and return the error that says so."""
    failed = new_charge(context, intent, card, method)
    context.add("charge", failed, "charge.failed")
    error = StripeError(
        "Your card was declined.",
        status=402,
        kind="card_error",
        code=card.code,
        keep=True,
        extra={"charge": failed["id"]}
        | ({"decline_code": card.decline_code} if card.decline_code else {}),
    )
    intent["latest_charge"] = failed["id"]
    _fail(context, invoice, intent, error)
    error.body["payment_intent"] = public(intent)
    return error


def _fail(context: Context, invoice: Doc | None, intent: Doc, error: StripeError) -> None:
    """Record that an attempt to pay came to nothing."""
    intent |= {
        "last_payment_error": dict(error.body),
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    context.space.update("payment_intent", intent)
    context.emit("payment_intent.payment_failed", intent)
    if invoice:
        note_attempt(invoice)
        context.save("invoice", invoice, "invoice.updated")
        context.emit("invoice.payment_failed", invoice)

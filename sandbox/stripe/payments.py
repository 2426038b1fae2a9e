"""Money coming in on an invoice: intents, charges, invoice payments, and what they settle."""

from sandbox.stripe import invoicing, payment_methods, refunds
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.ids import new_id
from sandbox.stripe.payment_objects import new_charge, new_intent, new_invoice_payment
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


def charge(context: Context, invoice: Doc, amount: int, card: Card, method: str) -> Doc:
    """Charge a card for an invoice, fully or in part.

    Returns:
        The invoice, settled as far as the payment goes.

    Raises:
        StripeError: 402 if the card is declined; the attempt stays recorded.
    """
    payment, intent = _payment_for(context, invoice, amount)
    if card.declines:
        raise _declined(context, invoice, intent, card, method)
    paid_charge = new_charge(context, intent, card, method)
    context.add("charge", paid_charge, "charge.succeeded")
    _succeed(context, intent, paid_charge, method)
    invoice["attempted"] = True
    invoice["attempt_count"] += payment["is_default"]
    invoice = settle_payment(context, invoice, payment, amount)
    if card.disputed:
        refunds.open_dispute(context, paid_charge)
    return invoice


def confirm(context: Context, intent: Doc) -> Doc:
    """Charge an intent's card and settle the invoice the intent is attached to.

    Raises:
        StripeError: 402 if the card is declined.
    """
    method = intent["payment_method"]
    card = payment_methods.card_of(context, method)
    attached = _attached(context, intent["id"])
    if card.declines:
        raise _declined(context, attached[1] if attached else None, intent, card, method)
    paid_charge = new_charge(context, intent, card, method)
    context.add("charge", paid_charge, "charge.succeeded")
    _succeed(context, intent, paid_charge, method)
    if attached:
        payment, invoice = attached
        settle_payment(context, invoice, payment, intent["amount"])
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
    invoicing.settle(invoice, invoice["amount_due"])
    if overpaid:
        change_balance(context, invoice["customer"], -overpaid, "invoice_overpaid", invoice)
    if invoice["amount_remaining"] == 0:
        return mark_paid(context, invoice, collected=payment["payment"]["type"] == "payment_intent")
    keep_in_step(context, invoice)
    return context.save("invoice", invoice, "invoice.updated")


def mark_paid(context: Context, invoice: Doc, *, collected: bool) -> Doc:
    """Close an invoice of which nothing remains.

    Args:
        context: The act.
        invoice: The invoice.
        collected: Stripe itself collected it (or there was nothing to collect), rather than the
            merchant saying it was settled elsewhere.
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


def keep_in_step(context: Context, invoice: Doc) -> None:
    """Let the default payment ask for exactly what remains."""
    payment = default_payment(context, invoice)
    if payment is None:
        return
    payment["amount_requested"] = invoice["amount_remaining"]
    context.space.update("invoice_payment", payment)
    intent = context.require("payment_intent", payment["payment"]["payment_intent"])
    intent["amount"] = invoice["amount_remaining"]
    context.space.update("payment_intent", intent)


def close_default(context: Context, invoice: Doc, reason: str | None = None) -> None:
    """Cancel the default payment of an invoice that no longer needs it."""
    payment = default_payment(context, invoice)
    if payment is None:
        return
    payment["status"] = "canceled"
    payment["status_transitions"]["canceled_at"] = context.now
    context.space.update("invoice_payment", payment)
    context.emit("invoice_payment.canceled", payment)
    intent = context.require("payment_intent", payment["payment"]["payment_intent"])
    intent |= {"status": "canceled", "canceled_at": context.now, "cancellation_reason": reason}
    context.space.update("payment_intent", intent)
    context.emit("payment_intent.canceled", intent)


def change_balance(
    context: Context, customer_id: str, amount: int, kind: str, invoice: Doc | None = None
) -> Doc:
    """Move a customer's balance and keep the record of it. Credit is negative."""
    customer = context.require("customer", customer_id)
    customer["balance"] += amount
    customer["currency"] = customer["currency"] or (invoice or {}).get("currency")
    context.space.update("customer", customer)
    entry: Doc = {
        "id": new_id("customer_balance_transaction"),
        "object": "customer_balance_transaction",
        "amount": amount,
        "checkout_session": None,
        "created": context.now,
        "credit_note": None,
        "currency": customer["currency"] or context.account.currency,
        "customer": customer_id,
        "customer_account": None,
        "description": None,
        "ending_balance": customer["balance"],
        "invoice": invoice["id"] if invoice else None,
        "livemode": context.livemode,
        "metadata": {},
        "type": kind,
    }
    context.space.insert("customer_balance_transaction", entry)
    return entry


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


def _succeed(context: Context, intent: Doc, paid_charge: Doc, method: str) -> None:
    intent |= {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "latest_charge": paid_charge["id"],
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
    intent |= {
        "last_payment_error": dict(error.body),
        "latest_charge": failed["id"],
        "payment_method": None,
        "status": "requires_payment_method",
    }
    context.space.update("payment_intent", intent)
    context.emit("payment_intent.payment_failed", intent)
    if invoice:
        invoice["attempted"] = True
        invoice["attempt_count"] += 1
        context.save("invoice", invoice, "invoice.updated")
        context.emit("invoice.payment_failed", invoice)
    error.body["payment_intent"] = public(intent)
    return error

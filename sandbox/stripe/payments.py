"""Money coming in on an invoice: intents, charges, invoice payments, and what they settle."""

from sandbox.stripe import invoicing, payment_methods, refunds
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.ids import new_id, token
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
    paid_charge = _new_charge(context, intent, card, method)
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
    paid_charge = _new_charge(context, intent, card, method)
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


def new_intent(context: Context, amount: int, currency: str, customer: str | None) -> Doc:
    """Build a payment intent that waits for a payment method."""
    intent_id = new_id("payment_intent")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{token(25)}",
        "confirmation_method": "automatic",
        "created": context.now,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": context.livemode,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def new_invoice_payment(
    context: Context,
    invoice: Doc,
    amount: int,
    payment_intent: str | None = None,
    *,
    payment_record: str | None = None,
    default: bool = True,
) -> Doc:
    """Build the link between an invoice and a payment."""
    payment: Doc
    if payment_record:
        payment = {"payment_record": payment_record, "type": "payment_record"}
    else:
        payment = {"payment_intent": payment_intent, "type": "payment_intent"}
    return {
        "id": new_id("invoice_payment"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": amount,
        "created": context.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": default,
        "livemode": context.livemode,
        "payment": payment,
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


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


def _new_charge(context: Context, intent: Doc, card: Card, method: str) -> Doc:
    charge_id = new_id("charge")
    failed = card.declines
    return {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if failed else intent["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None if failed else f"txn_1{token(23)}",
        "billing_details": {
            "address": {
                "city": None,
                "country": None,
                "line1": None,
                "line2": None,
                "postal_code": None,
                "state": None,
            },
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": context.account.name.upper()[:22],
        "captured": not failed,
        "created": context.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": card.code,
        "failure_message": "Your card was declined." if failed else None,
        "fraud_details": {},
        "livemode": context.livemode,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "declined_by_network" if failed else "approved_by_network",
            "reason": card.decline_code,
            "risk_level": "normal",
            "seller_message": "The bank declined the payment." if failed else "Payment complete.",
            "type": "issuer_declined" if failed else "authorized",
        },
        "paid": not failed,
        "payment_intent": intent["id"],
        "payment_method": method,
        "payment_method_details": {
            "card": {
                "brand": card.brand,
                "country": "US",
                "exp_month": 12,
                "exp_year": 2034,
                "funding": "credit",
                "last4": card.last4,
                "network": card.brand,
            },
            "type": "card",
        },
        "presentment_details": None,
        "radar_options": {},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "failed" if failed else "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def _declined(
    context: Context, invoice: Doc | None, intent: Doc, card: Card, method: str
) -> StripeError:
    """Record a refused charge and return the error that says so."""
    failed = _new_charge(context, intent, card, method)
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

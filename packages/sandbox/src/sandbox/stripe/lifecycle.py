"""The invoice's states and the moves between them.

The table of https://docs.stripe.com/invoicing/integration/workflow-transitions; that a paid invoice
can be open again, which that table leaves out, is in ``payments``.
"""

from sandbox.common.hosted_invoice_url import PAGE_LENGTH, READ, page_name
from sandbox.stripe import balances, invoice_object, mail, money, payment_objects, payments
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid, wrong_state
from sandbox.stripe.ids import token
from sandbox.stripe.payment_methods import Instrument
from sandbox.stripe.store import Doc


def finalize(context: Context, invoice: Doc) -> Doc:
    """Freeze a draft: it gets its number, its pages and its payment, and is open.

    An invoice of which nothing is due is paid at once; so is one of which too little or too much is
    due to be charged: it goes onto the customer's balance, and with it onto the next invoice.
    (Not so where the customer has a cash balance; none has one here.)
    Sources: the SDK's docstrings of ``Invoice`` and of its ``amount_due``,
    https://docs.stripe.com/billing/customer/balance and
    https://docs.stripe.com/api/customer_balance_transactions/object (invoice_too_large)

    One without tax ids of the account's own gets the usual ones.
    Source: https://docs.stripe.com/invoicing/taxes/account-tax-ids

    Raises:
        StripeError: If it is no draft, or its due date has passed.
    """
    if invoice["status"] != "draft":
        raise wrong_state(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            "invoice_not_editable",
        )
    check_due_date(context, invoice["due_date"])
    customer = context.require("customer", invoice["customer"])
    invoice_object.mirror_customer(invoice, customer)
    invoice_object.recompute(context, invoice)
    if invoice["automatic_tax"]["status"] == "requires_location_inputs":
        raise _failed(context, invoice)
    if not invoice["account_tax_ids"]:
        invoice["account_tax_ids"] = context.sandbox.settings.default_account_tax_ids or None
    _number(context, invoice, customer)
    _apply_balance(context, invoice)
    _publish(context, invoice)
    invoice |= {"status": "open", "effective_at": invoice["effective_at"] or context.now}
    invoice["status_transitions"]["finalized_at"] = context.now
    if invoice["amount_due"]:
        payments.open_default(context, invoice)
    context.save("invoice", invoice, "invoice.updated")
    context.emit("invoice.finalized", invoice)
    if not invoice["amount_due"]:
        invoice = payments.mark_paid(context, invoice, collected=False)
    if invoice["from_invoice"]:
        void(context, context.require("invoice", invoice["from_invoice"]["invoice"]))
    return invoice


def collect_automatically(context: Context, invoice: Doc) -> Doc:
    """Do what Stripe does by itself after finalization when ``auto_advance`` is on.

    Source: https://docs.stripe.com/invoicing/integration/workflow-transitions, "Emails after
    finalization", of an account that lets finalized invoices be e-mailed.
    """
    if not invoice["auto_advance"] or invoice["status"] != "open":
        return invoice
    if invoice["collection_method"] == "send_invoice":
        _send(context, invoice)
    return invoice


def send(context: Context, invoice: Doc) -> Doc:
    """E-mail an invoice to its customer, finalizing a draft first.

    Raises:
        StripeError: If it cannot be sent: charged automatically, void, or no e-mail address.
    """
    if invoice["collection_method"] != "send_invoice":
        raise wrong_state(
            "You can only manually send an invoice if its collection method is 'send_invoice'."
        )
    if invoice["status"] in ("void", "uncollectible"):
        raise wrong_state(f"You can't send an invoice that is {invoice['status']}.")
    customer = context.require("customer", invoice["customer"])
    if not (customer["email"] if invoice["status"] == "draft" else invoice["customer_email"]):
        raise missing_email()
    if invoice["status"] == "draft":
        invoice = finalize(context, invoice)
    return _send(context, invoice)


def payable(context: Context, invoice: Doc) -> Doc:
    """Return an invoice that can take a payment; a draft is finalized first, and may be paid by it.

    Raises:
        StripeError: If it is paid already, or void.
    """
    if invoice["status"] == "draft":
        return finalize(context, invoice)
    if invoice["status"] == "paid":
        raise wrong_state("Invoice is already paid")
    require_status(invoice, ("open", "uncollectible"), "pay")
    return invoice


def pay(
    context: Context,
    invoice: Doc,
    card: Instrument,
    method: str,
    amount: int | None = None,
    *,
    off_session: bool = True,
) -> Doc:
    """Charge a card or a bank account for what remains of a payable invoice, or for a part of it.

    Raises:
        StripeError: If the amount is out of bounds, the card is declined, the customer has to
            confirm the payment, or another payment is under way.
    """
    payments.require_settled(context, invoice, "pay")
    charged = invoice["amount_remaining"] if amount is None else amount
    if not 0 < charged <= invoice["amount_remaining"]:
        raise invalid("The amount must be more than 0 and at most what remains.", "amount")
    return payments.charge(context, invoice, charged, card, method, off_session=off_session)


def pay_out_of_band(context: Context, invoice: Doc) -> Doc:
    """Note that the invoice was paid outside Stripe."""
    payments.require_settled(context, invoice, "pay")
    earlier = invoice["_"].get("paid_off_stripe", 0)
    invoice["_"]["paid_off_stripe"] = earlier + invoice["amount_remaining"]
    invoice["amount_paid"] = invoice["amount_due"]
    invoice_object.settle(invoice, invoice["amount_due"])
    return payments.mark_paid(context, invoice, collected=False)


def void(context: Context, invoice: Doc) -> Doc:
    """Void an open or uncollectible invoice, for good."""
    require_status(invoice, ("open", "uncollectible"), "void")
    payments.require_settled(context, invoice, "void")
    payments.close_default(context, invoice, "void_invoice")
    _return_balance(context, invoice)
    invoice |= {"status": "void", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = context.now
    context.save("invoice", invoice, "invoice.updated")
    context.emit("invoice.voided", invoice)
    return invoice


def mark_uncollectible(context: Context, invoice: Doc) -> Doc:
    """Give an open invoice up; it can still be paid or voided."""
    require_status(invoice, ("open",), "mark as uncollectible")
    invoice |= {"status": "uncollectible", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_details"] = {"uncollectible": {"reason": "user_forgiven"}}
    invoice["status_transitions"]["marked_uncollectible_at"] = context.now
    context.save("invoice", invoice, "invoice.updated")
    context.emit("invoice.marked_uncollectible", invoice)
    return invoice


def attach_intent(context: Context, invoice: Doc, intent: Doc) -> Doc:
    """Attach a payment intent of the same customer and currency to an invoice."""
    require_status(invoice, ("open", "uncollectible"), "attach a payment to")
    if intent["currency"] != invoice["currency"] or intent["customer"] != invoice["customer"]:
        raise wrong_state(
            "The PaymentIntent's customer and currency must match the invoice's.",
            param="payment_intent",
        )
    if context.space.find("invoice_payment", {"payment.payment_intent": intent["id"]}):
        raise wrong_state("This PaymentIntent is already attached.", param="payment_intent")
    if intent["status"] == "canceled":
        raise wrong_state("A canceled PaymentIntent cannot be attached.", param="payment_intent")
    payment = payment_objects.new_invoice_payment(
        context, invoice, intent["amount"], intent["id"], default=False
    )
    paid = intent["amount_received"] if intent["status"] == "succeeded" else None
    return payments.attach(context, invoice, payment, paid)


def attach_record(context: Context, invoice: Doc, record: Doc) -> Doc:
    """Attach a payment made outside Stripe to an invoice."""
    require_status(invoice, ("open", "uncollectible"), "attach a payment to")
    asked = record["amount_requested"]
    if asked["currency"] != invoice["currency"]:
        raise wrong_state(
            "The payment's currency must match the invoice's.", param="payment_record"
        )
    if context.space.find("invoice_payment", {"payment.payment_record": record["id"]}):
        raise wrong_state("This payment record is already attached.", param="payment_record")
    payment = payment_objects.new_invoice_payment(
        context, invoice, asked["value"], payment_record=record["id"], default=False
    )
    paid = record["amount_guaranteed"]["value"]
    invoice["_"]["paid_off_stripe"] = invoice["_"].get("paid_off_stripe", 0) + paid
    return payments.attach(context, invoice, payment, paid or None)


def require_status(invoice: Doc, allowed: tuple[str, ...], verb: str) -> None:
    """Refuse a move that the invoice's status does not allow."""
    if invoice["status"] not in allowed:
        raise wrong_state(
            f"You can't {verb} this invoice: its status is {invoice['status']}, "
            f"but must be {' or '.join(allowed)}.",
            "status_transition_invalid",
        )


def check_due_date(context: Context, due_date: int | None) -> None:
    """Refuse a due date that has passed."""
    if due_date is not None and due_date <= context.now:
        raise invalid(
            "Invalid timestamp: must be an integer Unix timestamp in the future.", "due_date"
        )


def missing_email() -> Exception:
    """The refusal to send to a customer without an address."""
    return wrong_state(
        "Missing email. In order to create invoices that are sent to the customer, "
        "the customer must have a valid email."
    )


def _send(context: Context, invoice: Doc) -> Doc:
    """Mail an invoice. In test mode no mail leaves, but the event says it was sent."""
    if context.livemode:
        mail.post_invoice(context, invoice)
    context.emit("invoice.sent", invoice)
    return invoice


def _failed(context: Context, invoice: Doc) -> StripeError:
    """Record that a draft could not be finalized for want of the customer's location."""
    error = StripeError(
        "The customer's location isn't recognized. Set a valid customer address in order to "
        "automatically calculate tax.",
        code="customer_tax_location_invalid",
        keep=True,
    )
    invoice["automatic_tax"]["disabled_reason"] = "finalization_requires_location_inputs"
    invoice["last_finalization_error"] = dict(error.body)
    context.save("invoice", invoice, "invoice.updated")
    context.emit("invoice.finalization_failed", invoice)
    return error


def _number(context: Context, invoice: Doc, customer: Doc) -> None:
    """Give an invoice the customer's next number, unless it has one of its own."""
    if invoice["number"]:
        return
    sequence = customer["next_invoice_sequence"]
    invoice["number"] = f"{customer['invoice_prefix']}-{sequence:04d}"
    customer["next_invoice_sequence"] = sequence + 1
    context.space.update("customer", customer)


def _apply_balance(context: Context, invoice: Doc) -> None:
    """Settle the customer's balance with the invoice; what cannot be charged goes onto it."""
    customer = context.require("customer", invoice["customer"])
    due = invoice["amount_due"]
    used = due - invoice["total"]
    if used:
        balances.change(
            context, customer["id"], -used, "applied_to_invoice", invoice["currency"], invoice
        )
        customer = context.require("customer", invoice["customer"])
    elif customer["currency"] is None:
        customer["currency"] = invoice["currency"]
        context.space.update("customer", customer)
    invoice["ending_balance"] = invoice["starting_balance"] - used
    invoice["_"]["balance_applied"] = -used
    small = money.too_small(due, invoice["currency"])
    if small or money.too_large(due, invoice["currency"]):
        kind = "invoice_too_small" if small else "invoice_too_large"
        balances.change(context, customer["id"], due, kind, invoice["currency"], invoice)
        invoice["ending_balance"] += due
        invoice_object.settle(invoice, 0)


def _return_balance(context: Context, invoice: Doc) -> None:
    """Give a voided invoice's share of the customer's balance back.

    Source: https://docs.stripe.com/billing/customer/balance#types (unapplied_from_invoice)
    """
    applied = invoice["_"].get("balance_applied", 0)
    if applied:
        balances.change(
            context,
            invoice["customer"],
            -applied,
            "unapplied_from_invoice",
            invoice["currency"],
            invoice,
        )


def _publish(context: Context, invoice: Doc) -> None:
    """Give an invoice its page for the customer and its PDF."""
    name = page_name(context.account.id, token(PAGE_LENGTH), livemode=context.livemode)
    invoice["_"]["token"] = name
    page = f"{context.sandbox.base_url}/i/{context.account.id}/{name}{READ}"
    invoice["hosted_invoice_url"] = page
    invoice["invoice_pdf"] = f"{page}/pdf"

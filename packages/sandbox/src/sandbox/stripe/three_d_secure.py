"""3-D Secure: a payment that its payer has to confirm with the bank before money moves.

A charge of a card that asks for it leaves its payment intent waiting (``requires_action``), and
the payer is led to a page of the bank, here one with two buttons. Sources:
https://docs.stripe.com/payments/3d-secure and https://docs.stripe.com/api/events/types
"""

from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.payment_objects import note_attempt
from sandbox.stripe.store import Doc, public

REQUIRED = "invoice_payment_intent_requires_action"
"""The code of the answer to a charge that its payer has to confirm first."""


def page_of(context: Context, intent: Doc) -> str:
    """Where the payer confirms a payment."""
    return f"{context.sandbox.base_url}/3ds/{intent['client_secret']}"


def demand(
    context: Context, intent: Doc, method: str, invoice: Doc | None, *, off_session: bool
) -> None:
    """Let a payment wait for its payer, and say so on the invoice it is for.

    Args:
        context: The act.
        intent: The payment.
        method: The payment method that is charged once it is confirmed.
        invoice: What it pays, if anything.
        off_session: Nobody is there to confirm: this attempt to pay has failed, for now.
    """
    intent |= {
        "last_payment_error": None,
        "next_action": {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {
                "type": "three_d_secure_redirect",
                "stripe_js": page_of(context, intent),
            },
        },
        "payment_method": method,
        "status": "requires_action",
    }
    context.space.update("payment_intent", intent)
    context.emit("payment_intent.requires_action", intent)
    if invoice is None:
        return
    if off_session:
        note_attempt(invoice)
        context.save("invoice", invoice, "invoice.updated")
        context.emit("invoice.payment_failed", invoice)
    context.emit("invoice.payment_action_required", invoice)


def required(intent: Doc) -> StripeError:
    """The answer to a charge of an invoice that waits for its payer; what was noted stays."""
    return StripeError(
        "This payment requires additional user action before it can be completed successfully. "
        "Payment can be completed using the PaymentIntent associated with the invoice.",
        status=402,
        kind="card_error",
        code=REQUIRED,
        keep=True,
        extra={"payment_intent": public(intent)},
    )


def failure() -> StripeError:
    """Why a payment that its payer did not confirm has failed."""
    return StripeError(
        "The bank did not confirm the payment. Try again, or pay with another payment method.",
        code="payment_intent_authentication_failure",
        keep=True,
    )


def waiting(context: Context, invoice: Doc) -> str | None:
    """Where the payer confirms what an invoice waits for, if it waits for that."""
    filters = {"invoice": invoice["id"], "status": "open"}
    for payment in context.space.find("invoice_payment", filters):
        intent = context.space.get("payment_intent", payment["payment"].get("payment_intent") or "")
        if intent and intent["status"] == "requires_action":
            return page_of(context, intent)
    return None

"""Which card an invoice is charged to."""

from sandbox.stripe.cards import BY_TOKEN, Card
from sandbox.stripe.context import Context
from sandbox.stripe.errors import no_such, wrong_state
from sandbox.stripe.store import Doc


def for_invoice(context: Context, invoice: Doc, given: str | None) -> tuple[str, Card]:
    """Return the payment method to charge and its card.

    Raises:
        StripeError: If there is none: neither given, nor the invoice's, nor the customer's.
    """
    customer = context.require("customer", invoice["customer"])
    method = (
        given
        or invoice["default_payment_method"]
        or customer["invoice_settings"]["default_payment_method"]
    )
    if method is None:
        raise wrong_state(
            "There is no `default_payment_method` set on this Customer or Invoice. "
            "Please set a `default_payment_method`."
        )
    return method, card_of(context, method)


def card_of(context: Context, method: str) -> Card:
    """Return the card behind a payment method id or a test token."""
    stored = context.space.get("payment_method", method)
    token = stored["_"]["card"] if stored else method
    if token not in BY_TOKEN:
        raise no_such("PaymentMethod", method, "payment_method", 400)
    return BY_TOKEN[token]

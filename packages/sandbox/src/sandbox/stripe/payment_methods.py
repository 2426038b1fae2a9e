"""Which card or bank account a payment is made with."""

from sandbox.stripe import debits
from sandbox.stripe.cards import BY_TOKEN, Card
from sandbox.stripe.context import Context
from sandbox.stripe.debits import Debit
from sandbox.stripe.errors import no_such, wrong_state
from sandbox.stripe.store import Doc

Instrument = Card | Debit

SOURCES = {"tok_visa": "pm_card_visa", "tok_mastercard": "pm_card_mastercard"}
"""Test tokens of the older API to those of payment methods."""


def for_invoice(context: Context, invoice: Doc, given: str | None) -> tuple[str, Instrument]:
    """Return the payment method to charge and what is behind it.

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
    return method, instrument_of(context, method)


def instrument_of(context: Context, method: str) -> Instrument:
    """Return the card or bank account behind a payment method id or a test token."""
    stored = context.space.get("payment_method", method)
    token = stored["_"]["token"] if stored else method
    found = BY_TOKEN.get(token) or debits.BY_TOKEN.get(token)
    if found is None:
        raise no_such("PaymentMethod", method, "payment_method", 400)
    return found

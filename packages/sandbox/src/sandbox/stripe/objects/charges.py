"""Charges, as far as invoices need them."""

from sandbox.stripe import account_balance, money, payment_methods, payment_objects
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param
from sandbox.stripe.expansion import includable
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.listing import sublist
from sandbox.stripe.store import Doc


@operation("POST", "/v1/charges", "ChargeCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Charge a card the old way: the charge has no payment intent, nor have its refunds.

    Source: the SDK's ``Charge.payment_intent``, which may be null.
    """
    for name in ("amount", "currency", "source"):
        if name not in params:
            raise missing_param(name)
    currency = money.check_currency(params["currency"])
    amount = money.check_charge(params["amount"], currency, "amount")
    source = str(payment_methods.SOURCES.get(params["source"], params["source"]))
    card = payment_methods.instrument_of(context, source)
    if not isinstance(card, Card) or card.declines:
        raise invalid("This sandbox takes test cards that succeed as sources.", "source")
    if "customer" in params:
        context.require("customer", params["customer"], "customer")
    asked = {
        "id": None,
        "amount": amount,
        "currency": currency,
        "customer": params.get("customer"),
        "description": params.get("description"),
    }
    charge = payment_objects.new_charge(context, asked, card, card.token)
    if charge["paid"]:
        account_balance.charged(context, charge)
    put_metadata(charge, params)
    return context.add("charge", charge, "charge.succeeded")


retrieves("charge", "/v1/charges/{charge}", "ChargeRetrieveParams")


@operation("POST", "/v1/charges/{charge}", "ChargeUpdateParams")
def update(context: Context, params: Params, charge_id: str) -> Doc:
    """Change a charge's description or metadata."""
    charge = context.require("charge", charge_id)
    put(charge, params, ("description", "receipt_email"))
    put_metadata(charge, params)
    return context.save("charge", charge, "charge.updated")


lists("charge", "/v1/charges", "ChargeListParams")


@includable("charge", "refunds")
def refunds_of(context: Context, charge: Doc) -> Doc:
    """Return a charge's refunds."""
    url = f"/v1/charges/{charge['id']}/refunds"
    return sublist(context, "refund", {"charge": charge["id"]}, url)

"""Payment intents and charges, as far as invoices need them."""

from sandbox.stripe import account_balance, money, payment_methods, payment_objects, payments
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param, wrong_state
from sandbox.stripe.expansion import includable
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.listing import sublist
from sandbox.stripe.store import Doc

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


@operation("POST", "/v1/payment_intents", "PaymentIntentCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create an intent, and confirm it if asked."""
    currency = money.check_currency(params["currency"])
    amount = money.check_charge(params["amount"], currency, "amount")
    if "customer" in params:
        context.require("customer", params["customer"], "customer")
    intent = payment_objects.new_intent(context, amount, currency, params.get("customer"))
    intent["_"] = {}
    _apply(intent, params)
    context.add("payment_intent", intent)
    return _confirm(context, intent, params) if params.get("confirm") else intent


retrieves("payment_intent", "/v1/payment_intents/{intent}", "PaymentIntentRetrieveParams")


@operation("POST", "/v1/payment_intents/{intent}", "PaymentIntentUpdateParams")
def update(context: Context, params: Params, intent_id: str) -> Doc:
    """Change an intent that is not confirmed yet."""
    intent = _require_open(context, intent_id)
    if "amount" in params:
        intent["amount"] = money.check_charge(params["amount"], intent["currency"], "amount")
    _apply(intent, params)
    context.space.update("payment_intent", intent)
    return intent


@operation("POST", "/v1/payment_intents/{intent}/confirm", "PaymentIntentConfirmParams")
def confirm(context: Context, params: Params, intent_id: str) -> Doc:
    """Confirm an intent: charge its card, and settle the invoice it is attached to."""
    intent = _require_open(context, intent_id)
    _apply(intent, params)
    if intent["payment_method"] is None:
        raise missing_param("payment_method")
    return _confirm(context, intent, params)


@operation("POST", "/v1/payment_intents/{intent}/cancel", "PaymentIntentCancelParams")
def cancel(context: Context, params: Params, intent_id: str) -> Doc:
    """Cancel an intent."""
    intent = _require_open(context, intent_id)
    payments.cancel_intent(context, intent, params.get("cancellation_reason"))
    return intent


lists("payment_intent", "/v1/payment_intents", "PaymentIntentListParams")


@operation("POST", "/v1/charges", "ChargeCreateParams")
def create_charge(context: Context, params: Params) -> Doc:
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
def update_charge(context: Context, params: Params, charge_id: str) -> Doc:
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


def _confirm(context: Context, intent: Doc, params: Params) -> Doc:
    # The parameter may also say which kind of later payment this is: true as well.
    off_session = params.get("off_session", False) not in (False, "false")
    return payments.confirm(context, intent, off_session=off_session)


def _apply(intent: Doc, params: Params) -> None:
    put(intent, params, ("customer", "description", "payment_method", "receipt_email"))
    put_metadata(intent, params)
    if intent["payment_method"] and intent["status"] == "requires_payment_method":
        intent["status"] = "requires_confirmation"


def _require_open(context: Context, intent_id: str) -> Doc:
    intent = context.require("payment_intent", intent_id)
    if intent["status"] not in OPEN:
        raise wrong_state(
            f"This PaymentIntent's status is {intent['status']}, which does not allow this.",
            "payment_intent_unexpected_state",
        )
    if intent["payment_method"]:
        payment_methods.instrument_of(context, intent["payment_method"])
    return intent

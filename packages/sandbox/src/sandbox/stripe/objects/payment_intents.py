"""Payment intents, as far as invoices need them."""

from sandbox.stripe import money, payment_methods, payment_objects, payments
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import missing_param, wrong_state
from sandbox.stripe.generic_reads import lists, retrieves
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

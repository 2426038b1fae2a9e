"""Payment methods: test cards, kept for a customer."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.cards import BY_NUMBER, BY_TOKEN, Card
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param, no_such
from sandbox.stripe.fields import put_metadata
from sandbox.stripe.ids import new_id
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc

SOURCE_TOKENS = {"tok_visa": "pm_card_visa", "tok_mastercard": "pm_card_mastercard"}


@operation("POST", "/v1/payment_methods", "PaymentMethodCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a card from a test number or a test token."""
    if params.get("type", "card") != "card":
        raise invalid("This sandbox carries cards only.", "type")
    card = params.get("card")
    if not card:
        raise missing_param("card")
    token = SOURCE_TOKENS.get(card.get("token", ""), card.get("token"))
    found = BY_TOKEN.get(token or "") or BY_NUMBER.get(card.get("number", ""))
    if found is None:
        raise invalid("Your card number is incorrect.", "card[number]", "incorrect_number")
    method = _new_method(context, found)
    put_metadata(method, params)
    context.space.insert("payment_method", method)
    return method


@operation("GET", "/v1/payment_methods/{payment_method}", "PaymentMethodRetrieveParams")
def retrieve(context: Context, _: Params, method_id: str) -> Doc:
    """Return a payment method."""
    return context.require("payment_method", method_id)


@operation("POST", "/v1/payment_methods/{payment_method}", "PaymentMethodUpdateParams")
def update(context: Context, params: Params, method_id: str) -> Doc:
    """Change a payment method's metadata."""
    method = context.require("payment_method", method_id)
    put_metadata(method, params)
    return context.save("payment_method", method, "payment_method.updated")


@operation("POST", "/v1/payment_methods/{payment_method}/attach", "PaymentMethodAttachParams")
def attach(context: Context, params: Params, method_id: str) -> Doc:
    """Attach a card to a customer. A test token becomes a card of its own."""
    if "customer" not in params:
        raise missing_param("customer")
    context.require("customer", params["customer"], "customer")
    method = context.space.get("payment_method", method_id)
    if method is None:
        if method_id not in BY_TOKEN:
            raise no_such("PaymentMethod", method_id, "payment_method")
        method = _new_method(context, BY_TOKEN[method_id])
        context.space.insert("payment_method", method)
    method["customer"] = params["customer"]
    context.space.update("payment_method", method)
    context.emit("payment_method.attached", method)
    return method


@operation("POST", "/v1/payment_methods/{payment_method}/detach", "PaymentMethodDetachParams")
def detach(context: Context, _: Params, method_id: str) -> Doc:
    """Take a card off its customer."""
    method = context.require("payment_method", method_id)
    method["customer"] = None
    context.space.update("payment_method", method)
    context.emit("payment_method.detached", method)
    return method


@operation("GET", "/v1/payment_methods", "PaymentMethodListParams")
def list_methods(context: Context, params: Params) -> Listing:
    """List payment methods."""
    params.pop("allow_redisplay", None)
    return listed(context, "payment_method", "/v1/payment_methods", params)


@operation("GET", "/v1/customers/{customer}/payment_methods", "CustomerPaymentMethodListParams")
def list_of_customer(context: Context, params: Params, customer_id: str) -> Listing:
    """List a customer's payment methods."""
    context.require("customer", customer_id)
    params.pop("allow_redisplay", None)
    url = f"/v1/customers/{customer_id}/payment_methods"
    return listed(context, "payment_method", url, params, {"customer": customer_id})


@operation(
    "GET",
    "/v1/customers/{customer}/payment_methods/{payment_method}",
    "CustomerPaymentMethodRetrieveParams",
)
def retrieve_of_customer(context: Context, _: Params, customer_id: str, method_id: str) -> Doc:
    """Return a customer's payment method."""
    context.require("customer", customer_id)
    return context.require("payment_method", method_id)


def _new_method(context: Context, card: Card) -> Doc:
    return {
        "id": new_id("payment_method"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass",
            },
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": f"fp{card.number[-8:]}",
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": context.now,
        "customer": None,
        "customer_account": None,
        "livemode": context.livemode,
        "metadata": {},
        "type": "card",
        "_": {"card": card.token},
    }

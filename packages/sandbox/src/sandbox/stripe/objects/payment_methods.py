"""Payment methods: test cards and test bank accounts, kept for a customer."""

from sandbox.stripe import debits, payment_methods
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put_metadata
from sandbox.stripe.cards import BY_NUMBER, BY_TOKEN, Card
from sandbox.stripe.context import Context
from sandbox.stripe.debits import Debit
from sandbox.stripe.errors import StripeError, invalid, missing_param, no_such
from sandbox.stripe.expansion import MAKERS
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.ids import new_id
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc, public


@operation("POST", "/v1/payment_methods", "PaymentMethodCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a card from a test number or a test token, or a bank account from its number."""
    kind = params.get("type", "card")
    if kind in debits.CURRENCIES:
        method = _new_method(context, _debit(params, kind))
        put_metadata(method, params)
        context.space.insert("payment_method", method)
        return method
    if kind != "card":
        raise invalid("This sandbox carries cards and bank debits only.", "type")
    card = params.get("card")
    if not card:
        raise missing_param("card")
    token = payment_methods.SOURCES.get(card.get("token", ""), card.get("token"))
    found = BY_TOKEN.get(token or "") or BY_NUMBER.get(card.get("number", ""))
    if found is None:
        raise invalid("Your card number is incorrect.", "card[number]", "incorrect_number")
    method = _new_method(context, found)
    put_metadata(method, params)
    context.space.insert("payment_method", method)
    return method


retrieves("payment_method", "/v1/payment_methods/{payment_method}", "PaymentMethodRetrieveParams")


@operation("POST", "/v1/payment_methods/{payment_method}", "PaymentMethodUpdateParams")
def update(context: Context, params: Params, method_id: str) -> Doc:
    """Change a payment method's metadata."""
    method = context.require("payment_method", method_id)
    put_metadata(method, params)
    return context.save("payment_method", method, "payment_method.updated")


@operation("POST", "/v1/payment_methods/{payment_method}/attach", "PaymentMethodAttachParams")
def attach(context: Context, params: Params, method_id: str) -> Doc:
    """Attach a payment method to a customer. A test token becomes one of its own."""
    if "customer" not in params:
        raise missing_param("customer")
    context.require("customer", params["customer"], "customer")
    method = context.space.get("payment_method", method_id)
    if method is None:
        try:
            instrument = payment_methods.instrument_of(context, method_id)
        except StripeError:
            raise no_such("PaymentMethod", method_id, "payment_method") from None
        method = _new_method(context, instrument)
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


def _debit(params: Params, kind: str) -> Debit:
    """Return the test bank account of an IBAN or an account number."""
    given = params.get(kind) or {}
    number = str(given.get("iban") or given.get("account_number") or "").replace(" ", "")
    found = debits.BY_NUMBER.get(number)
    if found is None or found.kind != kind:
        raise invalid("The account number is none of the test accounts'.", kind)
    return found


def _new_method(context: Context, instrument: payment_methods.Instrument) -> Doc:
    if isinstance(instrument, Debit):
        details = {"kind": instrument.kind, instrument.kind: instrument.method_details()}
    else:
        details = {"kind": "card", "card": _card(instrument)}
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
        "created": context.now,
        "customer": None,
        "customer_account": None,
        "livemode": context.livemode,
        "metadata": {},
        "type": details.pop("kind"),
        "_": {"token": instrument.token},
        **details,
    }


def _card(card: Card) -> Doc:
    return {
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
    }


def _of_token(context: Context, token: str) -> Doc:
    """Return the method that a test token stands for where it was charged itself."""
    instrument = payment_methods.instrument_of(context, token)
    return public(_new_method(context, instrument) | {"id": token})


MAKERS["payment_method"] = _of_token

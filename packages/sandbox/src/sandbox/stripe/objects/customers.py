"""Customers."""

from sandbox.stripe import balances, invoice_object, tax
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import address, put, put_metadata, shipping
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.expansion import includable
from sandbox.stripe.ids import new_id, token
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc

PLAIN = (
    "business_name",
    "description",
    "email",
    "individual_name",
    "invoice_prefix",
    "name",
    "next_invoice_sequence",
    "phone",
    "preferred_locales",
    "tax_exempt",
)


@operation("POST", "/v1/customers", "CustomerCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a customer. Nothing about it needs to be unique."""
    customer = new_customer(context)
    _apply(context, customer, params)
    context.add("customer", customer)
    if customer["balance"]:
        balances.note(context, customer, customer["balance"], "initial", customer["currency"])
    for entry in params.get("tax_id_data", []):
        tax_id = tax.new_tax_id(context, customer["id"], entry["type"], entry["value"])
        context.space.insert("tax_id", tax_id)
    if "tax_id_data" in params:
        tax.mirror_tax_ids(context, customer["id"])
    return customer


def new_customer(context: Context) -> Doc:
    """Build a customer of whom nothing is known."""
    return {
        "id": new_id("customer"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": context.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": token(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": context.livemode,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        "_": {"deleted": False},
    }


@operation("GET", "/v1/customers/{customer}", "CustomerRetrieveParams")
def retrieve(context: Context, _: Params, customer_id: str) -> Doc:
    """Return a customer; of a deleted one, only that it is deleted."""
    customer = context.space.get("customer", customer_id)
    if customer and customer.get("deleted"):
        return customer
    return context.require("customer", customer_id)


@operation("POST", "/v1/customers/{customer}", "CustomerUpdateParams")
def update(context: Context, params: Params, customer_id: str) -> Doc:
    """Change a customer; its draft invoices follow."""
    customer = context.require("customer", customer_id)
    balance = customer["balance"]
    _apply(context, customer, params)
    if customer["balance"] != balance:
        moved = customer["balance"] - balance
        balances.note(context, customer, moved, "adjustment", customer["currency"])
    context.save("customer", customer, "customer.updated")
    invoice_object.follow_customer(context, customer)
    return customer


@includable("customer", "invoice_credit_balance")
def invoice_credit_balance(context: Context, customer: Doc) -> Doc:
    """Return the customer's balances by currency; here credit is positive."""
    stored = context.require("customer", customer["id"])
    owed = dict(stored["_"].get("balances", {}))
    if stored["currency"]:
        owed[stored["currency"]] = stored["balance"]
    return {currency: -amount for currency, amount in owed.items() if amount}


@operation("DELETE", "/v1/customers/{customer}", "CustomerDeleteParams")
def delete(context: Context, _: Params, customer_id: str) -> Doc:
    """Delete a customer for good; it can still be retrieved as deleted."""
    customer = context.require("customer", customer_id)
    context.emit("customer.deleted", customer)
    gone = {"id": customer_id, "object": "customer", "deleted": True}
    created = customer["created"]
    context.space.update("customer", gone | {"_": {"deleted": True, "created": created}})
    return gone


@operation("GET", "/v1/customers", "CustomerListParams")
def list_customers(context: Context, params: Params) -> Listing:
    """List customers, by e-mail if asked: exact and case-sensitive."""
    return listed(context, "customer", "/v1/customers", params, {"_.deleted": False})


def _empty(customer: Doc, name: str) -> Doc:
    url = f"/v1/customers/{customer['id']}/{name}"
    return {"object": "list", "data": [], "has_more": False, "url": url}


@includable("customer", "sources")
def sources_of(_: Context, customer: Doc) -> Doc:
    """Return no sources: payment methods have taken their place."""
    return _empty(customer, "sources")


@includable("customer", "subscriptions")
def subscriptions_of(_: Context, customer: Doc) -> Doc:
    """Return no subscriptions."""
    return _empty(customer, "subscriptions")


@includable("customer", "cash_balance")
def cash_balance_of(_: Context, __: Doc) -> None:
    """Return nothing: there are no bank transfers to hold."""


@includable("customer", "tax")
def tax_of(_: Context, customer: Doc) -> Doc:
    """Return where the customer is taxed, by the address."""
    known = customer["address"] or {}
    country, state = known.get("country"), known.get("state")
    location = {"country": country, "source": "billing_address", "state": state}
    return {
        "automatic_tax": "supported" if country else "unrecognized_location",
        "ip_address": None,
        "location": location if country else None,
        "provider": "stripe",
    }


def _apply(context: Context, customer: Doc, params: Params) -> None:
    put(customer, params, PLAIN)
    for name in ("business_name", "individual_name"):
        if customer.get(name, "") is None:
            del customer[name]
    put_metadata(customer, params)
    _check(customer)
    if "address" in params:
        customer["address"] = address(params["address"])
    if "shipping" in params:
        customer["shipping"] = shipping(params["shipping"])
    for name in ("custom_fields", "default_payment_method", "footer", "rendering_options"):
        if name in params.get("invoice_settings", {}):
            customer["invoice_settings"][name] = params["invoice_settings"][name] or None
    rendering = customer["invoice_settings"]["rendering_options"]
    if rendering:
        names = ("amount_tax_display", "template")
        customer["invoice_settings"]["rendering_options"] = {
            name: rendering.get(name) or None for name in names
        }
    customer["balance"] = params.get("balance", customer["balance"])
    if params.get("balance") is not None:
        customer["currency"] = customer["currency"] or context.account.currency
    customer["tax_exempt"] = customer["tax_exempt"] or "none"


def _check(customer: Doc) -> None:
    email = customer["email"]
    if email is not None and ("@" not in email or " " in email):
        raise invalid(f"Invalid email address: {email}", "email", "email_invalid")
    prefix = customer["invoice_prefix"]
    if not (3 <= len(prefix) <= 12 and prefix.isalnum() and prefix.upper() == prefix):
        raise invalid(
            "Invoice prefixes must be 3 to 12 upper-case letters or digits.", "invoice_prefix"
        )

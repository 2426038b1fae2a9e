"""Previews: what an invoice would be, without making it."""

from typing import Any

from sandbox.stripe import discounts, invoice_object, lines, money, tax
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import address, shipping
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param
from sandbox.stripe.ids import new_id
from sandbox.stripe.objects.customers import new_customer
from sandbox.stripe.store import Doc

SUBSCRIPTIONS = ("schedule", "schedule_details", "subscription", "subscription_details")


@operation("POST", "/v1/invoices/create_preview", "InvoiceCreatePreviewParams")
def create_preview(context: Context, params: Params) -> Doc:
    """Preview an invoice of the customer's pending items and the items given."""
    for name in SUBSCRIPTIONS:
        if name in params:
            raise invalid("This sandbox carries no subscriptions.", name)
    with context.sandbox.store.rehearsal():
        return _previewed(context, params)


def _previewed(context: Context, params: Params) -> Doc:
    customer = _customer(context, params)
    default: str = customer["currency"] or context.account.currency
    given = params.get("invoice_items", [])
    if "currency" not in params and given and given[0].get("currency"):
        default = given[0]["currency"]
    currency = money.check_currency(params.get("currency", default))
    invoice = invoice_object.new_invoice(context, customer, currency)
    invoice["id"] = f"upcoming_{invoice['id']}"
    invoice["lines"]["url"] = f"/v1/invoices/{invoice['id']}/lines"
    if "discounts" in params:
        invoice["discounts"] = discounts.redeemed(
            context, params["discounts"] or [], customer["id"], invoice=invoice["id"]
        )
    if "automatic_tax" in params:
        tax.set_automatic(context, invoice, params["automatic_tax"]["enabled"])
    pending = context.space.find("invoiceitem", {"customer": customer["id"], "_.pending": True})
    items = [item for item in reversed(pending) if item["currency"] == currency]
    items += [_item(context, customer["id"], currency, dict(entry)) for entry in given]
    made = [lines.new_line(context, invoice, item) for item in items]
    invoice_object.recompute(context, invoice, made)
    return invoice


def _item(context: Context, customer: str, currency: str, entry: dict[str, Any]) -> Doc:
    """Build an item; previews still take ``price`` and ``unit_amount`` at the top level."""
    if "price" in entry:
        entry["pricing"] = {"price": entry.pop("price")}
    if "unit_amount" in entry:
        entry["unit_amount_decimal"] = entry.pop("unit_amount")
    return lines.new_item(context, customer, currency, entry)


def _customer(context: Context, params: Params) -> Doc:
    details = params.get("customer_details", {})
    if "customer" in params:
        customer = context.require("customer", params["customer"], "customer")
    elif details:
        customer = new_customer(context) | {"id": new_id("customer")}
        context.space.insert("customer", customer)
    else:
        raise missing_param("customer")
    if "address" in details:
        customer["address"] = address(details["address"])
    if "shipping" in details:
        customer["shipping"] = shipping(details["shipping"])
    if "tax_exempt" in details:
        customer["tax_exempt"] = details["tax_exempt"] or "none"
    return customer

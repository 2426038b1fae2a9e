"""Lines and the invoice items behind them."""

from sandbox.stripe.api import Params
from sandbox.stripe.apply_params import check_length, put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.discounts import redeemed
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.invoice_object import line_settings
from sandbox.stripe.pricing import cost
from sandbox.stripe.store import Doc, public
from sandbox.stripe.tax import given_amounts

SHARED = (
    "amount",
    "currency",
    "description",
    "discountable",
    "metadata",
    "period",
    "pricing",
    "quantity",
    "quantity_decimal",
)
"""Fields a line shows of its invoice item."""

DESCRIPTION_LENGTH = 500
"""Stripe's changes of 2018-10-31, quoted in https://github.com/Dolibarr/dolibarr/pull/9933"""


def new_item(context: Context, customer: str, currency: str, params: Params) -> Doc:
    """Build an invoice item that is on no invoice yet."""
    priced = cost(context, params, currency)
    item: Doc = {
        "id": new_id("invoiceitem"),
        "object": "invoiceitem",
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "date": context.now,
        "description": priced.description,
        "discountable": priced.amount >= 0,
        "discounts": [],
        "invoice": None,
        "livemode": context.livemode,
        "metadata": {},
        "parent": None,
        "period": {"end": context.now, "start": context.now},
        "proration": False,
        "tax_rates": [],
        "test_clock": None,
        "_": {"pending": True},
    }
    item |= priced.fields()
    put_details(context, item, params)
    item["net_amount"] = item["amount"]
    return item


def change_item(context: Context, item: Doc, params: Params) -> None:
    """Apply parameters to an item, pricing it anew if they touch the price or the quantity."""
    if {"amount", "pricing", "price_data", "unit_amount_decimal"} & set(params) or {
        "quantity",
        "quantity_decimal",
    } & set(params):
        item |= cost(context, params, item["currency"], item).fields()
    put_details(context, item, params)
    item["net_amount"] = item["amount"]


def put_details(context: Context, item: Doc, params: Params) -> None:
    """Apply what is not about the price."""
    check_length(params.get("description"), DESCRIPTION_LENGTH, "description")
    put(item, params, ("description", "discountable"))
    put_metadata(item, params)
    if "period" in params:
        if params["period"]["end"] < params["period"]["start"]:
            raise invalid("The period's end must be at or after its start.", "period[end]")
        item["period"] = params["period"]
    if "discounts" in params:
        item["discounts"] = redeemed(
            context, params["discounts"] or [], item["customer"], item=item["id"]
        )
    if "tax_amounts" in params:
        item["_"]["tax_amounts"] = given_amounts(context, params["tax_amounts"] or [])
    if "tax_rates" in params:
        rates = [
            context.require("tax_rate", rate, "tax_rates") for rate in params["tax_rates"] or []
        ]
        item["tax_rates"] = [public(rate) for rate in rates]


def new_line(context: Context, invoice: Doc, item: Doc) -> Doc:
    """Build the line that shows an item on an invoice."""
    line: Doc = {
        "id": f"il_{item['id'].partition('_')[2]}",
        "object": "line_item",
        "discount_amounts": [],
        "discounts": item["discounts"],
        "invoice": invoice["id"],
        "livemode": context.livemode,
        "parent": {
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "pretax_credit_amounts": [],
        "subscription": None,
        "subtotal": item["amount"],
        "taxes": [],
    }
    show_item(invoice, line, item)
    return line


def show_item(invoice: Doc, line: Doc, item: Doc) -> None:
    """Bring a line up to date with its item."""
    line |= {name: item[name] for name in SHARED}
    line["discounts"] = item["discounts"]
    settings = line_settings(invoice, line["id"])
    settings["tax_rates"] = [rate["id"] for rate in item["tax_rates"]]
    settings["tax_amounts"] = item["_"].get("tax_amounts", [])


def item_id(line: Doc) -> str:
    """Return the id of the item behind a line."""
    return str(line["parent"]["invoice_item_details"]["invoice_item"])


def item_of(context: Context, line: Doc) -> Doc:
    """Return the item behind a line."""
    return context.require("invoiceitem", item_id(line))


def assign(context: Context, invoice: Doc, item: Doc) -> Doc:
    """Put an item on an invoice and return its line."""
    item["invoice"] = invoice["id"]
    item["_"]["pending"] = False
    context.space.update("invoiceitem", item)
    return new_line(context, invoice, item)

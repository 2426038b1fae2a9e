"""Prices."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, wrong_state
from sandbox.stripe.expansion import includable
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.ids import new_id
from sandbox.stripe.listing import listed
from sandbox.stripe.product_objects import new_price, new_product
from sandbox.stripe.store import Doc


@operation("POST", "/v1/prices", "PriceCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a price of a product, which may be made along with it."""
    if ("product" in params) == ("product_data" in params):
        raise invalid("Provide exactly one of product and product_data.", "product")
    if "product_data" in params:
        data = params.pop("product_data")
        product = new_product(context, data.get("id") or new_id("product"), data)
        context.add("product", product)
        params["product"] = product["id"]
    context.require("product", params["product"], "product")
    price = new_price(context, params)
    if price["lookup_key"]:
        _claim_lookup_key(context, price["lookup_key"], bool(params.get("transfer_lookup_key")))
    return context.add("price", price)


retrieves("price", "/v1/prices/{price}", "PriceRetrieveParams")


@operation("POST", "/v1/prices/{price}", "PriceUpdateParams")
def update(context: Context, params: Params, price_id: str) -> Doc:
    """Change a price; its amount is fixed for good."""
    price = context.require("price", price_id)
    if price["tax_behavior"] != "unspecified" and "tax_behavior" in params:
        raise wrong_state("The tax behavior of a price cannot be changed once set.")
    if params.get("lookup_key"):
        _claim_lookup_key(context, params["lookup_key"], bool(params.get("transfer_lookup_key")))
    put(price, params, ("active", "nickname", "lookup_key", "tax_behavior"))
    put_metadata(price, params)
    return context.save("price", price, "price.updated")


@operation("GET", "/v1/prices", "PriceListParams")
def list_prices(context: Context, params: Params) -> Listing:
    """List the prices of the catalogue, without those made for one line."""
    filters: Doc = {"_.shown": True}
    if "lookup_keys" in params:
        filters["lookup_key"] = params.pop("lookup_keys")
    params.pop("recurring", None)
    return listed(context, "price", "/v1/prices", params, filters)


@includable("price", "currency_options")
def currency_options(_: Context, price: Doc) -> Doc:
    """Return the price in its only currency."""
    shown = ("custom_unit_amount", "tax_behavior", "unit_amount", "unit_amount_decimal")
    return {price["currency"]: {name: price[name] for name in shown}}


@includable("price", "tiers")
def tiers(_: Context, __: Doc) -> list[Doc]:
    """Return no tiers."""
    return []


def _claim_lookup_key(context: Context, lookup_key: str, transfer: bool) -> None:
    for holder in context.space.find("price", {"lookup_key": lookup_key}):
        if not transfer:
            raise wrong_state(
                f"A price (`{holder['id']}`) already uses that lookup key.", param="lookup_key"
            )
        context.save("price", holder | {"lookup_key": None}, "price.updated")

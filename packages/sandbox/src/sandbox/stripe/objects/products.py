"""Products."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, wrong_state
from sandbox.stripe.expansion import MAKERS
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.ids import new_id
from sandbox.stripe.listing import listed
from sandbox.stripe.product_objects import describe_product, new_price, new_product
from sandbox.stripe.store import Doc


@operation("POST", "/v1/products", "ProductCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a product, under an id of the client's choice if it likes."""
    product_id = params.get("id") or new_id("product")
    if context.space.body("product", product_id):
        raise StripeError("Product already exists.", code="resource_already_exists", param="id")
    product = new_product(context, product_id, params)
    context.add("product", product)
    if "default_price_data" in params:
        price = new_price(
            context, params["default_price_data"] | {"product": product_id}, "default_price_data"
        )
        context.add("price", price)
        product["default_price"] = price["id"]
        context.save("product", product)
    return product


retrieves("product", "/v1/products/{id}", "ProductRetrieveParams")


@operation("POST", "/v1/products/{id}", "ProductUpdateParams")
def update(context: Context, params: Params, product_id: str) -> Doc:
    """Change a product."""
    product = context.require("product", product_id)
    if params.get("default_price"):
        context.require("price", params["default_price"], "default_price")
    describe_product(product, params)
    put(product, params, ("default_price",))
    product["updated"] = context.now
    return context.save("product", product, "product.updated")


@operation("DELETE", "/v1/products/{id}", "ProductDeleteParams")
def delete(context: Context, _: Params, product_id: str) -> Doc:
    """Delete a product that has no prices; those made for a line do not count."""
    product = context.require("product", product_id)
    if context.space.count("price", {"product": product_id, "_.shown": True}):
        raise wrong_state(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    context.space.delete("product", product_id)
    context.emit("product.deleted", product)
    return {"id": product_id, "object": "product", "deleted": True}


@operation("GET", "/v1/products", "ProductListParams")
def list_products(context: Context, params: Params) -> Listing:
    """List the products of the catalogue, without those made for one line."""
    filters: Doc = {"_.shown": True}
    if "ids" in params:
        filters["id"] = params.pop("ids")
    return listed(context, "product", "/v1/products", params, filters)


def _tax_code(_: Context, code: str) -> Doc:
    """Return a product tax code; their names are not carried."""
    return {"id": code, "object": "tax_code", "description": "", "name": code, "requirements": None}


MAKERS["tax_code"] = _tax_code

"""Tax rates, and the tax ids of customers."""

from sandbox.stripe import tax
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.expansion import includable
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.listing import listed, sublist
from sandbox.stripe.store import Doc


@operation("POST", "/v1/tax_rates", "TaxRateCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a tax rate."""
    if not 0 <= params["percentage"] <= 100:
        raise invalid("percentage must be between 0 and 100.", "percentage")
    return context.add("tax_rate", tax.new_rate(context, params))


retrieves("tax_rate", "/v1/tax_rates/{tax_rate}", "TaxRateRetrieveParams")


@operation("POST", "/v1/tax_rates/{tax_rate}", "TaxRateUpdateParams")
def update(context: Context, params: Params, rate_id: str) -> Doc:
    """Change what a tax rate is called or archive it; its percentage is fixed."""
    rate = context.require("tax_rate", rate_id)
    put(rate, params, ("active", *tax.DESCRIPTIVE))
    put_metadata(rate, params)
    return context.save("tax_rate", rate, "tax_rate.updated")


@operation("GET", "/v1/tax_rates", "TaxRateListParams")
def list_rates(context: Context, params: Params) -> Listing:
    """List tax rates, without those made for a single line."""
    return listed(context, "tax_rate", "/v1/tax_rates", params, {"_.shown": True})


@operation("POST", "/v1/customers/{customer}/tax_ids", "CustomerTaxIdCreateParams")
def create_tax_id(context: Context, params: Params, customer_id: str) -> Doc:
    """Give a customer a tax id; its drafts and later invoices show it."""
    context.require("customer", customer_id)
    tax_id = tax.new_tax_id(context, customer_id, params["type"], params["value"])
    context.add("tax_id", tax_id, "customer.tax_id.created")
    tax.mirror_tax_ids(context, customer_id)
    return tax_id


@operation("GET", "/v1/customers/{customer}/tax_ids/{id}", "CustomerTaxIdRetrieveParams")
def retrieve_tax_id(context: Context, _: Params, customer_id: str, tax_id: str) -> Doc:
    """Return a customer's tax id."""
    context.require("customer", customer_id)
    return context.require("tax_id", tax_id)


@operation("DELETE", "/v1/customers/{customer}/tax_ids/{id}", "CustomerTaxIdDeleteParams")
def delete_tax_id(context: Context, _: Params, customer_id: str, tax_id: str) -> Doc:
    """Delete a customer's tax id."""
    found = context.require("tax_id", tax_id)
    context.space.delete("tax_id", tax_id)
    context.emit("customer.tax_id.deleted", found)
    tax.mirror_tax_ids(context, customer_id)
    return {"id": tax_id, "object": "tax_id", "deleted": True}


@operation("GET", "/v1/customers/{customer}/tax_ids", "CustomerTaxIdListParams")
def list_tax_ids(context: Context, params: Params, customer_id: str) -> Listing:
    """List a customer's tax ids."""
    context.require("customer", customer_id)
    url = f"/v1/customers/{customer_id}/tax_ids"
    return listed(context, "tax_id", url, params, {"customer": customer_id})


@includable("customer", "tax_ids")
def tax_ids_of(context: Context, customer: Doc) -> Doc:
    """Return the customer's tax ids."""
    url = f"/v1/customers/{customer['id']}/tax_ids"
    return sublist(context, "tax_id", {"customer": customer["id"]}, url)

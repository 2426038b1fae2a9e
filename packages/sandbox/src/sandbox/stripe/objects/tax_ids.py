"""Tax ids of customers."""

from sandbox.stripe import tax
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.expansion import includable
from sandbox.stripe.listing import listed, sublist
from sandbox.stripe.store import Doc


@operation("POST", "/v1/customers/{customer}/tax_ids", "CustomerTaxIdCreateParams")
def create(context: Context, params: Params, customer_id: str) -> Doc:
    """Give a customer a tax id; its drafts and later invoices show it."""
    context.require("customer", customer_id)
    tax_id = tax.new_tax_id(context, customer_id, params["type"], params["value"])
    context.add("tax_id", tax_id, "customer.tax_id.created")
    tax.mirror_tax_ids(context, customer_id)
    return tax_id


@operation("GET", "/v1/customers/{customer}/tax_ids/{id}", "CustomerTaxIdRetrieveParams")
def retrieve(context: Context, _: Params, customer_id: str, tax_id: str) -> Doc:
    """Return a customer's tax id."""
    context.require("customer", customer_id)
    return context.require("tax_id", tax_id)


@operation("DELETE", "/v1/customers/{customer}/tax_ids/{id}", "CustomerTaxIdDeleteParams")
def delete(context: Context, _: Params, customer_id: str, tax_id: str) -> Doc:
    """Delete a customer's tax id."""
    found = context.require("tax_id", tax_id)
    context.space.delete("tax_id", tax_id)
    context.emit("customer.tax_id.deleted", found)
    tax.mirror_tax_ids(context, customer_id)
    return {"id": tax_id, "object": "tax_id", "deleted": True}


@operation("GET", "/v1/customers/{customer}/tax_ids", "CustomerTaxIdListParams")
def list_all(context: Context, params: Params, customer_id: str) -> Listing:
    """List a customer's tax ids."""
    context.require("customer", customer_id)
    url = f"/v1/customers/{customer_id}/tax_ids"
    return listed(context, "tax_id", url, params, {"customer": customer_id})


@includable("customer", "tax_ids")
def tax_ids_of(context: Context, customer: Doc) -> Doc:
    """Return the customer's tax ids."""
    url = f"/v1/customers/{customer['id']}/tax_ids"
    return sublist(context, "tax_id", {"customer": customer["id"]}, url)

"""Invoice items: lines of an invoice, or charges waiting for one."""

from sandbox.stripe import invoice_object, lines, money
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc


@operation("POST", "/v1/invoiceitems", "InvoiceItemCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create an item, on a draft invoice or pending."""
    if "customer" not in params:
        raise missing_param("customer")
    customer = context.require("customer", params["customer"], "customer")
    invoice = None
    if "invoice" in params:
        invoice = invoice_object.require_draft(context, params["invoice"], "invoice")
        if invoice["customer"] != customer["id"]:
            raise invalid("The invoice belongs to a different customer.", "invoice")
    currency = _currency(context, params, customer, invoice)
    item = lines.new_item(context, customer["id"], currency, params)
    if invoice is None:
        return context.add("invoiceitem", item)
    item["invoice"], item["_"]["pending"] = invoice["id"], False
    context.add("invoiceitem", item)
    line = lines.new_line(context, invoice, item)
    invoice_object.revise(context, invoice, [*invoice_object.all_lines(invoice), line])
    return item


retrieves("invoiceitem", "/v1/invoiceitems/{invoiceitem}", "InvoiceItemRetrieveParams")


@operation("POST", "/v1/invoiceitems/{invoiceitem}", "InvoiceItemUpdateParams")
def update(context: Context, params: Params, item_id: str) -> Doc:
    """Change an item that is pending or on a draft."""
    item = context.require("invoiceitem", item_id)
    invoice = _editable_invoice(context, item)
    lines.change_item(context, item, params)
    context.space.update("invoiceitem", item)
    if invoice:
        all_lines = invoice_object.all_lines(invoice)
        for line in all_lines:
            if lines.item_id(line) == item_id:
                lines.show_item(invoice, line, item)
        invoice_object.revise(context, invoice, all_lines)
    return item


@operation("DELETE", "/v1/invoiceitems/{invoiceitem}", "InvoiceItemDeleteParams")
def delete(context: Context, _: Params, item_id: str) -> Doc:
    """Delete an item, and its line on a draft."""
    item = context.require("invoiceitem", item_id)
    invoice = _editable_invoice(context, item)
    context.space.delete("invoiceitem", item_id)
    context.emit("invoiceitem.deleted", item)
    if invoice:
        kept = [
            line for line in invoice_object.all_lines(invoice) if lines.item_id(line) != item_id
        ]
        invoice_object.revise(context, invoice, kept)
    return {"id": item_id, "object": "invoiceitem", "deleted": True}


@operation("GET", "/v1/invoiceitems", "InvoiceItemListParams")
def list_items(context: Context, params: Params) -> Listing:
    """List items, those of an invoice or only the pending ones if asked."""
    filters: Doc = {}
    if "pending" in params:
        filters["_.pending"] = params.pop("pending")
    return listed(context, "invoiceitem", "/v1/invoiceitems", params, filters)


def _editable_invoice(context: Context, item: Doc) -> Doc | None:
    if item["invoice"] is None:
        return None
    return invoice_object.require_draft(context, item["invoice"])


def _currency(context: Context, params: Params, customer: Doc, invoice: Doc | None) -> str:
    """Return the item's currency: its own, else the invoice's, else the customer's."""
    default: str = customer["currency"] or context.account.currency
    if invoice:
        default = invoice["currency"]
    price = params.get("pricing", {}).get("price")
    if price and not invoice:
        default = context.require("price", price, "pricing[price]")["currency"]
    if "price_data" in params and not invoice:
        default = params["price_data"]["currency"].lower()
    currency = money.check_currency(params.get("currency", default))
    if invoice and currency != invoice["currency"]:
        raise invalid(
            f"The currency of the invoice item ({currency}) must match "
            f"the invoice's ({invoice['currency']}).",
            "currency",
        )
    return currency

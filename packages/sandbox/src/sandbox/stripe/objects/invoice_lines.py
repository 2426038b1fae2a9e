"""The lines of an invoice: reading them, and editing them in bulk while it is a draft."""

import orjson

from sandbox.stripe import invoice_object, lines
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import no_such
from sandbox.stripe.listing import paging
from sandbox.stripe.store import Cursor, Doc, Page


@operation("GET", "/v1/invoices/{invoice}/lines", "InvoiceLineItemListParams")
def list_lines(context: Context, params: Params, invoice_id: str) -> Listing:
    """List all lines of an invoice, in the invoice's own order."""
    invoice = context.require("invoice", invoice_id)
    limit, cursor = paging(params)
    return Listing(
        sliced(invoice_object.all_lines(invoice), limit, cursor, "line item"),
        f"/v1/invoices/{invoice_id}/lines",
        of="line_item",
    )


@operation("POST", "/v1/invoices/{invoice}/add_lines", "InvoiceAddLinesParams")
def add_lines(context: Context, params: Params, invoice_id: str) -> Doc:
    """Add lines to a draft."""
    invoice = invoice_object.require_draft(context, invoice_id)
    put_metadata(invoice, {"metadata": params.get("invoice_metadata", {})})
    added = [_added(context, invoice, line) for line in params["lines"]]
    return invoice_object.revise(context, invoice, [*invoice_object.all_lines(invoice), *added])


@operation("POST", "/v1/invoices/{invoice}/update_lines", "InvoiceUpdateLinesParams")
def update_lines(context: Context, params: Params, invoice_id: str) -> Doc:
    """Change lines of a draft."""
    invoice = invoice_object.require_draft(context, invoice_id)
    put_metadata(invoice, {"metadata": params.get("invoice_metadata", {})})
    all_lines = invoice_object.all_lines(invoice)
    for change in params["lines"]:
        _change(context, invoice, _line(all_lines, change["id"]), change)
    return invoice_object.revise(context, invoice, all_lines)


@operation("POST", "/v1/invoices/{invoice}/remove_lines", "InvoiceRemoveLinesParams")
def remove_lines(context: Context, params: Params, invoice_id: str) -> Doc:
    """Take lines off a draft: delete them, or leave them pending."""
    invoice = invoice_object.require_draft(context, invoice_id)
    put_metadata(invoice, {"metadata": params.get("invoice_metadata", {})})
    all_lines = invoice_object.all_lines(invoice)
    behaviors = {entry["id"]: entry["behavior"] for entry in params["lines"]}
    for line_id, behavior in behaviors.items():
        item = lines.item_of(context, _line(all_lines, line_id))
        (_delete_item if behavior == "delete" else _unassign_item)(context, item)
    kept = [line for line in all_lines if line["id"] not in behaviors]
    return invoice_object.revise(context, invoice, kept)


@operation(
    "POST",
    "/v1/invoices/{invoice}/lines/{line_item_id}",
    "InvoiceLineItemUpdateParams",
)
def update_line(context: Context, params: Params, invoice_id: str, line_id: str) -> Doc:
    """Change one line of a draft."""
    invoice = invoice_object.require_draft(context, invoice_id)
    all_lines = invoice_object.all_lines(invoice)
    line = _line(all_lines, line_id)
    _change(context, invoice, line, params)
    invoice_object.revise(context, invoice, all_lines)
    return line


def sliced(docs: list[Doc], limit: int, cursor: Cursor | None, noun: str) -> Page:
    """Return one page of a list that lives inside an object."""
    start, end = 0, min(limit, len(docs))
    if cursor:
        places = [index for index, doc in enumerate(docs) if doc["id"] == cursor.object_id]
        if not places:
            raise no_such(noun, cursor.object_id, "starting_after", 400)
        if cursor.backwards:
            start, end = max(0, places[0] - limit), places[0]
        else:
            start, end = places[0] + 1, min(places[0] + 1 + limit, len(docs))
    has_more = start > 0 if cursor and cursor.backwards else end < len(docs)
    return Page([orjson.dumps(doc) for doc in docs[start:end]], has_more)


def _added(context: Context, invoice: Doc, params: Params) -> Doc:
    if "invoice_item" in params:
        item = context.require("invoiceitem", params["invoice_item"], "invoice_item")
        lines.change_item(context, item, params)
        return lines.assign(context, invoice, item)
    item = lines.new_item(context, invoice["customer"], invoice["currency"], params)
    item["invoice"], item["_"]["pending"] = invoice["id"], False
    context.add("invoiceitem", item)
    return lines.new_line(context, invoice, item)


def _change(context: Context, invoice: Doc, line: Doc, params: Params) -> None:
    item = lines.item_of(context, line)
    lines.change_item(context, item, params)
    context.space.update("invoiceitem", item)
    lines.show_item(invoice, line, item)


def _delete_item(context: Context, item: Doc) -> None:
    context.space.delete("invoiceitem", item["id"])
    context.emit("invoiceitem.deleted", item)


def _unassign_item(context: Context, item: Doc) -> None:
    item["invoice"], item["_"]["pending"] = None, True
    context.space.update("invoiceitem", item)


def _line(all_lines: list[Doc], line_id: str) -> Doc:
    for line in all_lines:
        if line["id"] == line_id:
            return line
    raise no_such("line item", line_id, "id", 404)

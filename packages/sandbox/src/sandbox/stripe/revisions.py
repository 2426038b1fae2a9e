"""Revisions: a new draft that replaces a finalized invoice."""

from sandbox.stripe import invoice_object, lines
from sandbox.stripe.api import Params
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, wrong_state
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc

COPIED = (
    "account_tax_ids",
    "automatic_tax",
    "collection_method",
    "custom_fields",
    "default_payment_method",
    "default_tax_rates",
    "description",
    "discounts",
    "footer",
    "metadata",
    "payment_settings",
    "rendering",
    "statement_descriptor",
)


def begun(context: Context, params: Params) -> Doc:
    """Build the draft that revises an open or uncollectible invoice.

    Raises:
        StripeError: If the invoice is in another state, or ``customer`` is given as well.
    """
    original = context.require("invoice", params["from_invoice"]["invoice"], "from_invoice")
    if "customer" in params or "currency" in params:
        raise invalid("A revision keeps its customer and currency.", "customer")
    if original["status"] not in ("open", "uncollectible"):
        raise wrong_state(
            f"You cannot revise an invoice that is {original['status']}.",
            param="from_invoice[invoice]",
        )
    customer = context.require("customer", original["customer"])
    invoice = invoice_object.new_invoice(context, customer, original["currency"])
    invoice |= {name: original[name] for name in COPIED}
    invoice["from_invoice"] = {"action": "revision", "invoice": original["id"]}
    if original["due_date"] and original["due_date"] > context.now:
        invoice["due_date"] = original["due_date"]
    return invoice


def copy_lines(context: Context, invoice: Doc) -> list[Doc]:
    """Copy the original's lines onto its revision, each with an item of its own."""
    original = context.require("invoice", invoice["from_invoice"]["invoice"])
    copied = []
    for line in invoice_object.all_lines(original):
        item = lines.item_of(context, line) | {
            "id": new_id("invoiceitem"),
            "date": context.now,
            "invoice": invoice["id"],
        }
        context.space.insert("invoiceitem", item)
        copied.append(lines.new_line(context, invoice, item))
    original["latest_revision"] = invoice["id"]
    context.space.update("invoice", original)
    return copied

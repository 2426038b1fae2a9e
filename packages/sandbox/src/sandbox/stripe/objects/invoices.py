"""Invoices: creating, editing, and moving them through their states."""

from sandbox.stripe import (
    discounts,
    invoice_object,
    lifecycle,
    lines,
    money,
    payment_methods,
    revisions,
    tax,
)
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import check_length, put, put_metadata, shipping
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param, wrong_state
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.store import Doc, public

DAY = 24 * 3600

ALWAYS_EDITABLE = {
    "default_payment_method",
    "default_source",
    "metadata",
    "payment_settings",
}
"""What may still change after finalization; of an open invoice ``auto_advance`` as well.

The SDK's docstring of ``update`` on invoices says that sums and collection method are frozen then,
its parameters' docstrings that ``due_date`` and ``days_until_due`` are a draft's only;
https://docs.stripe.com/invoicing/customize that footer and custom fields are, while the size of
the PDF's pages may change at any time; https://docs.stripe.com/invoicing/taxes/account-tax-ids that
those are; stripe/stripe-php#1105 that the memo is; and
https://docs.stripe.com/invoicing/integration/automatic-advancement-collection that
``auto_advance`` is for drafts and open invoices.
"""

METHODS = (
    "acss_debit",
    "bancontact",
    "card",
    "customer_balance",
    "konbini",
    "payto",
    "pix",
    "sepa_debit",
    "upi",
    "us_bank_account",
)
"""Payment methods that an invoice may have options for."""

MEMO_LENGTH = 1500
FOOTER_LENGTH = 5000
"""Characters of memo and footer. Source: https://github.com/stripe/openapi, ``maxLength``"""

PLAIN = (
    "account_tax_ids",
    "auto_advance",
    "automatically_finalizes_at",
    "collection_method",
    "custom_fields",
    "default_payment_method",
    "default_source",
    "description",
    "effective_at",
    "footer",
    "number",
    "on_behalf_of",
    "statement_descriptor",
)


@operation("POST", "/v1/invoices", "InvoiceCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a draft, empty unless pending items are asked for or another is revised."""
    if "from_invoice" in params:
        return _revise(context, params)
    if "customer" not in params:
        raise missing_param("customer")
    customer = context.require("customer", params["customer"], "customer")
    default: str = customer["currency"] or context.account.currency
    currency = money.check_currency(params.get("currency", default))
    invoice = invoice_object.new_invoice(context, customer, currency)
    _inherit(invoice, customer)
    _apply(context, invoice, params)
    _check_collection(invoice)
    if "discounts" not in params and customer["discount"]:
        invoice["discounts"] = [customer["discount"]["id"]]
    context.space.insert("invoice", invoice)
    _take_pending(context, invoice, params.get("pending_invoice_items_behavior", "exclude"))
    context.space.update("invoice", invoice)
    context.emit("invoice.created", invoice)
    return invoice


def _inherit(invoice: Doc, customer: Doc) -> None:
    """Begin with what the customer's invoices have by default; the order may say otherwise.

    Sources: https://docs.stripe.com/invoicing/customize, "Custom field inheritance", and
    https://docs.stripe.com/invoicing/invoice-rendering-template, "Override and update templates".
    That an order's empty text is a value of the invoice's own is believed and not proved.
    """
    defaults = customer["invoice_settings"]
    invoice |= {name: defaults[name] for name in ("custom_fields", "footer")}


def _revise(context: Context, params: Params) -> Doc:
    invoice = revisions.begun(context, params)
    _apply(context, invoice, params)
    _check_collection(invoice)
    context.space.insert("invoice", invoice)
    invoice_object.recompute(context, invoice, revisions.copy_lines(context, invoice))
    context.space.update("invoice", invoice)
    context.emit("invoice.created", invoice)
    return invoice


retrieves("invoice", "/v1/invoices/{invoice}", "InvoiceRetrieveParams")


@operation("POST", "/v1/invoices/{invoice}", "InvoiceUpdateParams")
def update(context: Context, params: Params, invoice_id: str) -> Doc:
    """Change a draft; of a finalized invoice only what finalization leaves open."""
    invoice = context.require("invoice", invoice_id)
    if invoice["status"] != "draft":
        _check_frozen(invoice, params)
    _apply(context, invoice, params)
    _check_collection(invoice)
    if invoice["status"] == "draft":
        return invoice_object.revise(context, invoice)
    return context.save("invoice", invoice, "invoice.updated")


@operation("DELETE", "/v1/invoices/{invoice}", "InvoiceDeleteParams")
def delete(context: Context, _: Params, invoice_id: str) -> Doc:
    """Delete a draft and its items for good."""
    invoice = context.require("invoice", invoice_id)
    if invoice["status"] != "draft":
        raise wrong_state(
            "You can only delete draft invoices; void a finalized one instead.",
            "invoice_not_editable",
        )
    for line in invoice_object.all_lines(invoice):
        context.space.delete("invoiceitem", lines.item_id(line))
    context.space.delete("invoice", invoice_id)
    context.emit("invoice.deleted", invoice)
    return {"id": invoice_id, "object": "invoice", "deleted": True}


lists("invoice", "/v1/invoices", "InvoiceListParams")


@operation("POST", "/v1/invoices/{invoice}/finalize", "InvoiceFinalizeInvoiceParams")
def finalize(context: Context, params: Params, invoice_id: str) -> Doc:
    """Finalize a draft."""
    invoice = context.require("invoice", invoice_id)
    put(invoice, params, ("auto_advance",))
    return lifecycle.collect_automatically(context, lifecycle.finalize(context, invoice))


@operation("POST", "/v1/invoices/{invoice}/send", "InvoiceSendInvoiceParams")
def send(context: Context, _: Params, invoice_id: str) -> Doc:
    """Send an invoice to its customer."""
    return lifecycle.send(context, context.require("invoice", invoice_id))


@operation("POST", "/v1/invoices/{invoice}/pay", "InvoicePayParams")
def pay(context: Context, params: Params, invoice_id: str) -> Doc:
    """Collect an invoice now, or note that it was paid elsewhere."""
    invoice = lifecycle.payable(context, context.require("invoice", invoice_id))
    if invoice["status"] == "paid":
        return invoice
    if params.get("paid_out_of_band"):
        return lifecycle.pay_out_of_band(context, invoice)
    method, card = payment_methods.for_invoice(context, invoice, params.get("payment_method"))
    off_session = params.get("off_session", True)
    return lifecycle.pay(context, invoice, card, method, off_session=off_session)


@operation("POST", "/v1/invoices/{invoice}/attach_payment", "InvoiceAttachPaymentParams")
def attach_payment(context: Context, params: Params, invoice_id: str) -> Doc:
    """Attach a payment intent or a payment record to an invoice."""
    invoice = context.require("invoice", invoice_id)
    if ("payment_intent" in params) == ("payment_record" in params):
        raise invalid("Provide exactly one of payment_intent and payment_record.", "payment_intent")
    if "payment_intent" in params:
        intent = context.require("payment_intent", params["payment_intent"], "payment_intent")
        return lifecycle.attach_intent(context, invoice, intent)
    record = context.require("payment_record", params["payment_record"], "payment_record")
    return lifecycle.attach_record(context, invoice, record)


@operation("POST", "/v1/invoices/{invoice}/void", "InvoiceVoidInvoiceParams")
def void(context: Context, _: Params, invoice_id: str) -> Doc:
    """Void an invoice."""
    return lifecycle.void(context, context.require("invoice", invoice_id))


@operation("POST", "/v1/invoices/{invoice}/mark_uncollectible", "InvoiceMarkUncollectibleParams")
def mark_uncollectible(context: Context, _: Params, invoice_id: str) -> Doc:
    """Write an invoice off."""
    return lifecycle.mark_uncollectible(context, context.require("invoice", invoice_id))


PAYMENT_SETTINGS = ("default_mandate", "payment_method_options", "payment_method_types")


def _apply(context: Context, invoice: Doc, params: Params) -> None:
    """Apply what creating and updating have in common."""
    put(invoice, params, PLAIN)
    put_metadata(invoice, params)
    invoice["_"]["advances"] = bool(
        invoice["auto_advance"] or invoice["automatically_finalizes_at"]
    )
    _put_due_date(context, invoice, params)
    if "shipping_details" in params:
        invoice["shipping_details"] = shipping(params["shipping_details"])
    if "payment_settings" in params:
        put(invoice["payment_settings"], params["payment_settings"], PAYMENT_SETTINGS)
        if params["payment_settings"].get("payment_method_options"):
            invoice["payment_settings"]["payment_method_options"] = dict.fromkeys(METHODS) | {
                name: options or None
                for name, options in params["payment_settings"]["payment_method_options"].items()
            }
    if "rendering" in params:
        there = invoice["rendering"] if invoice["status"] != "draft" else None
        looks = (there or {}) | params["rendering"]
        invoice["rendering"] = {
            "amount_tax_display": looks.get("amount_tax_display") or None,
            "pdf": looks.get("pdf"),
            "template": looks.get("template"),
            "template_version": looks.get("template_version") or None,
        }
    if "discounts" in params:
        invoice["discounts"] = discounts.redeemed(
            context, params["discounts"] or [], invoice["customer"], invoice=invoice["id"]
        )
    if "automatic_tax" in params:
        tax.set_automatic(context, invoice, params["automatic_tax"]["enabled"])
    if "default_tax_rates" in params:
        invoice["default_tax_rates"] = [
            public(context.require("tax_rate", rate, "default_tax_rates"))
            for rate in params["default_tax_rates"] or []
        ]
    _check_texts(invoice)


def _put_due_date(context: Context, invoice: Doc, params: Params) -> None:
    if params.get("due_date") and "days_until_due" in params:
        raise invalid(
            "You may only specify one of these parameters: due_date, days_until_due.",
            "due_date",
            "parameters_exclusive",
        )
    if "due_date" in params:
        lifecycle.check_due_date(context, params["due_date"] or None)
        invoice["due_date"] = params["due_date"] or None
    elif "days_until_due" in params:
        invoice["due_date"] = invoice["created"] + params["days_until_due"] * DAY


def _check_collection(invoice: Doc) -> None:
    """The rules that tie collection method, due date and e-mail together."""
    if invoice["collection_method"] == "charge_automatically":
        if invoice["due_date"] is not None:
            raise invalid(
                "due_date and days_until_due can only be used with collection_method=send_invoice.",
                "due_date",
            )
        return
    if invoice["due_date"] is None:
        raise invalid(
            "With collection_method=send_invoice you must provide days_until_due or due_date.",
            "days_until_due",
        )
    if invoice["status"] == "draft" and not invoice["customer_email"]:
        raise lifecycle.missing_email()


def _check_texts(invoice: Doc) -> None:
    check_length(invoice["description"], MEMO_LENGTH, "description")
    check_length(invoice["footer"], FOOTER_LENGTH, "footer")
    fields = invoice["custom_fields"] or []
    if len(fields) > 4:
        raise invalid("You can set up to 4 custom fields.", "custom_fields")
    for index, entry in enumerate(fields):
        if len(entry["name"]) > 40:
            raise invalid("Names can be up to 40 characters.", f"custom_fields[{index}][name]")
        if len(entry["value"]) > 140:
            raise invalid("Values can be up to 140 characters.", f"custom_fields[{index}][value]")
    if len(invoice["number"] or "") > 26:
        raise invalid("Invoice numbers can be up to 26 characters.", "number")


def _check_frozen(invoice: Doc, params: Params) -> None:
    """Refuse to change what finalization froze."""
    editable = ALWAYS_EDITABLE
    if invoice["status"] == "open":
        editable = editable | {"auto_advance"}
    frozen = sorted(set(params) - editable)
    if "rendering" in frozen and params["rendering"].keys() == {"pdf"}:
        frozen.remove("rendering")
    if frozen:
        raise wrong_state(
            "Finalized invoices can't be updated in this way", "invoice_not_editable", frozen[0]
        )


def _take_pending(context: Context, invoice: Doc, behavior: str) -> None:
    """Pull the customer's pending items in the invoice's currency, newest first."""
    taken: list[Doc] = []
    if behavior == "include":
        pending = context.space.find(
            "invoiceitem", {"customer": invoice["customer"], "_.pending": True}
        )
        taken = [
            lines.assign(context, invoice, item)
            for item in reversed(pending)
            if item["currency"] == invoice["currency"]
        ]
    invoice_object.recompute(context, invoice, taken)

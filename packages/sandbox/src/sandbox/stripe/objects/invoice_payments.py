"""Invoice payments: what was paid towards an invoice, and with what."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.expansion import includable
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.listing import listed, sublist
from sandbox.stripe.store import Doc

retrieves(
    "invoice_payment", "/v1/invoice_payments/{invoice_payment}", "InvoicePaymentRetrieveParams"
)


@operation("GET", "/v1/invoice_payments", "InvoicePaymentListParams")
def list_payments(context: Context, params: Params) -> Listing:
    """List invoice payments, of an invoice or of a payment if asked."""
    filters: Doc = {}
    for name, value in params.pop("payment", {}).items():
        filters[f"payment.{name}"] = value
    return listed(context, "invoice_payment", "/v1/invoice_payments", params, filters)


@includable("invoice", "payments")
def payments_of(context: Context, invoice: Doc) -> Doc:
    """Return the invoice's payments, newest first, as far as a sublist shows them."""
    url = f"/v1/invoice_payments?invoice={invoice['id']}"
    return sublist(context, "invoice_payment", {"invoice": invoice["id"]}, url)


@includable("invoice", "confirmation_secret")
def confirmation_secret(context: Context, invoice: Doc) -> Doc | None:
    """Return the client secret of the default payment's intent."""
    for payment in context.space.find("invoice_payment", {"invoice": invoice["id"]}):
        if payment["is_default"]:
            intent = context.require("payment_intent", payment["payment"]["payment_intent"])
            return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


@includable("invoice", "amount_paid_off_stripe")
def amount_paid_off_stripe(context: Context, invoice: Doc) -> int:
    """Return what was paid outside Stripe."""
    stored = context.require("invoice", invoice["id"])
    return int(stored["_"].get("paid_off_stripe", 0))

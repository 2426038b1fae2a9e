"""The mailbox: what Stripe would have e-mailed in live mode."""

from pathlib import Path

import orjson

from sandbox.common import page_templates
from sandbox.common.hosted_invoice_url import dated
from sandbox.stripe import money
from sandbox.stripe.context import Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc

TEMPLATES = page_templates.environment(Path(__file__).parent / "templates")
TEMPLATES.filters["money"] = money.display


def post_invoice(context: Context, invoice: Doc) -> None:
    """Mail an invoice to its customer."""
    account = context.account.name
    if invoice["status"] == "paid":
        subject = f"Your receipt from {account} #{invoice['number']}"
    else:
        subject = f"Invoice from {account} #{invoice['number']}"
    _post(context, invoice, subject, "mail_invoice.html")


def post_credit_note(context: Context, invoice: Doc, note: Doc) -> None:
    """Mail a credit note to the invoice's customer."""
    subject = f"Credit note from {context.account.name} #{note['number']}"
    _post(context, invoice, subject, "mail_credit_note.html", note=note)


def _post(context: Context, invoice: Doc, subject: str, template: str, **more: Doc) -> None:
    invoice = orjson.loads(dated(orjson.dumps(invoice), context.now))
    html = TEMPLATES.get_template(template).render(invoice=invoice, account=context.account, **more)
    context.space.insert(
        "mail",
        {
            "id": new_id("mail"),
            "to": invoice["customer_email"],
            "subject": subject,
            "created": context.now,
            "invoice": invoice["id"],
            "hosted_invoice_url": invoice["hosted_invoice_url"],
            "html": html,
        },
    )

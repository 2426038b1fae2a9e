"""The mailbox: what Stripe would have e-mailed in live mode."""

from pathlib import Path

from sandbox.common import web
from sandbox.stripe import money
from sandbox.stripe.context import Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc

TEMPLATES = web.environment(Path(__file__).parent / "templates")
TEMPLATES.filters["money"] = money.display


def post_invoice(context: Context, invoice: Doc) -> None:
    """Mail an invoice to its customer."""
    account = context.account.name
    if invoice["status"] == "paid":
        subject = f"Your receipt from {account} #{invoice['number']}"
    else:
        subject = f"Invoice from {account} #{invoice['number']}"
    post(context, invoice["customer_email"], subject, "mail_invoice.html", invoice)


def post(context: Context, to: str, subject: str, template: str, invoice: Doc) -> None:
    """Put an e-mail about an invoice into the mailbox."""
    html = TEMPLATES.get_template(template).render(
        invoice=invoice, account=context.account, subject=subject
    )
    context.space.insert(
        "mail",
        {
            "id": new_id("mail"),
            "to": to,
            "subject": subject,
            "created": context.now,
            "invoice": invoice["id"],
            "hosted_invoice_url": invoice["hosted_invoice_url"],
            "html": html,
        },
    )

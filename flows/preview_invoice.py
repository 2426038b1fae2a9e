"""Say what an invoice will come to, before it is sent."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference
from tasks.drafting.preview import ask_for_preview, check_billable, publish_preview, write_preview
from tasks.records.environment_check import verify_environment
from tasks.records.invoices import read_invoice
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sending.customer import check_customer
from tasks.sending.stripe_draft import ensure_coupons, ensure_products


@invoicing_flow("preview {invoice}")
def preview_invoice(invoice: InvoiceReference) -> InvoiceOutcome:
    """Ask Stripe for the exact total of a draft, and what the customer would be asked for.

    That counts in taxes, discounts, and what the customer owes or has to its credit from
    before. It is written on the record, until the draft is changed. Stripe makes no invoice;
    only products and coupons are made that it needs for the sum.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        draft = read_invoice(record_id)
        name_run(f"preview {draft.name} for {draft.account.name}")
        check_billable(draft)
        check_customer(draft)
        ensure_products(draft.lines)
        ensure_coupons(draft)
        preview = ask_for_preview(draft)
        write_preview(draft, preview)
    publish_preview(draft, preview)
    return InvoiceOutcome(
        sentence=f"{draft.name} would bill {draft.account.name} {preview.sentence}",
        record_id=record_id,
        name=draft.name,
        status=draft.status,
        total=str(preview.asked.total),
        amount_due=str(preview.asked.due),
    )

"""Delete a draft that is not wanted, on both sides."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference
from tasks.drafting.clone_delete import (
    check_deletable,
    delete_in_stripe,
    delete_record,
    deleted_before,
)
from tasks.records.environment_check import verify_environment
from tasks.records.invoices import read_invoice
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run


@invoicing_flow("delete {invoice}")
def delete_draft(invoice: InvoiceReference) -> InvoiceOutcome:
    """Delete a draft invoice with its lines, first in Stripe, then in Salesforce.

    Refused once it is sent: what a customer has seen is voided, and stays on file.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
    """
    verify_environment()
    if deleted_before(invoice):
        return InvoiceOutcome(sentence=f"{invoice} is deleted.")
    with lock_invoice(invoice) as record_id:
        draft = read_invoice(record_id)
        name_run(f"delete {draft.name} for {draft.account.name}")
        check_deletable(draft, invoice)
        delete_in_stripe(draft)
        delete_record(draft)
    return InvoiceOutcome(
        sentence=f"{draft.name} for {draft.account.name} is deleted ({draft.size}).",
        record_id=draft.record_id,
        name=draft.name,
        status="Deleted",
        total=str(draft.total),
    )

"""Make a new draft with the content of another invoice."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import (
    InvoiceReference,
    OptionalDate,
    PaymentTerms,
    RequestId,
)
from invoicing.domain.model.invoice_details import Terms
from invoicing.domain.salesforce.draft_from_billed import note_of_fields
from tasks.drafting.clone_delete import write_clone
from tasks.records.environment_check import verify_environment
from tasks.records.invoices import find_record, read_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run


@invoicing_flow("clone {invoice}")
def clone_invoice(
    invoice: InvoiceReference,
    due_date: OptionalDate = None,
    payment_terms: PaymentTerms = "",
    request_id: RequestId = "",
) -> InvoiceOutcome:
    """Make a new draft with the same lines, terms and details as an invoice in any state.

    The original stays as it is. To correct an invoice that was sent, use replace-invoice.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        due_date: The last day for payment; empty for the original's, or for the terms below.
        payment_terms: Days from the day of sending, instead of a due date.
        request_id: For programs: the same request id makes one draft.
    """
    verify_environment()
    original = read_invoice(find_record(invoice))
    name_run(f"clone {original.name} for {original.account.name}")
    terms = Terms(payment_terms) if payment_terms else None
    clone = write_clone(original, due_date, terms, request_id)
    return InvoiceOutcome.of_draft(
        clone,
        f"{clone.name} is a draft like {original.name}: {clone.size}, {clone.due_words}."
        f"{note_of_fields(original, clone)}",
    )

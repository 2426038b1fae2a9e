"""Replace an invoice that was sent: a new draft takes its place."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference, OptionalDate, RequestId
from invoicing.domain.salesforce.draft_from_billed import note_of_fields
from tasks.corrections.replacement_draft import write_replacement
from tasks.records.environment_check import verify_environment
from tasks.records.invoices import read_invoice
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run


@invoicing_flow("replace {invoice}")
def replace_invoice(
    invoice: InvoiceReference, due_date: OptionalDate = None, request_id: RequestId = ""
) -> InvoiceOutcome:
    """Make a new draft in place of an invoice that is wrong. Revise it, then send it.

    Both records are linked. The old invoice can be paid until the new one is sent; then Stripe
    gives that a number of its own and voids the old one. One that was credited is not replaced:
    the new invoice would ask for that again.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        due_date: The last day for payment; empty for the same as before.
        request_id: For programs: the same request id makes one draft.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        old = read_invoice(record_id)
        name_run(f"replace {old.name} for {old.account.name}")
        new = write_replacement(record_id, due_date, request_id)
    return InvoiceOutcome.of_draft(
        new,
        f"{new.name} is a draft in place of {old.name}: {new.size}, {new.due_words}. Revise it "
        f"and send it; {old.name} is void then.{note_of_fields(old, new)}",
    )

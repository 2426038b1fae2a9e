"""Void an invoice: it need not be paid, and stays on file."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference
from invoicing.domain.stripe.action_rules import InvoiceAction
from tasks.corrections.invoice_state import check_allowed, read_invoice_state
from tasks.corrections.void_and_write_off import void
from tasks.records.environment_check import verify_environment
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sync.refresh import refresh_after_act
from tasks.sync.refresh_result import outcome_of_act


@invoicing_flow("void {invoice}")
def void_invoice(invoice: InvoiceReference) -> InvoiceOutcome:
    """Void an invoice that should never have been paid. That is final.

    Possible while it is open or written off, and nothing has been paid on it. What was paid
    is given back with credit-invoice; what was wrong is put right with replace-invoice.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        sent = read_invoice_state(record_id)
        name_run(f"void {sent.name} for {sent.account}")
        check_allowed(InvoiceAction.VOID, sent)
        void(sent)
        change = refresh_after_act(sent.stripe_id)
    return outcome_of_act(change, f"{sent.name} over {sent.total} for {sent.account} is void.")

"""Mail an invoice to its customer again."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference, RequestId
from tasks.corrections.invoice_state import read_invoice_state
from tasks.corrections.resend import mail_again
from tasks.records.environment_check import verify_environment
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sync.refresh import refresh_after_act
from tasks.sync.refresh_result import outcome_of_act


@invoicing_flow("resend {invoice}")
def resend_invoice(invoice: InvoiceReference, request_id: RequestId = "") -> InvoiceOutcome:
    """Have Stripe e-mail an invoice to its customer once more.

    Possible while it is open, and as a receipt once it is paid.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        request_id: For programs: the same request id mails once. Another one mails again even
            within five minutes, when a second run is else taken for a button pressed twice.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        sent = read_invoice_state(record_id)
        name_run(f"resend {sent.name} to {sent.account}")
        other_address = mail_again(sent, request_id)
        change = refresh_after_act(sent.stripe_id)
    return outcome_of_act(change, f"{sent.name} was mailed to {sent.email} again.{other_address}")

"""Write an invoice off: the money is not expected any more."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference
from invoicing.domain.stripe.action_rules import InvoiceAction
from tasks.corrections.invoice_state import check_allowed, read_invoice_state
from tasks.corrections.void_and_write_off import write_off
from tasks.records.environment_check import verify_environment
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sync.refresh import refresh_after_act
from tasks.sync.refresh_result import outcome_of_act


@invoicing_flow("write off {invoice}")
def write_off_invoice(invoice: InvoiceReference) -> InvoiceOutcome:
    """Write an open invoice off as uncollectible.

    Stripe never makes it open again. Money that comes in after all is noted with
    record-payment; replace-invoice asks for it again, and void-invoice cancels it.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        sent = read_invoice_state(record_id)
        name_run(f"write off {sent.name} for {sent.account}")
        check_allowed(InvoiceAction.WRITE_OFF, sent)
        write_off(sent)
        change = refresh_after_act(sent.stripe_id)
    return outcome_of_act(
        change, f"{sent.remaining} of {sent.name} for {sent.account} is written off."
    )

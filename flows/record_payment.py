"""Note money that came in outside Stripe: by bank transfer, by cheque."""

from typing import Annotated

from pydantic import Field

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import (
    InvoiceReference,
    OptionalDate,
    OptionalNumber,
    PaidBy,
    RequestId,
)
from tasks.corrections.invoice_state import read_invoice_state
from tasks.corrections.recorded_payment import attach_payment, check_payment, report_payment
from tasks.records.environment_check import verify_environment
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sync.refresh import refresh_after_act
from tasks.sync.refresh_result import outcome_of_act


@invoicing_flow("record a payment of {invoice}")
def record_payment(
    invoice: InvoiceReference,
    amount: Annotated[OptionalNumber, Field(examples=["950.00"])] = None,
    received_on: OptionalDate = None,
    paid_by: PaidBy = "bank transfer",
    reference: Annotated[str, Field(max_length=200, examples=["Statement 11/2026, line 7"])] = "",
    request_id: RequestId = "",
) -> InvoiceOutcome:
    """Note a payment that Stripe did not collect: the whole of what remains, or a part.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        amount: In the invoice's currency; empty for all that remains to be paid.
        received_on: The day on which the money came in; empty for today.
        paid_by: How it came in.
        reference: What it is found by: the bank's reference, the cheque's number. The same
            reference, amount and day are noted once.
        request_id: For programs: the same request id notes the payment once. Another one notes an
            equal one without a reference even within five minutes, when a second run is else taken
            for a button pressed twice.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        sent = read_invoice_state(record_id)
        name_run(f"record a payment of {sent.name} by {sent.account}")
        payment = check_payment(sent, amount, received_on, paid_by, reference, request_id)
        reported = report_payment(payment)
        attach_payment(payment, reported)
        change = refresh_after_act(sent.stripe_id)
    return outcome_of_act(
        change,
        f"{payment.money} by {paid_by} was noted on {sent.name}"
        f"{f'; it is {change.status} now' if change.status else ''}.",
    )

"""Credit an invoice: the customer owes less, or gets money back."""

from operator import attrgetter
from typing import Annotated

from pydantic import Field

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import (
    CreditLine,
    CreditReason,
    GiveBack,
    InvoiceReference,
    OptionalCredit,
    RequestId,
)
from invoicing.domain.stripe.credit_notes import CreditRequest
from tasks.corrections.credit_note import check_credit, issue_credit_note
from tasks.corrections.invoice_state import read_invoice_state
from tasks.records.environment_check import verify_environment
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sync.refresh import refresh_after_act
from tasks.sync.refresh_result import outcome_of_act


@invoicing_flow("credit {invoice}")
def credit_invoice(
    invoice: InvoiceReference,
    amount: Annotated[OptionalCredit, Field(examples=["100.00"])] = None,
    lines: list[CreditLine] = [],  # noqa: B006
    give_back: GiveBack = "nothing",
    reason: CreditReason = "other",
    memo: Annotated[str, Field(max_length=500)] = "",
    mail_customer: bool = True,
    request_id: RequestId = "",
) -> InvoiceOutcome:
    """Issue a credit note: for the whole invoice, an amount of it, or single lines.

    It first lowers what remains to be paid. Only what goes beyond that is given back.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        amount: Tax included, in the invoice's currency; empty for all, or for the lines below.
        lines: What is credited of single lines, by their position on the invoice.
        give_back: Where the part goes that was paid already: a refund, the customer balance
            (taken off the next invoice), or out of band (you pay it back yourself, or the bank
            took it by a dispute that was lost). "Refunded already" moves no money: the credit
            note is for a refund that was made without one.
        reason: Why; Stripe keeps it with the credit note.
        memo: What the customer reads on the credit note.
        mail_customer: Whether Stripe mails the credit note to the customer.
        request_id: For programs: the same request id issues one credit note. Another one issues
            an equal one even within five minutes, when a second run is else taken for a button
            pressed twice.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        sent = read_invoice_state(record_id)
        name_run(f"credit {sent.name} for {sent.account}")
        in_order = tuple(sorted(lines, key=attrgetter("line")))
        request = CreditRequest(amount, in_order, give_back, reason, memo, mail_customer)
        credit = check_credit(sent, request, request_id)
        number = issue_credit_note(sent, request, credit, request_id)
        change = refresh_after_act(sent.stripe_id, reread_payments=True)
    return outcome_of_act(
        change, f"Credit note {number}: {credit.describe(give_back)} on {sent.name}."
    )

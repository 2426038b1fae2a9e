"""Raise an invoice: a draft in Salesforce, nothing in Stripe yet."""

from typing import Annotated

from pydantic import Field

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import (
    AccountReference,
    FoldedOptions,
    LineItem,
    Needed,
    OptionalDate,
    Options,
)
from tasks.drafting.draft_record import prepare_draft, write_draft
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run, run_id


@invoicing_flow("raise an invoice for {account}")
def raise_invoice(
    account: AccountReference,
    description: Annotated[str, Field(examples=["November services"]), Needed("a description")],
    lines: Annotated[list[LineItem], Needed("a line")],
    due_date: OptionalDate = None,
    currency: Annotated[str, Field(examples=["EUR"])] = "",
    options: FoldedOptions = Options(),  # noqa: B008
    request_id: Annotated[str, Field(max_length=50)] = "",
) -> InvoiceOutcome:
    """Raise a draft invoice on an Account. It can be revised until it is sent.

    Args:
        account: The customer's Account in Salesforce: its id or its exact name.
        description: What the invoice is for; the customer reads it.
        lines: What is billed: product or text, quantity, price, discount.
        due_date: The last day for payment; empty when payment terms are chosen below.
        currency: Empty for the Account's currency.
        options: Terms, discount, tax, custom fields, sending date and the like.
        request_id: For programs: the same request id raises the same invoice once.
    """
    verify_environment()
    draft = prepare_draft(
        account, description, due_date, lines, currency, request_id or run_id(), options
    )
    invoice = write_draft(draft)
    name_run(f"raise {invoice.name} for {invoice.account.name}")
    return InvoiceOutcome.of_draft(
        invoice,
        f"{invoice.name} is a draft for {invoice.account.name}: {invoice.size}, "
        f"{invoice.due_words}.",
    )

"""Raise an invoice: a draft in Salesforce, nothing in Stripe yet."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from invoicing.domain.forms import AccountReference, DueDate, InvoiceOutcome, LineItem
from tasks.ledger import check_world
from tasks.policy import answering
from tasks.report import name_run, run_id
from tasks.salesforce import prepare_draft, write_draft


@flow(name="raise-invoice", flow_run_name="raise an invoice for {account}", persist_result=True)
@answering
def raise_invoice(
    account: AccountReference,
    description: Annotated[str, Field(examples=["November services"])],
    due_date: DueDate,
    lines: list[LineItem],
    currency: Annotated[str, Field(examples=["EUR"], pattern=r"^([A-Za-z]{3})?$")] = "",
    request_id: Annotated[str, Field(max_length=50)] = "",
) -> InvoiceOutcome:
    """Raise a draft invoice on an Account. It can be revised until it is sent.

    Args:
        account: The customer's Account in Salesforce: its id or its exact name.
        description: What the invoice is for; the customer reads it.
        due_date: The last day for payment.
        lines: What is billed: product, quantity, price.
        currency: Empty for the Account's currency.
        request_id: For programs: the same request id raises the same invoice once.
    """
    check_world()
    draft = prepare_draft(
        account, description, due_date, lines, currency, key=request_id or run_id()
    )
    invoice = write_draft(draft)
    name_run(f"raise {invoice.name} for {invoice.account.name}")
    return InvoiceOutcome(
        sentence=(
            f"{invoice.name} is a draft for {invoice.account.name}: {invoice.size}, "
            f"due {invoice.due_date}."
        ),
        record_id=invoice.record_id,
        name=invoice.name,
        status=invoice.status,
        total=str(invoice.total),
    )

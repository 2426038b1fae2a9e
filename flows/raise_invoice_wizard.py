"""Raise an invoice step by step: the run asks, a person answers in Prefect's UI or API."""

from typing import Annotated

from pydantic import Field

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.wizard import choose_account, compose
from tasks.drafting.draft_record import write_draft
from tasks.drafting.wizard_steps import confirm_order, look_for_account, open_price_book
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.prompts import Prompts
from tasks.runtime.run_name import name_run


@invoicing_flow("raise an invoice step by step")
def raise_invoice_wizard(
    account: Annotated[str, Field(examples=["Acme Corporation"])] = "",
    answers: list[dict[str, str]] = [],  # noqa: B006
) -> InvoiceOutcome:
    """Raise a draft invoice by answering questions: the run waits for each answer.

    Description and due date, then product by product with price and quantity, then a summary
    to confirm. Nothing is written before that. Between answers the run uses nothing, and a
    dialogue that nobody goes on with ends by itself.

    Args:
        account: The customer's Account: its id, its name or a part of it. Empty: it is asked.
        answers: For programs: the first questions' answers in order; only the rest is asked.
    """
    verify_environment()
    prompts = Prompts("wizard", answers)
    customer = prompts.run(choose_account(account.strip(), look_for_account))
    name_run(f"raise an invoice for {customer.name} step by step")
    context = open_price_book(customer)
    draft = confirm_order(prompts, context, prompts.run(compose(context)))
    if draft is None:
        return InvoiceOutcome(sentence="Abandoned: nothing was raised.")
    invoice = write_draft(draft)
    name_run(f"raise {invoice.name} for {invoice.account.name}")
    return InvoiceOutcome.of_draft(
        invoice,
        f"{invoice.name} is a draft for {invoice.account.name}: {invoice.size}, "
        f"{invoice.due_words}.",
    )

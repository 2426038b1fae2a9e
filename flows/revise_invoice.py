"""Revise a draft: header, lines added, changed, removed."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import (
    Clearable,
    FoldedOptions,
    InvoiceReference,
    LineChange,
    LineItem,
    OptionalDate,
    Options,
)
from tasks.drafting.draft_revision import prepare_revision, write_revision
from tasks.records.environment_check import verify_environment
from tasks.records.invoices import read_invoice
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run, run_id


@invoicing_flow("revise {invoice}")
def revise_invoice(
    invoice: InvoiceReference,
    description: str = "",
    due_date: OptionalDate = None,
    change: list[LineChange] = [],  # noqa: B006
    add: list[LineItem] = [],  # noqa: B006
    remove: list[int] = [],  # noqa: B006
    options: FoldedOptions = Options(),  # noqa: B008
    clear: list[Clearable] = [],  # noqa: B006
) -> InvoiceOutcome:
    """Revise a draft invoice. What is left empty stays as it is; refused once it is sent.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        description: What the invoice is for; the customer reads it.
        due_date: The last day for payment.
        change: Lines to change, by their position on the invoice.
        add: Lines to add at the end.
        remove: Positions of lines to remove.
        options: Terms, discount, tax, custom fields, sending date and the like.
        clear: What to empty.
    """
    verify_environment()
    with lock_invoice(invoice) as record_id:
        before = read_invoice(record_id)
        name_run(f"revise {before.name} for {before.account.name}")
        revision = prepare_revision(
            before,
            description=description,
            due_date=due_date,
            add=add,
            change=change,
            remove=remove,
            key=run_id(),
            options=options,
            clear=clear,
        )
        after = write_revision(revision)
    return InvoiceOutcome.of_draft(
        after,
        f"{after.name} now has {after.size} (before: {before.size}).",
        total=f"{before.total} → {after.total}",
    )

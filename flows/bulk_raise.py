"""Raise many drafts at once: from a spreadsheet, or from Opportunities that were won."""

from typing import Annotated

from pydantic import Field

from invoicing.domain.forms.outcomes import BulkOutcome
from invoicing.domain.forms.parameters import (
    NOTHING_GIVEN,
    Folded,
    FoldedOptions,
    OptionalDate,
    Options,
    RequestId,
)
from invoicing.domain.forms.table_layout import TableLayout
from invoicing.domain.model.wording import counted
from invoicing.errors import Rejected
from tasks.drafting.bulk_checks import choose_defaults
from tasks.drafting.bulk_drafts import outcome, publish_rows, write_drafts
from tasks.drafting.opportunity_drafts import check_opportunities
from tasks.drafting.table_drafts import check_table, read_table
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run, run_id

EXAMPLE = """invoice,account,description,payment_terms,product,quantity,unit_price
A,Acme Corporation,November services,Net 30,Consulting,3,
A,Acme Corporation,,,Onboarding,1,2000
"""


@invoicing_flow("raise many invoices")
def bulk_raise(
    csv: Annotated[str, Field(examples=[EXAMPLE])] = "",
    file: Annotated[str, Field(examples=["https://files.example.com/november.xlsx"])] = "",
    opportunities: Annotated[list[str], Field(examples=[["Acme renewal"]])] = [],  # noqa: B006
    description: str = "",
    due_date: OptionalDate = None,
    options: FoldedOptions = Options(),  # noqa: B008
    layout: Annotated[TableLayout, Folded(), NOTHING_GIVEN] = TableLayout(),  # noqa: B008
    all_or_nothing: bool = True,
    request_id: RequestId = "",
) -> BulkOutcome:
    """Raise drafts from a spreadsheet, or from closed and won Opportunities with their products.

    Nothing is sent. The run's page bulk-raise says the outcome of each row. At most 2,000
    invoices of 250 lines go in one run, and 512 KB of text.

    Args:
        csv: A row of titles, then one row for each line of an invoice; rows with the same
            invoice key are one invoice. Exports of QuickBooks, Xero, Zoho, FreshBooks and
            Stripe, and Salesforce reports, go as they are. Else the columns are: invoice,
            account (needed), description, due_date or payment_terms, currency, po_number,
            footer, send_on; product or text, quantity, unit_price, discount_percent,
            discount_amount, tax_rate, line_total, invoice_total.
        file: Instead of the text: a CSV or XLSX file, by its path or address, where the
            settings allow it.
        opportunities: Ids or exact names. Each is billed once, whatever the request.
        description: Where a row has none; else an Opportunity's own name.
        due_date: Where a row has neither due date nor terms; empty for the terms below.
        options: What else all of the drafts get.
        layout: What the table itself does not say of its columns, numbers and dates.
        all_or_nothing: Write nothing where anything is wrong; else write what is right.
        request_id: For programs: the same rows in the same request are raised once.
    """
    verify_environment()
    if not (csv.strip() or file.strip() or opportunities):
        raise Rejected("There is nothing to raise: give a CSV, a file, or Opportunities.")
    defaults = choose_defaults(description, due_date, options)
    table = read_table(csv, file, layout)
    requested = check_table(table, defaults, request_id or run_id())
    requested += check_opportunities(opportunities, defaults)
    name_run(f"raise {counted(len(requested), 'invoice')}")
    results = write_drafts(requested, all_or_nothing=all_or_nothing)
    publish_rows(results)
    return outcome(results)

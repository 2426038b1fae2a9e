"""An invoice is billed with all of its lines, however Salesforce hands them out."""

from collections.abc import Callable

import pytest

from flows.send_invoice import send_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem
from invoicing.domain.salesforce import record
from invoicing.errors import Conflict
from tasks.records.invoices import check_lines, read_invoice
from tests.conftest import Sandbox
from tests.flows.conftest import Org


@pytest.mark.parametrize("largest", [None, 7])
def test_two_hundred_and_fifty_lines_are_billed(
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    salesforce_sandbox: Sandbox,
    largest: int | None,
) -> None:
    """250 lines of 100.00 are 25,000.00, in Salesforce's own batches and in tiny ones."""
    lines = [LineItem(product="Consulting", quantity=1, unit_price="100")] * 250
    raised = draft(lines=lines)
    salesforce_sandbox.admin("POST", "batches", largest=largest)
    sent = send_invoice(raised.name)
    assert (str(sent.total), sent.status) == ("25,000.00 USD", "Open")
    assert org.record(raised.name)["Total__c"] == 25_000


def test_lines_that_were_not_read_are_noticed(
    draft: Callable[..., InvoiceOutcome],
) -> None:
    """What Salesforce counts and adds up is not what was read: nothing may be finalized."""
    raised = draft(lines=[LineItem(product="Consulting", quantity=2, unit_price="0.0000005")] * 3)
    read = read_invoice.fn(raised.record_id)
    check_lines(read)
    line = str(read.lines[0].record_id)
    for fields in ({"Quantity__c": 3}, {"Quantity__c": 2, "Unit_Price__c": 1}):
        salesforce.client().update(record.LINE, line, fields)
        with pytest.raises(Conflict, match="Salesforce counts 3 lines and"):
            check_lines(read)
    salesforce.client().delete(record.LINE, line)
    with pytest.raises(Conflict, match=r"3 lines .* were read, and Salesforce counts 2 lines"):
        check_lines(read)

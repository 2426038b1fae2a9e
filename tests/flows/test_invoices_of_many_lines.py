"""An invoice is billed with all of its lines, however Salesforce hands them out."""

from collections.abc import Callable

import pytest

from flows.send_invoice import send_invoice
from invoicing.domain.forms.parameters import InvoiceOutcome, LineItem
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

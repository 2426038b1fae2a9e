"""Drafts that nobody raised here: made by hand, or by the package's own dialogue, and sent."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from deployments.local.stack import SALESFORCE_PACKAGE
from flows.send_invoice import send_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.model.invoice_details import Discount
from invoicing.domain.salesforce import record
from invoicing.errors import Conflict
from tasks.records.invoices import check_lines, read_invoice
from tests.flows.conftest import Org

NEXT_MONTH = date.today() + timedelta(days=30)


def written(variable: str) -> set[str]:
    """The fields that the dialogue Raise Invoice fills of a record."""
    flow = SALESFORCE_PACKAGE / "flows/Raise_Invoice.flow-meta.xml"
    assigned = rf"<assignToReference>{variable}\.(\w+)</assignToReference>"
    return set(re.findall(assigned, flow.read_text(encoding="utf-8")))


@pytest.fixture
def asked(org: Org) -> Callable[..., str]:
    """A draft with one line of 3 hours, with the fields that the dialogue fills; its name."""

    def make(currency: str = "USD", **line: Any) -> str:
        [account] = org.query("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")
        [product] = org.query("SELECT Id FROM Product2 WHERE Name = 'Consulting'")
        header = {
            "Account__c": account["Id"],
            "Opportunity__c": None,
            "Currency__c": currency,
            "Description__c": "November services",
            "Due_Date__c": NEXT_MONTH.isoformat(),
            "Payment_Terms__c": None,
        }
        fields = {
            "Position__c": 1,
            "Product__c": product["Id"],
            "Description__c": None,
            "Quantity__c": 3,
            "Unit_Price__c": 150,
            "Currency__c": currency,
        }
        assert header.keys() == written("invoice")
        assert fields.keys() == written("line")
        client = salesforce.client()
        made = client.write_graph(
            [
                {
                    "method": "POST",
                    "path": f"sobjects/{record.INVOICE}",
                    "referenceId": "invoice",
                    "body": header,
                },
                {
                    "method": "POST",
                    "path": f"sobjects/{record.LINE}",
                    "referenceId": "line",
                    "body": fields | line | {"Invoice__c": "@{invoice.id}"},
                },
            ]
        )
        where = f"Id = '{made['invoice']['id']}'"
        return str(org.query(f"SELECT Name FROM Stripe_Invoice__c WHERE {where}")[0]["Name"])

    return make


def test_a_draft_of_the_dialogue_adds_up_and_is_sent(asked: Callable[..., str], org: Org) -> None:
    """Salesforce says what it comes to before anything reaches Stripe; Stripe says the same."""
    name = asked()
    fields = "Draft_Subtotal__c, Draft_Lines__c, Status__c, Total__c, Stripe_Invoice_Id__c"
    [draft] = org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = '{name}'")
    assert (draft["Draft_Subtotal__c"], draft["Draft_Lines__c"]) == (450, 1)
    assert (draft["Status__c"], draft["Total__c"]) == ("Draft", None)
    assert draft["Stripe_Invoice_Id__c"] is None
    sent = send_invoice(name)
    assert (sent.status, str(sent.total)) == ("Open", "450.00 USD")


def test_a_line_made_by_hand_need_not_say_its_currency(asked: Callable[..., str], org: Org) -> None:
    """It gets its invoice's: three times 33.50 yen are 101 yen on the record, as to Stripe."""
    name = asked("JPY", Currency__c=None, Unit_Price__c=33.5)
    [draft] = org.query(f"SELECT Draft_Subtotal__c FROM Stripe_Invoice__c WHERE Name = '{name}'")
    assert draft["Draft_Subtotal__c"] == 101
    assert str(send_invoice(name).total) == "101 JPY"


def test_what_salesforce_adds_up_itself_is_held_against_what_was_read(
    draft: Callable[..., InvoiceOutcome],
) -> None:
    """A discount that was misread changes neither quantities nor prices, but the subtotal."""
    read = read_invoice.fn(draft().record_id)
    check_lines(read)
    first, *others = read.lines
    misread = replace(first, discount=Discount(percent=Decimal(10)))
    with pytest.raises(Conflict, match=r"come to 2,405\.00 USD before tax, .* is 2450"):
        check_lines(replace(read, lines=(misread, *others)))

"""Queries in our names become queries in the org's, and nothing else of them changes."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.connectors.salesforce import quoted
from invoicing.domain.salesforce.field_mapping import Names, OrgMapping
from invoicing.domain.salesforce.queries import translate
from invoicing.errors import Rejected

FILE = Path(__file__).parents[3] / "orgs/billing/mapping.toml"
NAMES = Names(OrgMapping.model_validate(tomllib.loads(FILE.read_text())))

SAME = [
    "SELECT Id FROM Organization",
    "SELECT COUNT(Id) n FROM Opportunity WHERE IsWon = true GROUP BY AccountId LIMIT 5",
    "SELECT Product2.Name FROM PricebookEntry WHERE Pricebook2.IsStandard = true",
]
TRANSLATED = {
    "SELECT Id, Status__c FROM Stripe_Invoice__c": "SELECT Id, State__c FROM Billing_Document__c",
    "SELECT Stripe_Customer_Id__c FROM Account": "SELECT Stripe_Key__c FROM Account",
    "SELECT Stripe_Customer_Id__c FROM Stripe_Invoice__c": (
        "SELECT Stripe_Customer__c FROM Billing_Document__c"
    ),
    "SELECT Account__r.Stripe_Customer_Id__c, Bill_To__r.Email FROM Stripe_Invoice__c": (
        "SELECT Customer__r.Stripe_Key__c, Recipient__r.Email FROM Billing_Document__c"
    ),
    "SELECT Id, (SELECT Position__c FROM Lines__r ORDER BY Position__c) FROM Stripe_Invoice__c": (
        "SELECT Id, (SELECT Number__c FROM Positions__r ORDER BY Number__c) "
        "FROM Billing_Document__c"
    ),
    "SELECT Id FROM Account WHERE Id IN (SELECT Account__c FROM Stripe_Invoice__c "
    "WHERE (Status__c != null AND Total__c > 0))": (
        "SELECT Id FROM Account WHERE Id IN (SELECT Customer__c FROM Billing_Document__c "
        "WHERE (State__c != null AND Gross__c > 0))"
    ),
    "SELECT Invoice__r.Account__r.Name FROM Stripe_Invoice_Line__c "
    "WHERE Invoice__c = 'Status__c'": (
        "SELECT Document__r.Customer__r.Name FROM Billing_Position__c "
        "WHERE Document__c = 'Status__c'"
    ),
    "SELECT Id FROM Stripe_Invoice__c WHERE Status__c = 'Draft'": (
        "SELECT Id FROM Billing_Document__c WHERE State__c IN ('Entwurf', 'In Prüfung')"
    ),
    "SELECT Id FROM Stripe_Invoice__c WHERE Status__c != 'Draft' AND Name = 'Draft'": (
        "SELECT Id FROM Billing_Document__c WHERE State__c NOT IN ('Entwurf', 'In Prüfung') "
        "AND Name = 'Draft'"
    ),
    "SELECT Id FROM Stripe_Invoice__c WHERE Status__c IN ('Draft', 'Open') OR Status__c = 'New'": (
        "SELECT Id FROM Billing_Document__c WHERE State__c IN ('Entwurf', 'In Prüfung', 'Offen') "
        "OR State__c = 'New'"
    ),
    "SELECT Id FROM Stripe_Invoice__c WHERE SystemModstamp >= 2026-11-23T04:05:06Z LIMIT 10": (
        "SELECT Id FROM Billing_Document__c WHERE SystemModstamp >= 2026-11-23T04:05:06Z LIMIT 10"
    ),
    "SELECT ~Description__c FROM Stripe_Invoice__c": (
        "SELECT Description__c FROM Billing_Document__c"
    ),
    "SELECT Id FROM Stripe_Invoice__c ORDER BY Voided_At__c, Number__c DESC": (
        "SELECT Id FROM Billing_Document__c ORDER BY Document_Number__c DESC"
    ),
    "SELECT Id FROM Stripe_Invoice__c ORDER BY Voided_At__c LIMIT 1": (
        "SELECT Id FROM Billing_Document__c LIMIT 1"
    ),
    "SELECT Livemode__c FROM Stripe_Invoice__c": "SELECT Id FROM Billing_Document__c",
}


@pytest.mark.parametrize("soql", SAME)
def test_what_is_not_mapped_stays(soql: str) -> None:
    """Standard objects and fields keep their names."""
    assert translate(soql, NAMES).soql == soql


@pytest.mark.parametrize("soql", TRANSLATED)
def test_each_name_is_the_orgs(soql: str) -> None:
    """Objects, fields, paths, children, sub-queries and picklist values."""
    assert translate(soql, NAMES).soql == TRANSLATED[soql]


@given(st.text(max_size=40))
def test_a_text_in_quotes_is_never_touched(text: str) -> None:
    """Whatever people write into a field, names and quotes included."""
    soql = f"SELECT Id FROM Account WHERE Name = {quoted(text)}"
    assert translate(soql, NAMES).soql == soql


def test_rows_of_values_keep_their_order_and_our_words() -> None:
    """A column that is not kept is empty; the org's words become ours."""
    asked = translate("SELECT Id, Livemode__c, Status__c FROM Stripe_Invoice__c", NAMES)
    assert asked.row(["a01", "In Prüfung"]) == ["a01", "", "Draft"]
    assert asked.row(["a02", "Bezahlt"]) == ["a02", "", "Paid"]


def test_a_condition_on_what_is_not_kept_is_refused() -> None:
    """Leaving it out would find the wrong records."""
    with pytest.raises(Rejected, match="keeps no 'action requested'"):
        translate("SELECT Id FROM Stripe_Invoice__c WHERE Action_Requested__c != null", NAMES)

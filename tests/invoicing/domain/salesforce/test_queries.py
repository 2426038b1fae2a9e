"""Queries are told in our names and written in the org's."""

import re
import tomllib
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.salesforce.field_mapping import Names, OrgMapping
from invoicing.domain.salesforce.queries import (
    Comparison,
    OrgCondition,
    Query,
    Value,
    all_of,
    any_of,
    equals,
    is_in,
    literal,
)
from invoicing.errors import Rejected

FILE = Path(__file__).parents[3] / "orgs/billing/mapping.toml"
NAMES = Names(OrgMapping.model_validate(tomllib.loads(FILE.read_text())))
OURS = Names(OrgMapping())
INVOICE = "Stripe_Invoice__c"

SAME = {
    "SELECT Id FROM Organization": Query("Organization", ["Id"]),
    "SELECT Id, Name FROM Opportunity WHERE IsWon = true ORDER BY Fax NULLS LAST, Id LIMIT 5": (
        Query(
            "Opportunity",
            ["Id", "Name"],
            where=equals("IsWon", True),
            order="Fax NULLS LAST, Id",
            limit=5,
        )
    ),
    "SELECT Product2.Name FROM PricebookEntry WHERE Pricebook2.IsStandard = true": Query(
        "PricebookEntry", ["Product2.Name"], where=equals("Pricebook2.IsStandard", True)
    ),
    "SELECT Id FROM Account WHERE Name LIKE '%Acme%' AND (Fax = null OR Fax NOT IN ('1', '2'))": (
        Query(
            "Account",
            ["Id"],
            where=all_of(
                Comparison("Name", "LIKE", "%Acme%"),
                None,
                any_of(equals("Fax", None), Comparison("Fax", "!=", ("1", "2"))),
            ),
        )
    ),
}
TRANSLATED = {
    "SELECT Id, State__c FROM Billing_Document__c": Query(INVOICE, ["Id", "Status__c"]),
    "SELECT Stripe_Key__c FROM Account": Query("Account", ["Stripe_Customer_Id__c"]),
    "SELECT Stripe_Customer__c FROM Billing_Document__c": Query(INVOICE, ["Stripe_Customer_Id__c"]),
    "SELECT Customer__r.Stripe_Key__c, Recipient__r.Email FROM Billing_Document__c": Query(
        INVOICE, ["Account__r.Stripe_Customer_Id__c", "Bill_To__r.Email"]
    ),
    "SELECT Id, (SELECT Number__c FROM Positions__r ORDER BY Number__c) FROM Billing_Document__c": (
        Query(INVOICE, ["Id", Query("Lines__r", ["Position__c"], order="Position__c")])
    ),
    "SELECT Id FROM Account WHERE Id IN (SELECT Customer__c FROM Billing_Document__c "
    "WHERE State__c != null AND Gross__c > 0)": Query(
        "Account",
        ["Id"],
        where=is_in(
            "Id",
            Query(
                INVOICE,
                ["Account__c"],
                where=all_of(Comparison("Status__c", "!=", None), Comparison("Total__c", ">", 0)),
            ),
        ),
    ),
    "SELECT Document__r.Customer__r.Name FROM Billing_Position__c "
    "WHERE Document__c = 'Status__c'": Query(
        "Stripe_Invoice_Line__c",
        ["Invoice__r.Account__r.Name"],
        where=equals("Invoice__c", "Status__c"),
    ),
    "SELECT Id FROM Billing_Document__c WHERE State__c IN ('Entwurf', 'In Prüfung')": Query(
        INVOICE, ["Id"], where=equals("Status__c", "Draft")
    ),
    "SELECT Id FROM Billing_Document__c WHERE State__c NOT IN ('Entwurf', 'In Prüfung') "
    "AND Name = 'Draft'": Query(
        INVOICE,
        ["Id"],
        where=all_of(Comparison("Status__c", "!=", "Draft"), equals("Name", "Draft")),
    ),
    "SELECT Id FROM Billing_Document__c WHERE State__c IN ('Entwurf', 'In Prüfung', 'Offen') "
    "OR State__c = 'New'": Query(
        INVOICE,
        ["Id"],
        where=any_of(is_in("Status__c", ["Draft", "Open"]), equals("Status__c", "New")),
    ),
    "SELECT Description__c FROM Billing_Document__c": Query(INVOICE, ["~Description__c"]),
    "SELECT Id FROM Billing_Document__c ORDER BY Document_Number__c DESC": Query(
        INVOICE, ["Id"], order="Voided_At__c, Number__c DESC"
    ),
    "SELECT Id FROM Billing_Document__c LIMIT 1": Query(
        INVOICE, ["Id"], order="Voided_At__c", limit=1
    ),
    "SELECT Id FROM Billing_Document__c": Query(INVOICE, ["Livemode__c"]),
    "SELECT Id FROM Billing_Document__c WHERE Mailed_At__c != null AND (Status__c = 1 OR A = 1)": (
        Query(
            INVOICE,
            ["Id"],
            where=all_of(
                Comparison("Sent_At__c", "!=", None), OrgCondition("Status__c = 1 OR A = 1")
            ),
        )
    ),
}
LITERALS: list[tuple[Value, str]] = [
    (None, "null"),
    (True, "true"),
    (12, "12"),
    (date(2026, 11, 23), "2026-11-23"),
    (
        datetime(2026, 11, 23, 5, 5, 6, 789, timezone(timedelta(hours=1))),
        "2026-11-23T04:05:06Z",
    ),
    ("O'Neill \\ Sons", r"'O\'Neill \\ Sons'"),
]


@pytest.mark.parametrize("soql", SAME)
def test_what_is_not_mapped_stays(soql: str) -> None:
    """Standard objects and fields keep their names."""
    assert SAME[soql].build(NAMES).soql == soql
    assert SAME[soql].build(OURS).soql == soql


@pytest.mark.parametrize("soql", TRANSLATED)
def test_each_name_is_the_orgs(soql: str) -> None:
    """Objects, fields, paths, children, sub-queries and picklist values."""
    assert TRANSLATED[soql].build(NAMES).soql == soql


@pytest.mark.parametrize(("value", "soql"), LITERALS)
def test_each_value_as_soql_writes_it(value: Value, soql: str) -> None:
    """Texts stand in quotes, instants in UTC."""
    assert literal(value) == soql


@given(st.text(max_size=40))
def test_no_text_ends_its_quotes(text: str) -> None:
    """Whatever people write, it is one literal, and read back as it was written."""
    soql = Query("Account", ["Id"], where=equals("Name", text)).build(NAMES).soql
    found = re.fullmatch(
        r"SELECT Id FROM Account WHERE Name = '((?:\\.|[^'\\])*)'", soql, re.DOTALL
    )
    assert found
    assert re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) == text


def test_rows_of_values_keep_their_order_and_our_words() -> None:
    """A column that is not kept is empty; the org's words become ours."""
    asked = Query(INVOICE, ["Id", "Livemode__c", "Status__c"]).build(NAMES)
    assert asked.row(["a01", "In Prüfung"]) == ["a01", "", "Draft"]
    assert asked.row(["a02", "Bezahlt"]) == ["a02", "", "Paid"]


def test_a_condition_on_what_is_not_kept_is_refused() -> None:
    """Leaving it out would find the wrong records."""
    query = Query(INVOICE, ["Id"], where=Comparison("Action_Requested__c", "!=", None))
    with pytest.raises(Rejected, match="keeps no 'action requested'"):
        query.build(NAMES)

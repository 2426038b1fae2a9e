"""Single records: what is accepted, what is refused, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from simple_salesforce.exceptions import SalesforceResourceNotFound

from sandbox.salesforce.ids import make_id


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Status__c", "Sent", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ("Currency__c", "DOLLAR", "STRING_TOO_LONG"),
        ("Total__c", 1e16, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("Account__c", "001nonsense", "MALFORMED_ID"),
        ("Account__c", make_id("003", 1), "FIELD_INTEGRITY_EXCEPTION"),
        ("CurrencyIsoCode", "XXX", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ("CreatedDate", "2026-01-01T00:00:00Z", "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ("Name", "INV-9", "INVALID_FIELD_FOR_INSERT_UPDATE"),
    ],
)
def test_a_bad_value_is_refused_naming_its_field(
    sf: Any, acme: str, refused: Any, field: str, value: Any, code: str
) -> None:
    """One error, with Salesforce's code and the field."""
    with refused(code, field):
        sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD", field: value})


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Totl__c", 1, "INVALID_FIELD"),
        ("Total__c", "lots", "JSON_PARSER_ERROR"),
        ("Due_Date__c", "24.12.2026", "JSON_PARSER_ERROR"),
        ("Account__c", make_id("001", 999), "INVALID_CROSS_REFERENCE_KEY"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(
    sf: Any, acme: str, refused: Any, field: str, value: Any, code: str
) -> None:
    """Unknown fields, wrong JSON types, records that are not there."""
    with refused(code):
        sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD", field: value})


def test_all_missing_fields_are_named_at_once(sf: Any, refused: Any) -> None:
    """One refusal, every required field."""
    with refused("REQUIRED_FIELD_MISSING", "Account__c", "Currency__c"):
        sf.Stripe_Invoice__c.create({})


def test_an_email_must_look_like_one(sf: Any, acme: str, refused: Any) -> None:
    """Umlauts in a local part are the customer's right; missing domains are not."""
    with refused("INVALID_EMAIL_ADDRESS", "Invoice_Email__c") as said:
        sf.Account.update(acme, {"Invoice_Email__c": "billing at acme"})
    assert said == ["Invoice E-mail: invalid email address: billing at acme"]
    sf.Account.update(acme, {"Invoice_Email__c": "rechnungen+übersee@acme.example.com"})


def test_numbers_are_rounded_to_the_scale_and_dates_keep_whole_seconds(sf: Any, acme: str) -> None:
    """Salesforce rounds where others would refuse; texts are trimmed, empty ones are null."""
    invoice = sf.Stripe_Invoice__c.create(
        {
            "Account__c": acme[:15],
            "Currency__c": " USD ",
            "Total__c": 10.005,
            "Number__c": "",
            "Sent_At__c": "2026-11-23T11:00:00.789+01:00",
        }
    )["id"]
    row = sf.Stripe_Invoice__c.get(invoice)
    assert row["Account__c"] == acme
    assert row["Currency__c"] == "USD"
    assert row["Total__c"] == 10.01
    assert row["Number__c"] is None
    assert row["Sent_At__c"] == "2026-11-23T10:00:00.000+0000"
    assert row["attributes"]["type"] == "Stripe_Invoice__c"


def test_a_detail_cannot_move_to_another_master(sf: Any, acme: str, refused: Any) -> None:
    """The package's lines are not reparentable."""
    body = {"Account__c": acme, "Currency__c": "USD"}
    first, second = (sf.Stripe_Invoice__c.create(body)["id"] for _ in range(2))
    line = sf.Stripe_Invoice_Line__c.create(
        {"Invoice__c": first, "Quantity__c": 1, "Unit_Price__c": 5}
    )["id"]
    with refused("INVALID_FIELD_FOR_INSERT_UPDATE", "Invoice__c"):
        sf.Stripe_Invoice_Line__c.update(line, {"Invoice__c": second})


def test_an_account_with_invoices_cannot_be_deleted(sf: Any, acme: str, refused: Any) -> None:
    """The lookup restricts; without invoices the Account goes, its Contacts with it."""
    invoice = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
    with refused("DELETE_FAILED"):
        sf.Account.delete(acme)
    sf.Stripe_Invoice__c.delete(invoice)
    sf.Account.delete(acme)
    assert sf.query("SELECT COUNT() FROM Contact WHERE Account.Name LIKE 'Acme%'")["totalSize"] == 0
    with pytest.raises(SalesforceResourceNotFound, match="ENTITY_IS_DELETED"):
        sf.Account.update(acme, {"Name": "Back"})
    with pytest.raises(SalesforceResourceNotFound, match="NOT_FOUND"):
        sf.Account.get(acme)


def test_deleting_a_contact_clears_the_invoices_bill_to(sf: Any, acme: str) -> None:
    """An optional lookup is emptied, and the invoice counts as changed."""
    contact = sf.Contact.create({"LastName": "Wurst", "AccountId": acme})["id"]
    body = {"Account__c": acme, "Currency__c": "USD", "Bill_To__c": contact}
    invoice = sf.Stripe_Invoice__c.create(body)["id"]
    sf.Contact.delete(contact)
    assert sf.Stripe_Invoice__c.get(invoice)["Bill_To__c"] is None


def test_a_deleted_invoice_frees_its_external_id(sf: Any, acme: str, admin: Any) -> None:
    """Unique among live records only; coming back from the bin then collides."""
    body = {"Account__c": acme, "Currency__c": "USD", "Stripe_Invoice_Id__c": "in_1"}
    first = sf.Stripe_Invoice__c.create(body)["id"]
    sf.Stripe_Invoice__c.delete(first)
    second = sf.Stripe_Invoice__c.create(body)["id"]
    with pytest.raises(AssertionError, match="DUPLICATE_VALUE"):
        admin("POST", "undelete", json={"ids": [first]})
    sf.Stripe_Invoice__c.delete(second)
    admin("POST", "undelete", json={"ids": [first]})
    assert sf.Stripe_Invoice__c.get_by_custom_id("Stripe_Invoice_Id__c", "in_1")["Id"] == first


def test_an_external_id_that_is_not_one_is_refused(sf: Any, acme: str, refused: Any) -> None:
    """Upsert works by external ids and Id only."""
    with refused("NOT_FOUND"):
        sf.Stripe_Invoice__c.upsert("Number__c/7", {"Account__c": acme})
    with refused("INVALID_FIELD"):
        sf.Stripe_Invoice__c.upsert("Local_Key__c/7", {"Local_Key__c": "7"})


def test_a_parent_may_be_named_by_its_external_id(sf: Any, acme: str, refused: Any) -> None:
    """As upserts of lines do, that know their invoice's key and not its id."""
    sf.Account.update(acme, {"Stripe_Customer_Id__c": "cus_1"})
    body = {"Account__r": {"Stripe_Customer_Id__c": "cus_1"}, "Currency__c": "USD"}
    invoice = sf.Stripe_Invoice__c.create(body)["id"]
    assert sf.Stripe_Invoice__c.get(invoice)["Account__c"] == acme
    body["Account__r"] = {"Stripe_Customer_Id__c": "cus_2"}
    with refused("INVALID_FIELD"):
        sf.Stripe_Invoice__c.create(body)


def test_prices_follow_the_rules_of_price_books(sf: Any, refused: Any) -> None:
    """One price a product and currency; other books only after the standard one."""
    standard = sf.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true")["records"][0]["Id"]
    partner = sf.Pricebook2.create({"Name": "Partners", "IsActive": True})["id"]
    product = sf.Product2.create({"Name": "Sticker", "ProductCode": "STICK"})["id"]
    price = {"Product2Id": product, "UnitPrice": 2, "IsActive": True}
    with refused("STANDARD_PRICE_NOT_DEFINED"):
        sf.PricebookEntry.create({**price, "Pricebook2Id": partner})
    entry = sf.PricebookEntry.create({**price, "Pricebook2Id": standard})["id"]
    sf.PricebookEntry.create({**price, "Pricebook2Id": partner, "UnitPrice": 1})
    with refused("DUPLICATE_VALUE"):
        sf.PricebookEntry.create({**price, "Pricebook2Id": standard})
    sf.Product2.update(product, {"Name": "Large Sticker"})
    assert sf.PricebookEntry.get(entry)["Name"] == "Large Sticker"


def test_a_product_needs_no_code(sf: Any) -> None:
    """Its price has none either."""
    standard = sf.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true")["records"][0]["Id"]
    product = sf.Product2.create({"Name": "Sticker"})["id"]
    price = {"Product2Id": product, "Pricebook2Id": standard, "UnitPrice": 2, "IsActive": True}
    entry = sf.PricebookEntry.create(price)["id"]
    sf.Product2.update(product, {"Name": "Large Sticker"})
    seen = sf.PricebookEntry.get(entry)
    assert (seen["Name"], seen["ProductCode"]) == ("Large Sticker", None)


def test_changes_can_be_asked_for_by_their_time(sf: Any, acme: str, admin: Any) -> None:
    """The updated and deleted resources, as replication uses them."""
    admin("POST", "clock", json={"advance": 3_600})
    invoice = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
    gone = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
    sf.Stripe_Invoice__c.delete(gone)
    now = admin("GET", "clock")["timestamp"]
    admin("POST", "clock", json={"advance": -3_600})
    span = {"start": _iso(now - 1_800), "end": _iso(now + 60)}
    assert sf.restful("sobjects/Stripe_Invoice__c/updated", span)["ids"] == [invoice]
    deleted = sf.restful("sobjects/Stripe_Invoice__c/deleted", span)["deletedRecords"]
    assert [row["id"] for row in deleted] == [gone]
    assert sf.restful("sobjects/Account/updated", span)["ids"] == []


def test_merged_accounts_leave_their_invoices_to_the_winner(sf: Any, acme: str, admin: Any) -> None:
    """The loser lies in the bin and remembers its master; its children have moved."""
    loser = sf.Account.create({"Name": "ACME Corp.", "Stripe_Customer_Id__c": "cus_old"})["id"]
    invoice = sf.Stripe_Invoice__c.create({"Account__c": loser, "Currency__c": "USD"})["id"]
    admin("POST", "merge", json={"master": acme, "losers": [loser]})
    assert sf.Stripe_Invoice__c.get(invoice)["Account__c"] == acme
    assert sf.Account.get(acme)["Stripe_Customer_Id__c"] is None
    rows = sf.query_all(
        "SELECT Id, MasterRecordId FROM Account WHERE IsDeleted = true", include_deleted=True
    )["records"]
    assert [(row["Id"], row["MasterRecordId"]) for row in rows] == [(loser, acme)]


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")

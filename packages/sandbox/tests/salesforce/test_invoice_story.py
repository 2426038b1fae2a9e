"""What the first invoice needs of the org: draft, lines, revision, status, nightly reading."""

from __future__ import annotations

import csv
import io
from typing import Any

from simple_salesforce.format import format_soql

DATA = "/services/data/v67.0"


def raise_invoice(sf: Any, account: str, key: str, lines: int = 2) -> dict[str, Any]:
    """Write a draft and its lines in one all-or-none Composite call."""
    prices = sf.query(
        "SELECT Product2Id, UnitPrice FROM PricebookEntry "
        "WHERE IsActive = true AND CurrencyIsoCode = 'USD' ORDER BY Product2.Name"
    )["records"]
    requests = [
        {
            "method": "POST",
            "url": f"{DATA}/sobjects/Stripe_Invoice__c",
            "referenceId": "invoice",
            "body": {
                "Account__c": account,
                "Currency__c": "USD",
                "Due_Date__c": "2026-12-24",
                "Local_Key__c": key,
                "Description__c": "November work",
            },
        }
    ]
    for position, price in enumerate(prices[:lines], 1):
        requests.append(
            {
                "method": "POST",
                "url": f"{DATA}/sobjects/Stripe_Invoice_Line__c",
                "referenceId": f"line{position}",
                "body": {
                    "Invoice__c": "@{invoice.id}",
                    "Product__c": price["Product2Id"],
                    "Quantity__c": 2,
                    "Unit_Price__c": price["UnitPrice"],
                    "Position__c": position,
                },
            }
        )
    body = {"allOrNone": True, "compositeRequest": requests}
    answer = sf.restful("composite", method="POST", json=body)
    return {one["referenceId"]: one for one in answer["compositeResponse"]}


def test_a_raised_invoice_is_a_numbered_draft_with_lines(sf: Any, acme: str) -> None:
    """Draft, payment and sync states come from the package's defaults, the number from the org."""
    written = raise_invoice(sf, acme, "key-1")
    invoice = sf.Stripe_Invoice__c.get(written["invoice"]["body"]["id"])
    assert invoice["Name"] == "INV-0001"
    assert invoice["Status__c"] == "Draft"
    assert invoice["Livemode__c"] is False
    assert invoice["Due_Date__c"] == "2026-12-24"
    assert invoice["CreatedDate"].endswith(".000+0000")

    soql = format_soql(
        "SELECT Id, Account__r.Name, Account__r.Owner.Name, Bill_To__r.Name, "
        "(SELECT Quantity__c, Unit_Price__c, Product__r.Name FROM Lines__r ORDER BY Position__c) "
        "FROM Stripe_Invoice__c WHERE Id = {}",
        invoice["Id"][:15],
    )
    found = sf.query(soql)["records"][0]
    assert found["Account__r"]["Name"] == "Acme Corporation"
    assert found["Account__r"]["Owner"]["Name"] == "Integration User"
    assert found["Bill_To__r"] is None
    assert found["Lines__r"]["totalSize"] == 2
    line = found["Lines__r"]["records"][0]
    assert (line["Product__r"]["Name"], line["Quantity__c"]) == ("API Requests", 2.0)
    assert line["Unit_Price__c"] == 0.0045


def test_a_draft_with_a_bad_line_writes_nothing(sf: Any, acme: str) -> None:
    """All or none: the culprit says why, the others say that they were halted."""
    body = {
        "allOrNone": True,
        "compositeRequest": [
            {
                "method": "POST",
                "url": f"{DATA}/sobjects/Stripe_Invoice__c",
                "referenceId": "invoice",
                "body": {"Account__c": acme, "Currency__c": "USD"},
            },
            {
                "method": "POST",
                "url": f"{DATA}/sobjects/Stripe_Invoice_Line__c",
                "referenceId": "line",
                "body": {"Invoice__c": "@{invoice.id}", "Quantity__c": 1},
            },
        ],
    }
    first, second = sf.restful("composite", method="POST", json=body)["compositeResponse"]
    assert first["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert second["httpStatusCode"] == 400
    assert second["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert second["body"][0]["fields"] == ["Unit_Price__c"]
    assert sf.query("SELECT COUNT() FROM Stripe_Invoice__c")["totalSize"] == 0


def test_one_key_makes_one_invoice_however_often_it_is_sent(
    sf: Any, acme: str, refused: Any
) -> None:
    """Upsert by external id: created once, then found; letter case matters."""
    body = {"Account__c": acme, "Currency__c": "USD"}
    assert sf.Stripe_Invoice__c.upsert("Local_Key__c/abc", body) == 201
    assert sf.Stripe_Invoice__c.upsert("Local_Key__c/abc", body) == 200
    assert sf.Stripe_Invoice__c.upsert("Local_Key__c/ABC", body) == 201
    with refused("DUPLICATE_VALUE"):
        sf.Stripe_Invoice__c.create({**body, "Local_Key__c": "abc"})


def test_the_status_is_written_back_in_collections(sf: Any, acme: str) -> None:
    """Each row has its own result, in order; a bad one spoils only itself."""
    ids = [raise_invoice(sf, acme, f"k{n}")["invoice"]["body"]["id"] for n in range(3)]
    rows = [
        {
            "attributes": {"type": "Stripe_Invoice__c"},
            "Id": one,
            "Status__c": status,
            "Stripe_Invoice_Id__c": f"in_{one}",
        }
        for one, status in zip(ids, ["Open", "Opened", "Paid"], strict=True)
    ]
    results = sf.restful("composite/sobjects", method="PATCH", json={"records": rows})
    assert [row["success"] for row in results] == [True, False, True]
    assert results[1]["errors"][0]["statusCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"

    all_or_none = {"allOrNone": True, "records": rows}
    results = sf.restful("composite/sobjects", method="PATCH", json=all_or_none)
    assert results[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"

    back = [{**row, "Status__c": "Void"} for row in rows[::2]]
    for row in back:
        del row["Id"]
    path = "composite/sobjects/Stripe_Invoice__c/Stripe_Invoice_Id__c"
    results = sf.restful(path, method="PATCH", json={"records": back})
    assert [(row["success"], row["created"]) for row in results] == [(True, False)] * 2


def test_the_nightly_sync_reads_all_invoices_in_bulk(sf: Any, acme: str) -> None:
    """A Bulk 2.0 query comes back as CSV, in as many parts as the reader likes."""
    for number in range(7):
        raise_invoice(sf, acme, f"bulk-{number}")
    parts = list(
        sf.bulk2.Stripe_Invoice__c.query(
            "SELECT Id, Name, Status__c, Is_Overdue__c, Total__c, Account__r.Name "
            "FROM Stripe_Invoice__c ORDER BY Name",
            max_records=3,
        )
    )
    assert len(parts) == 3
    rows = [row for part in parts for row in csv.DictReader(io.StringIO(part))]
    assert [row["Name"] for row in rows] == [f"INV-000{n}" for n in range(1, 8)]
    assert rows[0]["Is_Overdue__c"] == "false"
    assert rows[0]["Total__c"] == ""
    assert rows[0]["Account__r.Name"] == "Acme Corporation"


def test_deleting_an_invoice_takes_its_lines_along(sf: Any, acme: str, refused: Any) -> None:
    """Lines are details of their invoice; deleted rows stay visible to queryAll."""
    invoice = raise_invoice(sf, acme, "gone")["invoice"]["body"]["id"]
    assert sf.Stripe_Invoice__c.delete(invoice) == 204
    assert sf.query("SELECT COUNT() FROM Stripe_Invoice_Line__c")["totalSize"] == 0
    soql = format_soql("SELECT Id, IsDeleted FROM Stripe_Invoice__c WHERE Id = {}", invoice)
    rows = sf.query_all(soql, include_deleted=True)
    assert rows["records"][0]["IsDeleted"] is True
    orphan = {"Invoice__c": invoice, "Quantity__c": 1, "Unit_Price__c": 1}
    with refused("ENTITY_IS_DELETED", "Invoice__c"):
        sf.Stripe_Invoice_Line__c.create(orphan)

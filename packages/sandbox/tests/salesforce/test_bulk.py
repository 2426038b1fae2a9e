"""Bulk API 2.0, as the nightly sync reads and repairs by it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest


def rows_of(text: str) -> list[dict[str, str]]:
    """CSV as records."""
    return list(csv.DictReader(io.StringIO(text)))


def test_inserted_rows_each_have_their_result(sf: Any, acme: str) -> None:
    """Good rows are saved, bad ones say why, nothing is halted."""
    data = [
        {"Account__c": acme, "Currency__c": "USD", "Local_Key__c": f"k{n}", "Status__c": status}
        for n, status in enumerate(["Draft", "Nonsense", "Paid"])
    ]
    (job,) = sf.bulk2.Stripe_Invoice__c.insert(records=data)
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (3, 1)
    failed = rows_of(sf.bulk2.Stripe_Invoice__c.get_failed_records(job["job_id"]))
    assert failed[0]["sf__Error"].startswith("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Status: bad")
    assert failed[0]["sf__Error"].endswith(":Status__c --")
    assert failed[0]["Local_Key__c"] == "k1"
    saved = rows_of(sf.bulk2.Stripe_Invoice__c.get_successful_records(job["job_id"]))
    assert [(row["sf__Created"], row["Local_Key__c"]) for row in saved] == [
        ("true", "k0"),
        ("true", "k2"),
    ]


def test_an_upsert_leaves_empty_values_alone_and_empties_by_n_a(sf: Any, acme: str) -> None:
    """In Bulk CSV nothing means nothing; null has to be asked for."""
    body = {"Account__c": acme, "Currency__c": "USD", "Number__c": "7", "Total__c": 5}
    sf.Stripe_Invoice__c.upsert("Local_Key__c/k", body)
    content = "Local_Key__c,Number__c,Total__c,Account__r.Stripe_Customer_Id__c\nk,,#N/A,\n"
    (job,) = sf.bulk2.Stripe_Invoice__c.upsert(
        records=rows_of(content), external_id_field="Local_Key__c"
    )
    assert job["numberRecordsFailed"] == 0
    row = sf.Stripe_Invoice__c.get_by_custom_id("Local_Key__c", "k")
    assert (row["Number__c"], row["Total__c"]) == ("7", None)


def test_updates_and_deletes_go_by_id(sf: Any, acme: str) -> None:
    """Large numbers come back as Java prints doubles, so decimals must be read as such."""
    body = {"Account__c": acme, "Currency__c": "USD", "Description__c": 'He said "pay", twice'}
    ids = [sf.Stripe_Invoice__c.create(body)["id"] for _ in range(3)]
    amounts = [12_345_678.5, 0.0004, 12.0]
    changes = [{"Id": one, "Total__c": total} for one, total in zip(ids, amounts, strict=True)]
    sf.bulk2.Stripe_Invoice__c.update(records=changes)
    parts = sf.bulk2.Stripe_Invoice__c.query(
        "SELECT Total__c, Description__c FROM Stripe_Invoice__c"
    )
    rows = [row for part in parts for row in rows_of(part)]
    assert [row["Total__c"] for row in rows] == ["1.23456785E7", "0.0", "12.0"]
    assert rows[0]["Description__c"] == 'He said "pay", twice'
    sf.bulk2.Stripe_Invoice__c.delete(records=[{"Id": one} for one in ids[:2]])
    assert sf.query("SELECT COUNT() FROM Stripe_Invoice__c")["totalSize"] == 1


def test_an_unknown_column_fails_the_job_and_leaves_all_rows_unprocessed(sf: Any) -> None:
    """InvalidBatch, before any row is tried."""
    job = sf.restful(
        "jobs/ingest", method="POST", json={"operation": "insert", "object": "Stripe_Invoice__c"}
    )
    upload = f"{sf.base_url}jobs/ingest/{job['id']}/batches"
    headers = {**sf.headers, "Content-Type": "text/csv"}
    assert sf.session.put(upload, data="Nope__c\nx\n", headers=headers).status_code == 201
    sf.restful(f"jobs/ingest/{job['id']}", method="PATCH", json={"state": "UploadComplete"})
    seen = sf.restful(f"jobs/ingest/{job['id']}")
    assert seen["state"] == "Failed"
    assert seen["errorMessage"] == "InvalidBatch : Field name not found : Nope__c"
    unprocessed = sf.bulk2.Stripe_Invoice__c.get_unprocessed_records(job["id"])
    assert rows_of(unprocessed) == [{"Nope__c": "x"}]


def test_a_query_job_may_take_its_time(sf: Any, admin: Any, refused: Any) -> None:
    """Results are refused until it has completed; a deleted job is gone."""
    admin("POST", "bulk", json={"pending_polls": 2})
    order = {"operation": "query", "query": "SELECT Id FROM Account"}
    job = sf.restful("jobs/query", method="POST", json=order)
    path = f"jobs/query/{job['id']}"
    assert job["state"] == "UploadComplete"
    with refused("INVALIDJOBSTATE"):
        sf.restful(f"{path}/results")
    states = [sf.restful(path)["state"] for _ in range(3)]
    assert states == ["InProgress", "InProgress", "JobComplete"]
    assert sf.restful(path)["numberRecordsProcessed"] == 8
    sf.restful(path, method="DELETE")
    with refused("NOT_FOUND"):
        sf.restful(path)


@pytest.mark.parametrize(
    "soql", ["SELECT COUNT(Id) FROM Account", "SELECT Id, (SELECT Id FROM Contacts) FROM Account"]
)
def test_bulk_takes_no_aggregates_and_no_sub_queries(sf: Any, refused: Any, soql: str) -> None:
    """As Salesforce's own Bulk API."""
    with refused("INVALIDJOB"):
        sf.restful("jobs/query", method="POST", json={"operation": "query", "query": soql})

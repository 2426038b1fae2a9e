"""Batches: children count, a list that is cut says so, and nothing is lost to who follows."""

from __future__ import annotations

from typing import Any

import pytest

LONG = "Description__c, Footer__c, Custom_Fields__c"


@pytest.fixture
def invoice(sf: Any, acme: str) -> str:
    """An invoice of 250 lines of 10.00 each."""
    made = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})
    rows = [
        {
            "attributes": {"type": "Stripe_Invoice_Line__c"},
            "Invoice__c": made["id"],
            "Description__c": f"Line {position}",
            "Position__c": position,
            "Quantity__c": 1,
            "Unit_Price__c": 10,
            "Amount__c": 10,
        }
        for position in range(1, 251)
    ]
    for part in (rows[:200], rows[200:]):
        results = sf.restful("composite/sobjects", method="POST", json={"records": part})
        assert all(row["success"] for row in results), results
    return str(made["id"])


def lines_of(sf: Any, record: Any) -> list[int]:
    """The positions of all lines of a record, read to the end of the list."""
    page = record["Lines__r"]
    found = [row["Position__c"] for row in page["records"]]
    while not page["done"]:
        page = sf.query_more(page["nextRecordsUrl"], identifier_is_url=True)
        found += [row["Position__c"] for row in page["records"]]
    return [int(position) for position in found]


def ask(sf: Any, fields: str) -> Any:
    """All invoices with some of their fields and all lines, as the first batch has them."""
    lines = "(SELECT Position__c FROM Lines__r ORDER BY Position__c)"
    return sf.query(f"SELECT {fields}, {lines} FROM Stripe_Invoice__c ORDER BY Name")


def test_two_long_texts_make_batches_of_two_hundred(sf: Any, invoice: str) -> None:
    """Of 250 lines 199 come with the invoice, and the list says that there are more."""
    answer = ask(sf, f"Id, {LONG}")
    (record,) = answer["records"]
    assert (answer["done"], record["Id"]) == (True, invoice)
    lines = record["Lines__r"]
    assert (len(lines["records"]), lines["totalSize"], lines["done"]) == (199, 250, False)
    assert lines_of(sf, record) == list(range(1, 251))


def test_one_long_text_does_not(sf: Any, invoice: str) -> None:
    """Without a second long text all 250 lines come at once."""
    (record,) = ask(sf, "Id, Description__c")["records"]
    assert record["Id"] == invoice
    assert (len(record["Lines__r"]["records"]), record["Lines__r"]["done"]) == (250, True)


def test_invoices_after_a_full_batch_come_with_the_next(sf: Any, invoice: str, acme: str) -> None:
    """A batch that one invoice's lines have filled ends there; the next has the others."""
    later = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
    first = ask(sf, f"Id, {LONG}")
    assert [row["Id"] for row in first["records"]] == [invoice]
    assert (first["totalSize"], first["done"]) == (2, False)
    second = sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert [row["Id"] for row in second["records"]] == [later]
    assert second["records"][0]["Lines__r"] is None


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_batches_nothing_is_lost(
    sf: Any, admin: Any, invoice: str, acme: str, seed: int
) -> None:
    """In random batches of up to seven records everything is there, in order, once."""
    others = [
        sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
        for _ in range(12)
    ]
    admin("POST", "batches", json={"largest": 7, "seed": seed})
    page = ask(sf, "Id")
    records = list(page["records"])
    while not page["done"]:
        page = sf.query_more(page["nextRecordsUrl"], identifier_is_url=True)
        records += page["records"]
    assert [record["Id"] for record in records] == [invoice, *others]
    assert not records[0]["Lines__r"]["done"]
    assert lines_of(sf, records[0]) == list(range(1, 251))


def test_lines_are_counted_and_summed_at_the_top(sf: Any, admin: Any, invoice: str) -> None:
    """A COUNT and a SUM of their own tell what a reading of lines has to come to."""
    admin("POST", "batches", json={"largest": 3, "seed": 1})
    where = f"FROM Stripe_Invoice_Line__c WHERE Invoice__c = '{invoice}'"
    assert sf.query(f"SELECT COUNT() {where}")["totalSize"] == 250
    (row,) = sf.query(f"SELECT COUNT(Id) lines, SUM(Amount__c) total {where}")["records"]
    assert (row["lines"], row["total"]) == (250, 2500.0)

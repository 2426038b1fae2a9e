"""Many records in one call: Collections, Composite, Composite Graph."""

from __future__ import annotations

from typing import Any

import pytest

DATA = "/services/data/v67.0"


def invoice(account: str, **fields: Any) -> dict[str, Any]:
    """A draft as a Collections row."""
    kind = {"attributes": {"type": "Stripe_Invoice__c"}}
    return {**kind, "Account__c": account, "Currency__c": "USD", **fields}


def test_rows_are_created_read_and_deleted_two_hundred_at_a_time(
    sf: Any, acme: str, refused: Any
) -> None:
    """Results come in the order of the rows; more than 200 are refused whole."""
    rows = [invoice(acme, Total__c=n) for n in range(200)]
    created = sf.restful("composite/sobjects", method="POST", json={"records": rows})
    ids = [row["id"] for row in created]
    path = "composite/sobjects/Stripe_Invoice__c"
    read = sf.restful(path, method="POST", json={"ids": [*ids, "nonsense"], "fields": ["Total__c"]})
    assert [row and row["Total__c"] for row in read] == [*map(float, range(200)), None]
    with refused("EXCEEDED_ID_LIMIT"):
        sf.restful("composite/sobjects", method="POST", json={"records": [*rows, rows[0]]})
    gone = sf.restful("composite/sobjects", {"ids": ",".join(ids[:3])}, method="DELETE")
    assert [row["success"] for row in gone] == [True] * 3
    again = sf.restful("composite/sobjects", {"ids": ",".join(ids[2:4])}, method="DELETE")
    assert [row["success"] for row in again] == [False, True]
    assert again[0]["errors"][0]["statusCode"] == "ENTITY_IS_DELETED"


def test_an_upsert_refuses_rows_that_share_a_key(sf: Any, acme: str) -> None:
    """Both are refused, as neither can be told to be the right one."""
    keys = ["a", "b", "a", None]
    rows = [invoice(acme, Stripe_Invoice_Id__c=key) for key in keys]
    path = "composite/sobjects/Stripe_Invoice__c/Stripe_Invoice_Id__c"
    results = sf.restful(path, method="PATCH", json={"records": rows})
    codes = [row["errors"][0]["statusCode"] if row["errors"] else None for row in results]
    assert codes == ["DUPLICATE_VALUE", None, "DUPLICATE_VALUE", "MISSING_ARGUMENT"]
    assert results[1]["created"] is True


def test_a_subrequest_may_use_what_an_earlier_one_answered(sf: Any, acme: str) -> None:
    """References into bodies and urls, records of queries included."""
    body = {
        "compositeRequest": [
            {
                "method": "GET",
                "url": f"{DATA}/query?q=SELECT+Id,Name+FROM+Account+WHERE+Name='Globex'",
                "referenceId": "found",
            },
            {
                "method": "POST",
                "url": f"{DATA}/sobjects/Stripe_Invoice__c",
                "referenceId": "made",
                "body": {
                    "Account__c": "@{found.records[0].Id}",
                    "Currency__c": "USD",
                    "Description__c": "For @{found.records[0].Name}",
                },
            },
            {
                "method": "GET",
                "url": f"{DATA}/sobjects/Stripe_Invoice__c/@{{made.id}}?fields=Description__c",
                "referenceId": "read",
            },
            {
                "method": "DELETE",
                "url": f"{DATA}/sobjects/Stripe_Invoice__c/@{{missing.id}}",
                "referenceId": "lost",
            },
        ]
    }
    answers = sf.restful("composite", method="POST", json=body)["compositeResponse"]
    assert [one["httpStatusCode"] for one in answers] == [200, 201, 200, 400]
    assert answers[2]["body"]["Description__c"] == "For Globex"
    assert answers[3]["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert answers[1]["httpHeaders"]["Location"].startswith(f"{DATA}/sobjects/Stripe_Invoice__c/")


def test_graphs_succeed_and_fail_each_for_itself(sf: Any, acme: str) -> None:
    """An invoice with its lines is a graph; a broken one leaves nothing behind."""

    def graph(name: str, price: float | None) -> dict[str, Any]:
        parts: list[tuple[str, str, dict[str, Any]]] = [
            ("Stripe_Invoice__c", "invoice", {"Account__c": acme, "Currency__c": "USD"}),
            (
                "Stripe_Invoice_Line__c",
                "line",
                {"Invoice__c": "@{invoice.id}", "Quantity__c": 1, "Unit_Price__c": price},
            ),
        ]
        return {
            "graphId": name,
            "compositeRequest": [
                {
                    "method": "POST",
                    "url": f"{DATA}/sobjects/{kind}",
                    "referenceId": ref,
                    "body": body,
                }
                for kind, ref, body in parts
            ],
        }

    body = {"graphs": [graph("good", 5), graph("bad", None)]}
    good, bad = sf.restful("composite/graph", method="POST", json=body)["graphs"]
    assert (good["graphId"], good["isSuccessful"]) == ("good", True)
    assert bad["isSuccessful"] is False
    halted, failed = bad["graphResponse"]["compositeResponse"]
    assert halted["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert failed["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert sf.query("SELECT COUNT() FROM Stripe_Invoice__c")["totalSize"] == 1
    assert sf.query("SELECT COUNT() FROM Stripe_Invoice_Line__c")["totalSize"] == 1


@pytest.mark.parametrize(
    ("method", "path", "reference"),
    [
        ("GET", "query/?q=SELECT+Id+FROM+Account", "all"),
        ("POST", "composite/sobjects", "many"),
        ("GET", "sobjects/Account", "described"),
        ("POST", "sobjects/Account", "an-account"),
    ],
)
def test_a_graph_is_of_records_with_plain_names(
    sf: Any, refused: Any, method: str, path: str, reference: str
) -> None:
    """Neither queries nor collections, and no hyphens: the call is refused as a whole."""
    node = {"method": method, "url": f"{DATA}/{path}", "referenceId": reference, "body": {}}
    with refused("JSON_PARSER_ERROR"):
        sf.restful(
            "composite/graph",
            method="POST",
            json={"graphs": [{"graphId": "one", "compositeRequest": [node]}]},
        )


def test_a_composite_takes_twenty_five_subrequests(sf: Any, refused: Any) -> None:
    """One more is refused before anything is done."""
    requests = [
        {"method": "GET", "url": f"{DATA}/limits", "referenceId": f"r{n}"} for n in range(26)
    ]
    with refused("LIMIT_EXCEEDED"):
        sf.restful("composite", method="POST", json={"compositeRequest": requests})
    body = {"compositeRequest": requests[:25]}
    assert len(sf.restful("composite", method="POST", json=body)["compositeResponse"]) == 25

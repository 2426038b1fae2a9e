"""SOQL: the questions this project and its tools ask, and the mistakes people make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from simple_salesforce.exceptions import SalesforceError, SalesforceGeneralError
from simple_salesforce.format import format_soql

from sandbox.salesforce.ids import make_id

SHAPES: dict[str, list[tuple[float, str | None]]] = {
    "Open": [(100.0, "2026-11-01"), (250.5, "2026-12-24")],
    "Paid": [(99.99, "2026-10-01"), (0.01, None)],
    "Draft": [(10.0, None)],
}


@pytest.fixture
def invoices(sf: Any, acme: str, admin: Any) -> Iterator[Any]:
    """Five invoices in three states, while the org's clock stands at 23 November 2026."""
    before = admin("GET", "clock")["timestamp"]
    noon = admin("POST", "clock", json={"now": "2026-11-23T12:00:00Z"})["timestamp"]
    rows = [
        {
            "attributes": {"type": "Stripe_Invoice__c"},
            "Account__c": acme,
            "Currency__c": "USD",
            "Status__c": status,
            "Total__c": total,
            "Due_Date__c": due,
            "Number__c": f"A_{status}" if total > 50 else None,
        }
        for status, shapes in SHAPES.items()
        for total, due in shapes
    ]
    results = sf.restful("composite/sobjects", method="POST", json={"records": rows})
    assert all(row["success"] for row in results)
    yield sf
    admin("POST", "clock", json={"advance": before - noon})


def totals(sf: Any, condition: str) -> list[float]:
    """The totals of the invoices that meet a condition, smallest first."""
    soql = f"SELECT Total__c FROM Stripe_Invoice__c WHERE {condition} ORDER BY Total__c"
    return [row["Total__c"] for row in sf.query(soql)["records"]]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("Status__c = 'open'", [100.0, 250.5]),
        ("Status__c IN ('PAID', 'Draft')", [0.01, 10.0, 99.99]),
        ("Status__c NOT IN ('Paid')", [10.0, 100.0, 250.5]),
        ("Number__c != 'A_Open'", [0.01, 10.0, 99.99]),
        ("Number__c = null", [0.01, 10.0]),
        ("Number__c LIKE 'a%'", [99.99, 100.0, 250.5]),
        (r"Number__c LIKE 'A\_P%'", [99.99]),
        ("(NOT Number__c LIKE 'a%')", [0.01, 10.0]),
        ("Total__c >= 99.99 AND (Status__c = 'Paid' OR Due_Date__c > 2026-12-01)", [99.99, 250.5]),
        ("Due_Date__c < TODAY", [99.99, 100.0]),
        ("Due_Date__c = NEXT_N_DAYS:40", [250.5]),
        ("Due_Date__c = LAST_MONTH", [99.99]),
        ("CreatedDate = TODAY AND Is_Overdue__c = FALSE AND Due_Date__c = null", [0.01, 10.0]),
        ("CreatedDate > 2026-11-23T00:00:00.000+0000 AND Total__c = 10", [10.0]),
        ("CreatedDate > 2999-01-01T00:00:00Z", []),
        ("Account__r.Name = 'ACME corporation' AND Total__c < 1", [0.01]),
        ("Account__c IN (SELECT AccountId FROM Contact WHERE LastName = 'Coyote') "
         "AND Total__c > 200", [250.5]),
        ("Account__c NOT IN (SELECT AccountId FROM Contact)", []),
        ("CALENDAR_YEAR(Due_Date__c) = 2026 AND CALENDAR_MONTH(Due_Date__c) = 12", [250.5]),
    ],
)  # fmt: skip
def test_conditions(invoices: Any, condition: str, expected: list[float]) -> None:
    """Case-blind texts, nulls that count as different, dates, parents, semi-joins."""
    assert totals(invoices, condition) == expected


@pytest.mark.parametrize("name", ["SOYLENT GMBH", "soylent gmbh", "Käse & Öl"])
def test_letter_case_counts_in_no_script(sf: Any, name: str) -> None:
    """Umlauts neither; but ß is not ss, and an accent is another letter."""
    sf.Account.create({"Name": "KÄSE & ÖL"})
    sf.Account.create({"Name": "Weiß"})
    assert sf.query(format_soql("SELECT Id FROM Account WHERE Name = {}", name))["totalSize"] == 1
    pattern = format_soql("SELECT Id FROM Account WHERE Name LIKE {}", f"%{name[1:]}%")
    assert sf.query(pattern)["totalSize"] == 1
    for other in ("Weiss", "WEISS", "Kase & Ol"):
        found = sf.query(format_soql("SELECT Id FROM Account WHERE Name = {}", other))
        assert found["totalSize"] == 0


def test_sums_by_status(invoices: Any) -> None:
    """Groups, aggregates, HAVING and an order by an aggregate."""
    rows = invoices.query(
        "SELECT Status__c state, COUNT(Id), SUM(Total__c) total, MAX(Due_Date__c) "
        "FROM Stripe_Invoice__c GROUP BY Status__c HAVING COUNT(Id) > 1 ORDER BY SUM(Total__c) DESC"
    )["records"]
    assert [(r["state"], r["expr0"], r["total"], r["expr1"]) for r in rows] == [
        ("Open", 2, 350.5, "2026-12-24"),
        ("Paid", 2, 100.0, "2026-10-01"),
    ]
    assert rows[0]["attributes"] == {"type": "AggregateResult"}
    assert invoices.query("SELECT COUNT() FROM Stripe_Invoice__c")["totalSize"] == 5
    by_account = invoices.query(
        "SELECT Account__r.Name, COUNT_DISTINCT(Status__c) n FROM Stripe_Invoice__c "
        "GROUP BY Account__r.Name"
    )["records"]
    assert [(row["Name"], row["n"]) for row in by_account] == [("Acme Corporation", 3)]


def test_nulls_come_first_unless_told_otherwise(invoices: Any) -> None:
    """ORDER BY with NULLS, LIMIT and OFFSET."""

    def due(order: str) -> list[str | None]:
        soql = f"SELECT Due_Date__c FROM Stripe_Invoice__c ORDER BY {order}"
        return [row["Due_Date__c"] for row in invoices.query(soql)["records"]]

    assert due("Due_Date__c LIMIT 3") == [None, None, "2026-10-01"]
    assert due("Due_Date__c DESC NULLS LAST LIMIT 2 OFFSET 1") == ["2026-11-01", "2026-10-01"]


def test_children_come_with_their_parents(invoices: Any) -> None:
    """A sub-query per parent with its own order and limit; none is null, not empty."""
    accounts = invoices.query(
        "SELECT Name, (SELECT Total__c FROM Invoices__r ORDER BY Total__c DESC LIMIT 2) "
        "FROM Account WHERE Name IN ('Globex', 'Acme Corporation') ORDER BY Name"
    )["records"]
    acme, globex = accounts
    assert [row["Total__c"] for row in acme["Invoices__r"]["records"]] == [250.5, 100.0]
    assert globex["Invoices__r"] is None


def test_long_answers_come_in_pages_of_one_moment(sf: Any, acme: str) -> None:
    """NextRecordsUrl leads on; what is written meanwhile does not show."""
    rows = [
        {
            "attributes": {"type": "Stripe_Invoice__c"},
            "Account__c": acme,
            "Currency__c": "USD",
            "Total__c": n,
        }
        for n in range(200)
    ]
    for _ in range(3):
        sf.restful("composite/sobjects", method="POST", json={"records": rows})
    options = {"headers": {"Sforce-Query-Options": "batchSize=250"}}
    soql = "SELECT Id, Total__c FROM Stripe_Invoice__c"
    page = sf.query(soql, **options)
    assert (page["totalSize"], page["done"], len(page["records"])) == (600, False, 250)
    sf.Stripe_Invoice__c.delete(page["records"][0]["Id"])
    seen = [row["Id"] for row in page["records"]]
    while not page["done"]:
        page = sf.query_more(page["nextRecordsUrl"], identifier_is_url=True, **options)
        seen += [row["Id"] for row in page["records"]]
    assert len(set(seen)) == 600
    soql = "SELECT Id, (SELECT Id FROM Invoices__r) FROM Account WHERE Name LIKE 'Acme%'"
    children = sf.query(soql, **options)["records"][0]["Invoices__r"]
    assert (children["totalSize"], len(children["records"])) == (599, 249)
    rest = sf.query_more(children["nextRecordsUrl"], identifier_is_url=True)
    assert (len(rest["records"]), rest["done"]) == (250, False)
    assert sf.query("SELECT COUNT() FROM Stripe_Invoice__c")["totalSize"] == 599


def test_fields_can_be_asked_for_by_kind(sf: Any, refused: Any) -> None:
    """FIELDS(STANDARD) freely, FIELDS(ALL) with a limit of 200."""
    account = sf.query("SELECT FIELDS(CUSTOM) FROM Account LIMIT 1")["records"][0]
    assert {"Invoice_Email__c", "Stripe_Customer_Id__c"} < set(account)
    assert all(name.endswith("__c") for name in account if name != "attributes")
    assert "BillingCity" in sf.query("SELECT FIELDS(STANDARD) FROM Account")["records"][0]
    with refused("MALFORMED_QUERY"):
        sf.query("SELECT FIELDS(ALL) FROM Account")


@pytest.mark.parametrize(
    ("soql", "code", "said"),
    [
        ("SELECT Id FORM Account", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Invoice__c", "INVALID_TYPE", "sObject type 'Invoice__c' is not supported"),
        ("SELECT Total FROM Stripe_Invoice__c", "INVALID_FIELD", "No such column 'Total'"),
        ("SELECT Account.Name FROM Stripe_Invoice__c", "INVALID_FIELD", "understand relationship"),
        ("SELECT Id, (SELECT Id FROM Lines) FROM Stripe_Invoice__c", "INVALID_TYPE", "'Lines'"),
        ("SELECT Id FROM Stripe_Invoice__c WHERE Total__c = '5'", "INVALID_FIELD", "type double"),
        ("SELECT Id FROM Stripe_Invoice__c WHERE Status__c = Open", "MALFORMED_QUERY", ""),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID"),
        ("SELECT Id FROM Account WHERE Name = :name", "MALFORMED_QUERY", "Bind variables"),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY", "grouped or aggregated: Name"),
        ("SELECT Id FROM Account LIMIT 1 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000"),
        ("SELECT Id FROM Account WHERE Name='a' AND Name='b' OR Name='c'", "MALFORMED_QUERY", ""),
        ("SELECT Id FROM Account]; Account b = [SELECT Id FROM Account", "MALFORMED_QUERY", ""),
        (
            "SELECT Id FROM Stripe_Invoice__c WHERE Sync_Message__c = 'x'",
            "INVALID_FIELD",
            "can not be filtered",
        ),
    ],
)
def test_a_mistaken_query_is_told_where_it_goes_wrong(
    sf: Any, refused: Any, soql: str, code: str, said: str
) -> None:
    """Salesforce's codes, and a message with row and column where there is one."""
    with refused(code) as message:
        sf.query(soql)
    assert said in message[0]
    if "ERROR at" in message[0]:
        assert "Row:1:Column:" in message[0]


def test_a_query_too_long_for_a_url_is_refused(sf: Any) -> None:
    """About 16 KB; hundreds of ids fit, a thousand do not."""

    def find(count: int) -> Any:
        ids = ", ".join(f"'{make_id('001', n + 1)}'" for n in range(count))
        return sf.query(f"SELECT Id FROM Account WHERE Id IN ({ids})")

    assert find(400)["totalSize"] == 8
    with pytest.raises(SalesforceGeneralError, match="URI Too Long"):
        find(1_000)
    sf.headers["X-Long"] = "x" * 8_000
    try:
        with pytest.raises(SalesforceGeneralError, match="Request Header Fields Too Large"):
            find(400)
    finally:
        del sf.headers["X-Long"]


def test_a_query_has_100_000_characters(sf: Any) -> None:
    """A job of the Bulk API takes as many, 4,000 ids among them, and none more."""

    def find(count: int) -> list[str]:
        ids = ", ".join(f"'{make_id('001', n + 1)}'" for n in range(count))
        return list(sf.bulk2.Account.query(f"SELECT Id FROM Account WHERE Id IN ({ids})"))

    assert len(find(4_000)) == 1
    with pytest.raises(SalesforceError, match="cannot be longer than 100000 characters"):
        find(5_000)


def test_the_columns_of_a_query_are_told_instead_of_its_rows(sf: Any) -> None:
    """As the command line of Salesforce asks for them, with parents and children in their place."""
    soql = "SELECT Name, Owner.Name, (SELECT LastName FROM Contacts) FROM Account"
    told = sf.restful("query", params={"q": soql, "columns": "true"})
    name, owner, contacts = told["columnMetadata"]
    assert (told["entityName"], told["keyPrefix"]) == ("Account", "001")
    assert (name["columnName"], name["apexType"], name["updatable"]) == ("Name", "String", True)
    assert (owner["foreignKeyName"], owner["aggregate"]) == ("OwnerId", False)
    assert [column["columnName"] for column in owner["joinColumns"]] == ["Name"]
    assert (contacts["columnName"], contacts["aggregate"]) == ("Contacts", True)
    assert [column["columnName"] for column in contacts["joinColumns"]] == ["LastName"]

"""A generated org: any size, all states, the same for the same seed."""

from __future__ import annotations

from typing import Any

import pytest

SOQL = (
    "SELECT Status__c, Currency__c, COUNT(Id) n, SUM(Total__c) total FROM Stripe_Invoice__c "
    "GROUP BY Status__c, Currency__c ORDER BY Status__c, Currency__c"
)


def test_the_same_seed_gives_the_same_org(sf: Any, admin: Any) -> None:
    """Counts and sums agree; another seed gives another org."""

    def org_of(seed: int) -> list[tuple[Any, ...]]:
        admin("POST", "reset", json={"seed": "empty"})
        order = {"seed": seed, "accounts": 20, "invoices": 400, "lines": 2}
        assert admin("POST", "generate", json=order)["Stripe_Invoice__c"] == 400
        rows = sf.query(SOQL)["records"]
        return [(r["Status__c"], r["Currency__c"], r["n"], r["total"]) for r in rows]

    first = org_of(1)
    assert first == org_of(1)
    assert first != org_of(2)
    assert {row[0] for row in first} == {"Draft", "Open", "Paid", "Uncollectible", "Void"}
    assert {row[1] for row in first} == {"USD", "EUR", "JPY"}


def test_generated_invoices_add_up_and_live_with_others(sf: Any, acme: str, admin: Any) -> None:
    """Lines sum to their invoice's total; names go on where the generator stopped."""
    admin("POST", "generate", json={"accounts": 5, "invoices": 50, "lines": 3})
    rows = sf.query(
        "SELECT Total__c, Amount_Paid__c, Amount_Remaining__c, (SELECT Amount__c FROM Lines__r) "
        "FROM Stripe_Invoice__c WHERE Stripe_Invoice_Id__c != null"
    )["records"]
    for row in rows:
        lines = sum(line["Amount__c"] for line in row["Lines__r"]["records"])
        assert lines == pytest.approx(row["Total__c"])
        settled = row["Amount_Paid__c"] + row["Amount_Remaining__c"]
        assert settled == pytest.approx(row["Total__c"])
    mine = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
    assert sf.Stripe_Invoice__c.get(mine)["Name"] == "INV-0051"
    with pytest.raises(AssertionError, match="seed 1 is there already"):
        admin("POST", "generate", json={"accounts": 5, "invoices": 50})

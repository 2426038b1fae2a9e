"""A query says which custom permissions whoever asks has."""

from __future__ import annotations

from typing import Any

import requests

MINE = "SELECT DeveloperName, NamespacePrefix FROM UserSetupEntityAccess"


def test_everybody_asks_for_their_own(sf: Any, admin: Any, base_url: str) -> None:
    """The user what its permission sets grant; somebody else what theirs do; an administrator."""

    def names(found: Any) -> list[str]:
        return sorted(row["DeveloperName"] for row in found["records"])

    def of(person: str, sets: list[str] | None) -> list[str]:
        hired = admin("POST", "people", json={"name": person, "permission_sets": sets})
        bearer = {"Authorization": f"Bearer {hired['access_token']}"}
        url = f"{base_url}/services/data/v67.0/query"
        return names(requests.get(url, params={"q": MINE}, headers=bearer, timeout=10).json())

    admin("POST", "user", json={"permission_sets": ["Invoice_Integration"]})
    assert names(sf.query(MINE)) == ["Mirror_Stripe"]
    assert of("Ann Ledger", ["Invoice_Approver"]) == ["Approve_Invoices"]
    assert of("Ada Min", None) == []
    assert sf.query(f"{MINE} WHERE DeveloperName = 'Approve_Invoices'")["totalSize"] == 0
    admin("POST", "permissions", json={"hidden": ["Mirror_Stripe"]})
    assert names(sf.query(MINE)) == []
    admin("POST", "permissions", json={})
    admin("POST", "user", json={})

"""Trouble on demand: faults, row locks, the API allowance."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceError,
    SalesforceRefusedRequest,
)


def faults(admin: Any, **rule: Any) -> None:
    """Put one fault rule in force."""
    admin("POST", "faults", json={"rules": [rule]})


def test_an_answer_lost_after_the_effect_leaves_the_record(sf: Any, acme: str, admin: Any) -> None:
    """The client sees a closed connection; its upsert, sent again, finds what it made."""
    faults(admin, kind="lost", method="PATCH", path="*/Local_Key__c/*", count=1)
    body = {"Account__c": acme, "Currency__c": "USD"}
    with pytest.raises(requests.ConnectionError):
        sf.Stripe_Invoice__c.upsert("Local_Key__c/once", body)
    assert sf.Stripe_Invoice__c.upsert("Local_Key__c/once", body) == 200


def test_a_moment_that_was_kept_comes_back(sf: Any, acme: str, admin: Any) -> None:
    """Records are as they were, again and again, and ids and auto numbers go on from there."""
    before = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
    names = "SELECT Name FROM Stripe_Invoice__c"
    admin("PUT", "moments/begun")
    made = []
    for _ in range(2):
        sf.Stripe_Invoice__c.delete(before)
        made.append(sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"])
        admin("POST", "moments/begun")
        assert [record["Name"] for record in sf.query(names)["records"]] == ["INV-0001"]
    assert made[0] == made[1] != before


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "SERVER_UNAVAILABLE"),
        (500, "UNKNOWN_EXCEPTION"),
        (429, "REQUEST_LIMIT_EXCEEDED"),
        (400, "UNABLE_TO_LOCK_ROW"),
    ],
)
def test_a_refusal_before_the_effect_has_salesforces_form(
    sf: Any, acme: str, admin: Any, status: int, code: str
) -> None:
    """A list with one error and its code; nothing was written."""
    faults(admin, kind="refuse", method="POST", path="*/Stripe_Invoice__c/", status=status)
    with pytest.raises(SalesforceError) as refused:
        sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})
    assert refused.value.status == status
    assert code in str(refused.value)
    admin("DELETE", "faults")
    assert sf.query("SELECT COUNT() FROM Stripe_Invoice__c")["totalSize"] == 0


def test_a_login_may_be_refused_in_its_own_form(admin: Any, login: Callable[..., Any]) -> None:
    """The token endpoint's errors are objects, not lists."""
    faults(admin, kind="refuse", path="*/oauth2/token", status=503, count=1)
    with pytest.raises(SalesforceAuthenticationFailed, match="server_error"):
        login()
    login()


def test_an_expired_session_is_renewed_by_the_client(sf: Any, admin: Any) -> None:
    """Sessions can be ended by an administrator; simple-salesforce then logs in again."""
    admin("DELETE", "sessions")
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] == 8
    counts = admin("GET", "requests")["by_path"]
    assert counts["POST /services/oauth2/token"] == 2


def test_some_rows_of_a_collection_may_be_locked(sf: Any, acme: str, admin: Any) -> None:
    """HTTP 200, and the failure inside: every other row could not be locked."""
    faults(admin, kind="row_lock", method="POST", path="*/composite/sobjects", count=1)
    row = {
        "attributes": {"type": "Stripe_Invoice__c"},
        "Account__c": acme,
        "Currency__c": "USD",
    }
    results = sf.restful("composite/sobjects", method="POST", json={"records": [row] * 4})
    assert [row["success"] for row in results] == [False, True, False, True]
    assert results[0]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"


def test_parallel_writes_under_one_account_wait_for_each_other(
    sf: Any, acme: str, admin: Any
) -> None:
    """With patience all succeed; without, some fail with UNABLE_TO_LOCK_ROW."""

    def create(_: int) -> str:
        try:
            sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})
        except SalesforceError as error:
            return str(error.content[0]["errorCode"])  # type: ignore[index]
        return "created"

    with ThreadPoolExecutor(4) as pool:
        admin("POST", "locks", json={"hold": 0.05, "wait": 10})
        assert set(pool.map(create, range(4))) == {"created"}
        admin("POST", "locks", json={"hold": 0.5, "wait": 0})
        outcomes = list(pool.map(create, range(4)))
    assert set(outcomes) == {"created", "UNABLE_TO_LOCK_ROW"}


def test_two_upserts_that_race_to_create_end_with_one_record(
    sf: Any, acme: str, admin: Any
) -> None:
    """The loser gets DUPLICATE_VALUE although it is an upsert; sent again, it finds the record."""
    admin("POST", "locks", json={"hold": 0.2})

    def upsert(_: int) -> int | str:
        body = {"Account__c": acme, "Currency__c": "USD"}
        try:
            return int(sf.Stripe_Invoice__c.upsert("Local_Key__c/race", body))
        except SalesforceError as error:
            return str(error.content[0]["errorCode"])  # type: ignore[index]

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(upsert, range(2))) == {201, "DUPLICATE_VALUE"}
    admin("POST", "locks", json={})
    assert upsert(0) == 200


def test_the_api_allowance_is_counted_and_can_run_out(sf: Any, admin: Any) -> None:
    """Every call counts, in the header and the limits resource; past it comes 403, for a day."""
    sf.query("SELECT Id FROM User")
    used = sf.api_usage["api-usage"].used
    assert sf.limits()["DailyApiRequests"]["Remaining"] == 100_000 - used - 1
    admin("POST", "limits", json={"allowance": used + 2, "enforced": True})
    sf.query("SELECT Id FROM User")
    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        sf.query("SELECT Id FROM User")
    for api in "um":
        answer = sf.session.post(f"https://{sf.sf_instance}/services/Soap/{api}/67.0")
        assert "<faultcode>sf:REQUEST_LIMIT_EXCEEDED</faultcode>" in answer.text
    admin("POST", "clock", json={"advance": 86_400})
    try:
        sf.query("SELECT Id FROM User")
    finally:
        admin("POST", "clock", json={"advance": -86_400})

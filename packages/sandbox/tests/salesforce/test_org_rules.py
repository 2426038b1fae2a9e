"""What an org's own people have set up: rules that refuse, change or lock what is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import requests
from simple_salesforce.exceptions import SalesforceError

Refused = Callable[..., Any]


@pytest.fixture
def invoice(sf: Any, acme: str) -> str:
    """An open invoice of Acme's."""
    body = {"Account__c": acme, "Currency__c": "USD", "Status__c": "Open", "Number__c": "AC-1"}
    return str(sf.Stripe_Invoice__c.create(body)["id"])


def rules(admin: Any, *profiles: str, **rule: Any) -> None:
    """Put profiles in force, and one rule more."""
    admin("POST", "rules", json={"profiles": profiles, "rules": [rule] if rule else []})


def test_a_validation_rule_refuses_with_its_words_and_its_field(
    sf: Any, acme: str, invoice: str, admin: Any, refused: Refused
) -> None:
    """Two profiles at once: one speaks at a field, the other at the top of the page."""
    rules(admin, "period-closed", "accounts-frozen")
    with refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Status__c") as said:
        sf.Stripe_Invoice__c.update(invoice, {"Number__c": "AC-2"})
    assert said == ["The period is closed: ask Accounting."]
    with refused("FIELD_CUSTOM_VALIDATION_EXCEPTION"):
        sf.Account.update(acme, {"Name": "Acme"})
    admin("DELETE", "rules")
    assert sf.Account.update(acme, {"Name": "Acme"}) == 204


def test_a_rule_for_a_time(sf: Any, invoice: str, admin: Any, refused: Refused) -> None:
    """It strikes as often as it is told to, and what it refused was not written."""
    for kind in ("rows-busy", "triggers-busy"):
        rules(admin, kind)
        code = {"rows-busy": "UNABLE_TO_LOCK_ROW"}.get(kind, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")
        with refused(code) as said:
            sf.Stripe_Invoice__c.update(invoice, {"Number__c": kind})
        assert "unable to obtain exclusive access" in said[0]
        assert sf.Stripe_Invoice__c.get(invoice)["Number__c"] != kind
        assert sf.Stripe_Invoice__c.update(invoice, {"Number__c": kind}) == 204
        assert sf.Stripe_Invoice__c.get(invoice)["Number__c"] == kind


def test_what_is_changed_before_saving(sf: Any, invoice: str, admin: Any) -> None:
    """On each way to write; once for all where the formula says so."""
    rules(admin, "numbers-prefixed")
    sf.Stripe_Invoice__c.update(invoice, {"Number__c": "AC-2"})
    assert sf.Stripe_Invoice__c.get(invoice)["Number__c"] == "US-AC-2"
    sf.Stripe_Invoice__c.update(invoice, {"Is_Overdue__c": True})
    assert sf.Stripe_Invoice__c.get(invoice)["Number__c"] == "US-AC-2"
    sf.bulk2.Stripe_Invoice__c.update(records=[{"Id": invoice, "Number__c": "AC-3"}])
    assert sf.Stripe_Invoice__c.get(invoice)["Number__c"] == "US-AC-3"


def test_an_approval_locks_the_record_for_changes_and_deletion(
    sf: Any, invoice: str, admin: Any, refused: Refused
) -> None:
    """Within a collection, its row alone fails."""
    rules(admin, kind="approval_lock", sobject="Stripe_Invoice__c", when='Number__c = "AC-1"')
    with refused("ENTITY_IS_LOCKED"):
        sf.Stripe_Invoice__c.delete(invoice)
    other = sf.Stripe_Invoice__c.get(invoice)["Account__c"]
    free = sf.Stripe_Invoice__c.create({"Account__c": other, "Currency__c": "USD"})["id"]
    kind = {"attributes": {"type": "Stripe_Invoice__c"}, "Number__c": "AC-9"}
    rows = [kind | {"id": id_} for id_ in (invoice, free)]
    results = sf.restful("composite/sobjects", method="PATCH", json={"records": rows})
    assert [row["success"] for row in results] == [False, True]
    assert results[0]["errors"][0]["statusCode"] == "ENTITY_IS_LOCKED"


@pytest.mark.parametrize("profile", ["duplicates-alerted", "duplicates-blocked"])
def test_duplicates_are_saved_by_who_insists_where_the_rule_only_alerts(
    sf: Any, acme: str, admin: Any, profile: str
) -> None:
    """The header decides about an alert, and never about a block."""
    rules(admin, profile)
    with pytest.raises(SalesforceError) as caught:
        sf.Account.update(acme, {"Name": "Acme"})
    [error] = cast("list[dict[str, Any]]", caught.value.content)
    assert (error["errorCode"], error["duplicateResult"]["duplicateRule"]) == (
        "DUPLICATES_DETECTED",
        "Same_Address",
    )
    insisting = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    if profile == "duplicates-alerted":
        assert sf.Account.update(acme, {"Name": "Acme"}, headers=insisting) == 204
    else:
        with pytest.raises(SalesforceError, match="DUPLICATES_DETECTED"):
            sf.Account.update(acme, {"Name": "Acme"}, headers=insisting)


@pytest.mark.parametrize(("resource", "graph"), [("composite", False), ("composite/graph", True)])
def test_a_subrequest_insists_by_its_own_header(
    sf: Any, acme: str, admin: Any, resource: str, *, graph: bool
) -> None:
    """It inherits three headers of the call, and may not give these itself."""
    rules(admin, "duplicates-alerted")
    header = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}

    def status(own: dict[str, str]) -> int:
        node = {
            "method": "PATCH",
            "url": f"/services/data/v67.0/sobjects/Account/{acme}",
            "referenceId": "acme",
            "body": {"Name": "Acme"},
            "httpHeaders": own,
        }
        one = {"compositeRequest": [node]}
        body = {"graphs": [one | {"graphId": "a"}]} if graph else one
        answer = sf.restful(resource, method="POST", json=body, headers=header)
        [response] = (answer["graphs"][0]["graphResponse"] if graph else answer)[
            "compositeResponse"
        ]
        return int(response["httpStatusCode"])

    assert (status({}), status(header)) == (400, 204)
    with pytest.raises(SalesforceError, match="inherits Accept"):
        status({"Content-Type": "application/json"})


def test_a_formula_or_a_profile_that_is_none_is_refused(sf: Any, base_url: str) -> None:
    """At once, with the reason."""
    rule = {"kind": "validation", "sobject": "Account", "when": "SPLIT(Name)"}
    for order in ({"rules": [rule]}, {"profiles": ["unheard-of"]}):
        assert (
            requests.post(f"{base_url}/_sandbox/rules", json=order, timeout=10).status_code == 400
        )

"""A package installed under a namespace: what it brings has the prefix, for whoever looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.change_events import avro_schema
from sandbox.salesforce.namespace import check_namespace, prefixed
from sandbox.salesforce.org import Org, open_org

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
INVOICE, LINE = "acme__Stripe_Invoice__c", "acme__Stripe_Invoice_Line__c"

Refused = Callable[..., AbstractContextManager[list[str]]]


@pytest.fixture(scope="module")
def org() -> Org:
    """An org that has installed the package."""
    return open_org(METADATA, namespace="acme")


@pytest.fixture(scope="module")
def url(org: Org) -> Iterator[str]:
    """Where it is served."""
    with running(lambda url: application(org, url)) as served:
        yield served


@pytest.fixture
def sf(
    url: str,
    login: Callable[..., Any],
    to_sandbox: Callable[[str], requests.Session],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The org through simple-salesforce."""
    monkeypatch.setattr("simple_salesforce.bulk2.sleep", lambda _: None)
    return login(session=to_sandbox(url))


@pytest.fixture
def draft(sf: Any) -> str:
    """The id of a draft of one line over 20.00."""
    [account] = sf.query("SELECT Id FROM Account WHERE Name = 'Globex'")["records"]
    own = {"acme__Account__c": account["Id"], "acme__Currency__c": "USD"}
    invoice = str(getattr(sf, INVOICE).create(own)["id"])
    line = {"acme__Invoice__c": invoice, "acme__Quantity__c": 2, "acme__Unit_Price__c": 10}
    getattr(sf, LINE).create(line)
    return invoice


def test_describe_names_everything_with_the_prefix(sf: Any) -> None:
    """Objects, fields, relationships; what is Salesforce's own has none."""
    objects = {each["name"] for each in sf.describe()["sobjects"]}
    assert {INVOICE, LINE, "Account"} <= objects
    assert not {name for name in objects if name.startswith("Stripe_")}
    described = getattr(sf, INVOICE).describe()
    fields = {field["name"]: field for field in described["fields"]}
    assert fields["acme__Account__c"]["relationshipName"] == "acme__Account__r"
    assert fields["acme__Replaces__c"]["referenceTo"] == [INVOICE]
    children = {child["relationshipName"] for child in described["childRelationships"]}
    assert "acme__Lines__r" in children
    assert "Name" in fields


def test_soql_knows_the_names_with_the_prefix_and_no_others(
    sf: Any, draft: str, refused: Refused
) -> None:
    """Parents and children too; formulas and roll-ups of the package go on working."""
    lines = "(SELECT acme__Amount__c, acme__Quantity__c FROM acme__Lines__r)"
    fields = f"acme__Account__r.Name, acme__Account__r.acme__Invoice_Email__c, {lines}"
    where = "acme__Status__c = 'Draft' AND acme__Draft_Subtotal__c = 20"
    [found] = sf.query(f"SELECT {fields} FROM {INVOICE} WHERE {where} AND Id = '{draft}'")[
        "records"
    ]
    assert found["acme__Account__r"]["acme__Invoice_Email__c"].startswith("accounts.payable@")
    assert found["acme__Lines__r"]["records"][0]["acme__Quantity__c"] == 2
    with refused("INVALID_TYPE"):
        sf.query("SELECT Id FROM Stripe_Invoice__c")
    with refused("INVALID_FIELD"):
        sf.query(f"SELECT Status__c FROM {INVOICE}")
    with refused("INVALID_FIELD"):
        getattr(sf, INVOICE).update(draft, {"Status__c": "Open"})
    with refused("NOT_FOUND"):
        sf.Stripe_Invoice__c.get(draft)


def test_bulk_has_the_same_names(sf: Any, draft: str) -> None:
    """In queries and their columns, and in what is written."""
    job = getattr(sf.bulk2, INVOICE)
    [page] = job.query(f"SELECT Id, acme__Currency__c FROM {INVOICE} WHERE Id = '{draft}'")
    assert page.splitlines()[0] == '"Id","acme__Currency__c"'
    [done] = job.update(records=[{"Id": draft, "acme__Number__c": "R-1"}])
    assert done["numberRecordsFailed"] == 0
    assert getattr(sf, INVOICE).get(draft)["acme__Number__c"] == "R-1"


def test_events_have_the_same_names(org: Org) -> None:
    """The channel, the entity and its fields."""
    [(topic, objects)] = org.changes.channels.items()
    assert topic == "/data/acme__Invoice_Requests__chn"
    [request] = objects
    schema = avro_schema(org.sobject(request))
    assert schema["name"] == "acme__Stripe_Invoice_Request__ChangeEvent"
    assert "acme__Action__c" in {field["name"] for field in schema["fields"]}


def test_rules_of_the_orgs_people_are_about_the_same_things(
    sf: Any, url: str, draft: str, refused: Refused
) -> None:
    """Those that have a name here."""
    order = {"profiles": ["period-closed"]}
    assert requests.post(f"{url}/_sandbox/rules", json=order, timeout=9).ok
    with refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", "acme__Status__c"):
        getattr(sf, INVOICE).update(draft, {"acme__Status__c": "Open"})
    assert requests.delete(f"{url}/_sandbox/rules", timeout=9).ok


def test_data_are_generated_there_too(url: str, sf: Any) -> None:
    """Under the org's names."""
    order = {"accounts": 2, "invoices": 3}
    assert requests.post(f"{url}/_sandbox/generate", json=order, timeout=9).ok
    found = sf.query(f"SELECT count() FROM {INVOICE} WHERE acme__Local_Key__c LIKE 'gen-%'")
    assert found["totalSize"] == 3


@pytest.mark.parametrize("word", ["", "a__b", "_a", "a_", "1a", "a" * 16, "a.b"])
def test_what_is_no_namespace_is_refused(word: str) -> None:
    """Letters and digits, single underscores between them, fifteen at most."""
    with pytest.raises(ValueError, match="is no namespace"):
        check_namespace(word)


def test_what_has_a_prefix_gets_no_second_one() -> None:
    """Nor what is no name of the package."""
    text = "Thing__c.Field__c, other__Thing__c, Thing__r.Name, Plain, Thing__ChangeEvent"
    assert prefixed(text, "acme") == (
        "acme__Thing__c.acme__Field__c, other__Thing__c, acme__Thing__r.Name, Plain, "
        "acme__Thing__ChangeEvent"
    )

"""Custom metadata: deployed, edited in Setup, read by whoever is granted its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sandbox.salesforce import custom_metadata
from sandbox.salesforce.app import application
from sandbox.salesforce.org import Org, open_org

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce"
CORE, SETTINGS = PACKAGE / "force-app/main/default", PACKAGE / "custom-metadata/main/default"
ALL = "SELECT Id, DeveloperName, MasterLabel, Currency__c FROM Invoicing_Setting__mdt"
DEFAULT = "Invoicing_Setting.Default"
Refused = Callable[..., AbstractContextManager[list[str]]]


@pytest.fixture
def written(sf: Any, admin: Any) -> None:
    """An administrator wrote the record in Setup."""
    admin("POST", "custom-metadata", json={"name": DEFAULT, "values": {"Currency__c": "EUR"}})


@pytest.fixture
def user(admin: Any) -> Iterator[Callable[..., None]]:
    """Give the user permission sets, in place of everything."""

    def have(*names: str) -> None:
        admin("POST", "user", json={"permission_sets": list(names)})

    yield have
    admin("POST", "user", json={})


def test_a_record_is_read_and_not_written(sf: Any, written: None, refused: Refused) -> None:
    """It is metadata: no program creates, changes or deletes it as data."""
    row, _ = sf.query(f"{ALL} ORDER BY DeveloperName")["records"]
    assert (row["DeveloperName"], row["MasterLabel"], row["Currency__c"]) == (
        ("Default", "Default", "EUR")
    )
    described = sf.Invoicing_Setting__mdt.describe()
    assert not any(described[word] for word in ("createable", "updateable", "deletable"))
    with refused("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"):
        sf.Invoicing_Setting__mdt.update(row["Id"], {"Currency__c": "USD"})
    with refused("INSUFFICIENT_ACCESS_OR_READONLY"):
        sf.Invoicing_Setting__mdt.delete(row["Id"])


def test_a_type_is_granted_by_itself(
    sf: Any, written: None, user: Callable[..., None], refused: Refused
) -> None:
    """Who has no permission set that names the type does not see that it is there."""
    user("Invoice_Integration")
    assert sf.query(ALL)["totalSize"] == 2
    user("Invoice_Approver")
    with refused("INVALID_TYPE"):
        sf.query(ALL)


def currencies(org: Org) -> list[Any]:
    """What the records say."""
    of_dialogues = "DeveloperName = 'Default'"
    rows = org.store.where(org.sobject("Invoicing_Setting__mdt"), of_dialogues, [])
    return [row["Currency__c"] for row in rows]


def test_a_deploy_without_the_record_leaves_it(tmp_path: Path) -> None:
    """What an administrator wrote is still there after an upgrade that does not bring the file."""
    data = str(tmp_path / "org.db")
    org = open_org(CORE, data, over=[SETTINGS])
    application(org, "http://localhost")
    assert currencies(org) == [None]
    custom_metadata.save(org, DEFAULT, {"Currency__c": "EUR"})
    org.store.close()
    upgraded = open_org(CORE, data)
    application(upgraded, "http://localhost")
    assert currencies(upgraded) == ["EUR"]
    upgraded.store.close()


def test_a_deploy_with_the_record_writes_it_anew(tmp_path: Path) -> None:
    """Whatever it said before: which package an org has is what was deployed last."""
    data, version = str(tmp_path / "org.db"), {"Version__c": "0"}
    org = open_org(CORE, data)
    application(org, "http://localhost")
    custom_metadata.save(org, "Invoicing_Setting.Package", version)
    org.store.close()
    upgraded = open_org(CORE, data)
    application(upgraded, "http://localhost")
    [row] = upgraded.store.where(
        upgraded.sobject("Invoicing_Setting__mdt"), "DeveloperName = 'Package'", []
    )
    assert row["Version__c"] == "1"
    upgraded.store.close()

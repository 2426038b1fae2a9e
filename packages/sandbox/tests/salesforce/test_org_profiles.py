"""Orgs that are like others: countries to pick, Accounts that are people, both at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

Refused = Callable[..., AbstractContextManager[list[str]]]


@pytest.fixture
def profiles(sf: Any, admin: Any) -> Iterator[Callable[..., None]]:
    """Make it an org of such profiles, with the demo data."""

    def use(*names: str) -> None:
        admin("POST", "reset", json={"profiles": list(names)})

    yield use
    admin("POST", "reset", json={})


def one(sf: Any, fields: str, name: str) -> list[Any]:
    """Fields of an Account."""
    [row] = sf.query(f"SELECT {fields} FROM Account WHERE Name = '{name}'")["records"]
    return list(row.values())[1:]


def test_countries_that_are_picked_have_a_name_and_a_code(
    sf: Any, profiles: Callable[..., None], refused: Refused
) -> None:
    """Each follows the other, and nothing else is taken."""
    profiles("country-picklists")
    address = "BillingCountry, BillingCountryCode, BillingState, BillingStateCode"
    wanted = ["United States", "US", "Arizona", "AZ"]
    assert one(sf, address, "Acme Corporation") == wanted
    account = sf.Account.create({"Name": "New", "BillingCountry": "germany"})["id"]
    assert sf.Account.get(account)["BillingCountryCode"] == "DE"
    sf.Account.update(account, {"BillingCountryCode": "AT"})
    assert sf.Account.get(account)["BillingCountry"] == "Austria"
    with refused("FIELD_INTEGRITY_EXCEPTION", "BillingCountry"):
        sf.Account.update(account, {"BillingCountry": "Deutschland"})
    with refused("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "BillingCountryCode"):
        sf.Account.update(account, {"BillingCountryCode": "XX"})


def test_without_the_profile_there_are_no_codes(sf: Any, refused: Refused) -> None:
    """As in an org where countries are typed."""
    with refused("INVALID_FIELD"):
        sf.query("SELECT BillingCountryCode FROM Account")
    account = sf.Account.create({"Name": "New", "BillingCountry": "Deutschland"})["id"]
    assert sf.Account.get(account)["BillingCountry"] == "Deutschland"


def test_an_account_with_a_last_name_is_a_person(sf: Any, profiles: Callable[..., None]) -> None:
    """Alone, and with countries to pick."""
    for names in (["person-accounts"], ["person-accounts", "country-picklists"]):
        profiles(*names)
        person = {"FirstName": "Ann", "LastName": "Lee", "PersonEmail": "ann@example.com"}
        account = sf.Account.create(person)["id"]
        assert one(sf, "Id, IsPersonAccount", "Ann Lee") == [account, True]
        sf.Account.update(account, {"LastName": "Low"})
        assert sf.Account.get(account)["Name"] == "Ann Low"
        assert one(sf, "IsPersonAccount", "Globex") == [False]


def test_layouts_are_described(sf: Any) -> None:
    """They are no external id."""
    [layout] = sf.Account.describe_layout("")["layouts"]
    items = [
        item
        for row in layout["detailLayoutSections"][0]["layoutRows"]
        for item in row["layoutItems"]
    ]
    assert "Account Name" in {item["label"] for item in items}
    assert sf.Account.describe_layout("012000000000000AAA")["recordTypeMappings"] == []


def test_a_path_may_begin_with_two_slashes(sf: Any) -> None:
    """Clients that join a host and a path so are answered."""
    answer = sf.session.get(
        f"https://{sf.sf_instance}//services/data/v67.0/sobjects", headers=sf.headers
    )
    assert answer.ok


def test_a_product_needs_no_code(sf: Any) -> None:
    """Not to be made, priced, or renamed."""
    product = sf.Product2.create({"Name": "Plain"})["id"]
    [book] = sf.query("SELECT Id FROM Pricebook2")["records"]
    entry = {"Pricebook2Id": book["Id"], "Product2Id": product, "UnitPrice": 2}
    entry_id = sf.PricebookEntry.create(entry)["id"]
    sf.Product2.update(product, {"Name": "Plainer"})
    assert sf.PricebookEntry.get(entry_id)["Name"] == "Plainer"
    assert sf.PricebookEntry.get(entry_id)["ProductCode"] is None

"""What an integration user sees and may do who has a permission set, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests
from simple_salesforce.exceptions import SalesforceError

Refused = Callable[..., AbstractContextManager[list[str]]]


@pytest.fixture
def user(sf: Any, admin: Any) -> Iterator[Callable[..., None]]:
    """Give the user permission sets, in place of everything."""

    def have(*names: str) -> None:
        admin("POST", "user", json={"permission_sets": list(names)})

    yield have
    admin("POST", "user", json={})


def names(described: Any) -> set[str]:
    """The fields of a describe."""
    return {field["name"] for field in described["fields"]}


def test_without_a_permission_set_a_deployed_package_is_not_there(
    sf: Any, user: Callable[..., None], refused: Refused
) -> None:
    """Neither its objects nor its fields, not even to somebody who is logged in."""
    user()
    with refused("INVALID_TYPE"):
        sf.query("SELECT Id FROM Stripe_Invoice__c")
    with refused("NOT_FOUND"):
        sf.Account.describe()
    assert sf.query("SELECT Username FROM User")["totalSize"] == 2


def test_a_field_is_seen_where_it_is_granted(
    sf: Any, user: Callable[..., None], acme: str, refused: Refused
) -> None:
    """Standard fields as those of the package; an address as a whole; required ones always."""
    user("Invoice_Integration")
    seen = names(sf.Account.describe())
    assert {"Id", "Name", "BillingCity", "BillingCountry", "Invoice_Email__c"} <= seen
    assert not seen & {"Phone", "ShippingCity", "Description"}
    with refused("INVALID_FIELD"):
        sf.query("SELECT Phone FROM Account")
    with refused("INVALID_FIELD"):
        sf.Account.update(acme, {"Phone": "1"})
    assert "Phone" not in sf.Account.get(acme)


def test_what_may_only_be_read_cannot_be_written(
    sf: Any, user: Callable[..., None], acme: str, refused: Refused
) -> None:
    """Fields of an object that may be changed, and whole objects."""
    user("Invoice_Integration")
    with refused("INVALID_FIELD_FOR_INSERT_UPDATE", "BillingCity"):
        sf.Account.update(acme, {"BillingCity": "Rome"})
    sf.Account.update(acme, {"Invoice_Email__c": "ap@acme.example.com"})
    with refused("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"):
        sf.Account.create({"Name": "New"})
    with refused("INSUFFICIENT_ACCESS_OR_READONLY"):
        sf.Account.delete(acme)
    described = sf.Account.describe()
    assert (described["createable"], described["updateable"]) == (False, True)


def test_entries_of_price_books_and_opportunities_follow_what_they_belong_to(
    sf: Any, user: Callable[..., None], refused: Refused
) -> None:
    """They have no permissions of their own."""
    user("Invoice_Integration")
    assert sf.query("SELECT Id FROM PricebookEntry WHERE Product2.Name = 'Consulting'")["records"]
    assert sf.query("SELECT Discount FROM OpportunityLineItem")["records"]
    user()
    with refused("INVALID_TYPE"):
        sf.query("SELECT Id FROM PricebookEntry")


def test_the_limits_are_setup(sf: Any, user: Callable[..., None]) -> None:
    """Reading them takes View Setup and Configuration; how much is used comes with each answer."""
    user("Invoice_Integration")
    with pytest.raises(SalesforceError, match="INSUFFICIENT_ACCESS"):
        sf.restful("limits/")
    sf.restful("")
    assert sf.api_usage["api-usage"].total == 100_000


def test_permission_sets_add_up(sf: Any, user: Callable[..., None]) -> None:
    """A user may what any of them allows."""
    user("Invoice_Approver")
    assert not sf.Stripe_Invoice__c.describe()["createable"]
    user("Invoice_Approver", "Invoice_User")
    assert sf.Stripe_Invoice__c.describe()["createable"]


def test_other_people_have_sessions_and_rights_of_their_own(
    sf: Any, admin: Any, base_url: str
) -> None:
    """What they create is theirs, and a rule that asks for a custom permission asks for theirs."""

    def call(name: str, *sets: str) -> tuple[int, Any]:
        ann = admin("POST", "people", json={"name": name, "permission_sets": sets})
        answer = requests.post(
            f"{base_url}/services/data/v67.0/sobjects/Stripe_Invoice_Request__c",
            json={"Action__c": "Approve", "Open_Key__c": f"{ann['id']}:Approve"},
            headers={"Authorization": f"Bearer {ann['access_token']}"},
            timeout=60,
        )
        return answer.status_code, ann["id"]

    assert call("No Body")[0] == 404
    assert call("Una Sales", "Invoice_User")[0] == 400
    status, ann = call("Ann Ledger", "Invoice_Approver")
    assert status == 201
    made = sf.query("SELECT CreatedById FROM Stripe_Invoice_Request__c")["records"]
    assert [row["CreatedById"] for row in made] == [ann]

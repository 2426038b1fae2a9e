"""What the integration user was not granted, it neither sees nor does."""

from __future__ import annotations

from typing import Any

import pytest


def test_what_is_hidden_is_not_there(sf: Any, admin: Any, acme: str) -> None:
    """An object and a field that nobody granted are in no describe and in no query."""
    admin("POST", "permissions", json={"hidden": ["Opportunity", "Account.Invoice_Email__c"]})
    assert "Opportunity" not in {each["name"] for each in sf.describe()["sobjects"]}
    fields = {field["name"] for field in sf.Account.describe()["fields"]}
    assert "Invoice_Email__c" not in fields
    with pytest.raises(Exception, match="No such column 'Invoice_Email__c'"):
        sf.query(f"SELECT Invoice_Email__c FROM Account WHERE Id = '{acme}'")
    admin("POST", "reset", json={"seed": "demo"})
    assert "Opportunity" in {each["name"] for each in sf.describe()["sobjects"]}


def test_what_is_denied_is_refused(sf: Any, admin: Any, acme: str, refused: Any) -> None:
    """Records that may not be changed say so in the describe, and stay; so does a field."""
    denied = {"Account": ["updateable", "deletable"]}
    admin("POST", "permissions", json={"denied": denied, "read_only": ["Contact.LastName"]})
    told = sf.Account.describe()
    assert (told["createable"], told["updateable"], told["deletable"]) == (True, False, False)
    with refused("INSUFFICIENT_ACCESS_OR_READONLY"):
        sf.Account.update(acme, {"Name": "Other"})
    with refused("INSUFFICIENT_ACCESS_OR_READONLY"):
        sf.Account.delete(acme)
    with refused("INVALID_FIELD_FOR_INSERT_UPDATE", "LastName"):
        sf.Contact.create({"LastName": "Doe"})

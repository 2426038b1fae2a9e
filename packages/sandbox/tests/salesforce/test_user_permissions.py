"""A query says which user permissions whoever asks has."""

from __future__ import annotations

from typing import Any

import pytest
from simple_salesforce.exceptions import SalesforceError

MINE = "SELECT PermissionsSendCustomNotifications, PermissionsViewSetup FROM UserPermissionAccess"


def test_everybody_asks_for_their_own(sf: Any, admin: Any) -> None:
    """In one record: everything, or what the permission sets grant, less what is taken away."""

    def mine() -> list[bool]:
        [found] = sf.query(MINE)["records"]
        return [found["PermissionsSendCustomNotifications"], found["PermissionsViewSetup"]]

    assert mine() == [True, True]
    admin("POST", "user", json={"permission_sets": ["Invoice_Integration"]})
    assert mine() == [True, False]
    admin("POST", "permissions", json={"hidden": ["SendCustomNotifications"]})
    assert mine() == [False, False]
    admin("POST", "permissions", json={})
    admin("POST", "user", json={"permission_sets": ["Invoice_User"]})
    assert mine() == [False, False]
    admin("POST", "user", json={})


def test_who_may_not_send_notifications(sf: Any, admin: Any) -> None:
    """Nobody is told anything by a user without the permission."""
    [kind, *_] = sf.query("SELECT Id FROM CustomNotificationType")["records"]
    [user, *_] = sf.query("SELECT Id FROM User")["records"]
    asked = {"customNotifTypeId": kind["Id"], "recipientIds": [user["Id"]], "title": "A"}
    body = {"inputs": [asked | {"body": "B", "targetId": user["Id"]}]}
    admin("POST", "permissions", json={"hidden": ["SendCustomNotifications"]})
    before = admin("GET", "notifications")["sent"]
    path = "actions/standard/customNotificationAction"
    with pytest.raises(SalesforceError, match="Send Custom Notifications"):
        sf.restful(path, method="POST", json=body)
    assert admin("GET", "notifications")["sent"] == before
    admin("POST", "permissions", json={})
    assert sf.restful(path, method="POST", json=body)[0]["isSuccess"]


def test_who_is_in_a_public_group(sf: Any, admin: Any) -> None:
    """Whoever clicks on the pages of the demo org, until somebody takes them out."""
    admin("POST", "reset", json={"seed": "demo"})
    found = "SELECT Id, UserOrGroupId FROM GroupMember WHERE GroupId IN (SELECT Id FROM Group)"
    [member] = sf.query(found)["records"]
    [user] = sf.query(f"SELECT Username FROM User WHERE Id = '{member['UserOrGroupId']}'")[
        "records"
    ]
    assert user["Username"] == "dana.whitfield@northwind.example"
    sf.GroupMember.delete(member["Id"])
    assert sf.query(found)["totalSize"] == 0

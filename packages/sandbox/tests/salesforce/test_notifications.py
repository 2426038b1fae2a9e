"""Custom notifications: a user is told, or the action says why not."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from sandbox.salesforce.http import Call
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.notifications import Notifications
from sandbox.salesforce.org import USER_ID, open_org
from sandbox.salesforce.seed import seed

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"


@pytest.fixture
def notifications() -> Notifications:
    """Those of an org with the package."""
    org = open_org(PACKAGE)
    seed(org, "empty")
    return Notifications(org)


def send(notifications: Notifications, **changes: Any) -> tuple[int, Any]:
    """Tell the user something, or what is asked for; status and answer."""
    asked = {
        "customNotifTypeId": make_id("0ML", 1),
        "recipientIds": [USER_ID],
        "title": "Send was refused",
        "body": "INV-0001 has no lines.",
        "targetId": USER_ID,
    }
    [(_, path, handler)] = notifications.table()
    answer = handler(Call("POST", path, content=orjson.dumps({"inputs": [asked | changes]})))
    return answer.status, answer.body[0]


def test_a_user_is_told(notifications: Notifications) -> None:
    """By the type that the package brings."""
    status, said = send(notifications)
    assert (status, said["isSuccess"], said["errors"]) == (200, True, None)
    [sent] = notifications.sent
    assert sent["recipientIds"] == [USER_ID]


def test_a_group_is_told(notifications: Notifications) -> None:
    """All who are in a public group that the package brings."""
    group = make_id("00G", 1)
    status, _ = send(notifications, recipientIds=[group])
    assert (status, notifications.sent[0]["recipientIds"]) == (200, [group])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"recipientIds": [make_id("00G", 9)]}, "is no Group"),
        ({"customNotifTypeId": make_id("0ML", 9)}, "is no CustomNotificationType"),
        ({"recipientIds": [make_id("005", 9)]}, "is no User"),
        ({"recipientIds": []}, "Missing required input parameter: recipientIds"),
        ({"title": "x" * 251}, "title has more than 250 characters"),
        ({"body": "x" * 751}, "body has more than 750 characters"),
        ({"targetId": None}, "Specify either"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_told(
    notifications: Notifications, changes: dict[str, Any], why: str
) -> None:
    """Nobody is told, and the reason is said."""
    status, said = send(notifications, **changes)
    assert (status, said["isSuccess"]) == (400, False)
    assert why in said["errors"][0]["message"]
    assert notifications.sent == []

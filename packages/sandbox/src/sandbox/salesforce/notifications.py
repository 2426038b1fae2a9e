"""Custom notifications: sent over REST, shown by the bell of each page.

Source: https://developer.salesforce.com/docs/atlas.en-us.262.0.pushImplGuide.meta/pushImplGuide/
actions_obj_custom_notification.htm; it says which user permission is needed, and not in which words
whoever lacks it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.http import Answer, Call, Handler
from sandbox.salesforce.ids import normalize
from sandbox.salesforce.org import Org

NAME = "customNotificationAction"
PERMISSION = "SendCustomNotifications"
LONGEST = {"title": 250, "body": 750}
MOST_RECIPIENTS = 500


@dataclass(frozen=True)
class Notification:
    """What some users and groups were told of a record.

    Attributes:
        number: Its place among all.
        at: When.
        recipients: The ids of those who were told.
        readers: The ids of those who have read it since.
    """

    number: int
    title: str
    body: str
    target: str
    at: datetime
    recipients: frozenset[str]
    readers: set[str] = field(default_factory=set)


class Notifications:
    """What users were told, and the action that tells them."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self.sent: list[dict[str, Any]] = []
        self._told: list[Notification] = []

    def clear(self) -> None:
        """Forget all of them."""
        self.sent.clear()
        self._told.clear()

    def of(self, recipients: Iterable[str]) -> list[Notification]:
        """What somebody was told, alone or in a group, the newest first."""
        theirs = frozenset(recipients)
        return [one for one in reversed(self._told) if one.recipients & theirs]

    def table(self) -> list[tuple[str, str, Handler]]:
        """The resource that is answered here."""
        return [("POST", f"/actions/standard/{NAME}", self._send)]

    def _send(self, call: Call) -> Answer:
        if not self._org.has_permission(PERMISSION):
            raise SalesforceError(
                "INSUFFICIENT_ACCESS",
                "You need the Send Custom Notifications user permission.",
                status=403,
            )
        asked = call.mapping().get("inputs") or []
        results = [self._result(one) for one in asked]
        good = all(result["isSuccess"] for result in results)
        return Answer(200 if good else 400, results)

    def _result(self, asked: dict[str, Any]) -> dict[str, Any]:
        wrong = self._mistake(asked)
        if not wrong:
            self.sent.append(asked)
            self._told.append(
                Notification(
                    len(self._told),
                    asked["title"],
                    asked["body"],
                    asked.get("targetId") or "",
                    self._org.clock.instant(),
                    frozenset(map(normalize, asked["recipientIds"])),
                )
            )
        error = {"statusCode": "INVALID_INPUT", "message": wrong, "fields": []}
        said = "Your custom notification is processed successfully."
        return {
            "actionName": NAME,
            "errors": [error] if wrong else None,
            "isSuccess": not wrong,
            "outputValues": None if wrong else {"SuccessMessage": said},
        }

    def _mistake(self, asked: dict[str, Any]) -> str:
        for name in ("customNotifTypeId", "recipientIds", *LONGEST):
            if not asked.get(name):
                return f"Missing required input parameter: {name}"
        if not asked.get("targetId") and not asked.get("targetPageRef"):
            return "Specify either a targetId or a targetPageRef"
        for name, most in LONGEST.items():
            if len(asked[name]) > most:
                return f"{name} has more than {most} characters"
        if len(asked["recipientIds"]) > MOST_RECIPIENTS:
            return f"more than {MOST_RECIPIENTS} recipients"
        given = [("CustomNotificationType", asked["customNotifTypeId"])]
        given += [
            ("Group" if recipient.startswith("00G") else "User", recipient)
            for recipient in asked["recipientIds"]
        ]
        for sobject, record_id in given:
            if not self._is_there(sobject, record_id):
                return f"{record_id} is no {sobject}"
        return ""

    def _is_there(self, sobject: str, record_id: str) -> bool:
        try:
            found = self._org.store.get(self._org.sobject(sobject), normalize(record_id))
        except SalesforceError:
            return False
        return found is not None

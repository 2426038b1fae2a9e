"""Custom notifications: the bell, rung over REST.

Source: https://developer.salesforce.com/docs/atlas.en-us.262.0.pushImplGuide.meta/pushImplGuide/
actions_obj_custom_notification.htm; it says which user permission is needed, and not in which words
whoever lacks it is refused.
"""

from __future__ import annotations

from typing import Any

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.http import Answer, Call, Handler
from sandbox.salesforce.ids import normalize
from sandbox.salesforce.org import Org

NAME = "customNotificationAction"
PERMISSION = "SendCustomNotifications"
LONGEST = {"title": 250, "body": 750}
MOST_RECIPIENTS = 500


class Notifications:
    """What users were told, and the action that tells them."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self.sent: list[dict[str, Any]] = []

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

"""Notifications: what users of the org are told by the platform's own bell."""

from invoicing.connectors.salesforce.queries import Queries
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.errors import EnvironmentMismatch


class Notifications(Queries):
    """What is told to users of an org."""

    def notify(self, kind: str, user_id: str, title: str, body: str, target: str) -> None:
        """Tell a user something, by the platform's own notifications; two calls.

        Args:
            kind: The name of the custom notification type.
            user_id: Who is told.
            title: At most 250 characters are shown.
            body: At most 750.
            target: The record that a click leads to.

        Raises:
            EnvironmentMismatch: the org has no such type.
            Rejected: our user may not, or the user cannot be told.

        Source: https://developer.salesforce.com/docs/atlas.en-us.262.0.pushImplGuide.meta/
        pushImplGuide/actions_obj_custom_notification.htm
        """
        types = self.query(
            Query("CustomNotificationType", ["Id"], where=equals("DeveloperName", kind))
        )
        if not types:
            raise EnvironmentMismatch(
                f"Salesforce has no notification type {kind}. Deploy deployments/salesforce."
            )
        asked = {
            "customNotifTypeId": types[0]["Id"],
            "recipientIds": [user_id],
            "title": title[:250],
            "body": body[:750],
            "targetId": target,
        }
        path = "actions/standard/customNotificationAction"
        self._call("notify a user", path, object, "POST", {"inputs": [asked]})

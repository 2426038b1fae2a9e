"""Those who press buttons in Salesforce, and those who get the e-mails."""

import httpx

from deployments.local.stack import Stack
from tests.journeys.org_client import Org


class SalesforceUsers:
    """Those who press buttons, and those who get the e-mails."""

    def __init__(self, stack: Stack) -> None:
        """Log in at the org."""
        self.stack = stack
        self.org = Org(stack)

    def draft(self) -> str:
        """A draft of one line for Acme, made in Salesforce; its id."""
        return self.org.draft("Acme Corporation", "Consulting", 3, 150)

    def press_send(self, invoice: str) -> str:
        """Make the request that Send To Customer makes; its id."""
        key = {"Open_Key__c": f"{invoice}:Send"}
        return self.org.create(
            "Stripe_Invoice_Request__c", Invoice__c=invoice, Action__c="Send", **key
        )

    def outcome(self, request: str) -> str:
        """What a request says when it is over; nothing before."""
        fields = "State__c, Outcome__c"
        [row] = self.org.find(
            f"SELECT {fields} FROM Stripe_Invoice_Request__c WHERE Id = '{request}'"
        )
        over = row["State__c"] not in {"Queued", "Running"}
        return f"{row['State__c']}: {row['Outcome__c']}" if over else ""

    def mails(self) -> int:
        """How many e-mails went out."""
        return len(httpx.get(f"{self.stack.urls.stripe}/_sandbox/mail").json()["data"])

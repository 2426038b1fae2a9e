"""Those who press buttons in Salesforce, and those who get the e-mails."""

from datetime import date, timedelta
from typing import Any

import httpx

from deployments.local.stack import SALESFORCE_KEY, SALESFORCE_SECRET, Stack


class People:
    """Those who press buttons, and those who get the e-mails."""

    def __init__(self, stack: Stack) -> None:
        """Log in at the org."""
        self.stack = stack
        form = {
            "grant_type": "client_credentials",
            "client_id": SALESFORCE_KEY,
            "client_secret": SALESFORCE_SECRET,
        }
        url = stack.urls.salesforce
        token = httpx.post(f"{url}/services/oauth2/token", data=form).json()["access_token"]
        self._org = httpx.Client(
            base_url=f"{url}/services/data/v67.0/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    def create(self, sobject: str, **fields: Any) -> str:
        """Make a record; its id."""
        answer = self._org.post(f"sobjects/{sobject}", json=fields)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    def find(self, soql: str) -> list[dict[str, Any]]:
        """Records by SOQL."""
        return list(self._org.get("query", params={"q": soql}).json()["records"])

    def draft(self) -> str:
        """A draft of one line for Acme, made in Salesforce; its id."""
        [acme] = self.find("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")
        [product] = self.find("SELECT Id FROM Product2 WHERE Name = 'Consulting'")
        invoice = self.create(
            "Stripe_Invoice__c",
            Account__c=acme["Id"],
            Currency__c="USD",
            Description__c="November services",
            Due_Date__c=(date.today() + timedelta(days=30)).isoformat(),
        )
        line = {"Quantity__c": 3, "Unit_Price__c": 150, "Position__c": 1}
        self.create("Stripe_Invoice_Line__c", Invoice__c=invoice, Product__c=product["Id"], **line)
        return invoice

    def press_send(self, invoice: str) -> str:
        """Make the request that Send To Customer makes; its id."""
        key = {"Open_Key__c": f"{invoice}:Send"}
        return self.create("Stripe_Invoice_Request__c", Invoice__c=invoice, Action__c="Send", **key)

    def outcome(self, request: str) -> str:
        """What a request says when it is over; nothing before."""
        fields = "State__c, Outcome__c"
        [row] = self.find(f"SELECT {fields} FROM Stripe_Invoice_Request__c WHERE Id = '{request}'")
        over = row["State__c"] not in {"Queued", "Running"}
        return f"{row['State__c']}: {row['Outcome__c']}" if over else ""

    def mails(self) -> int:
        """How many e-mails went out."""
        return len(httpx.get(f"{self.stack.urls.stripe}/_sandbox/mail").json()["data"])

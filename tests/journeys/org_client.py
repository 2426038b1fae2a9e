"""Salesforce's API, as somebody with a session of their own calls it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from deployments.local.stack import SALESFORCE_KEY, SALESFORCE_SECRET, Stack
from invoicing.domain.model.dates import written


class Org:
    """What is done behind the pages' back."""

    def __init__(self, stack: Stack, session: str = "") -> None:
        """Come with a session, or log in as the integration user."""
        self._http = httpx.Client(
            base_url=f"{stack.urls.salesforce}/services/data/v67.0/",
            headers={"Authorization": f"Bearer {session or integration_user(stack)}"},
            timeout=60,
        )

    def create(self, sobject: str, **fields: Any) -> str:
        """Make a record; its id."""
        answer = self._http.post(f"sobjects/{sobject}", json=fields)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    def find(self, soql: str) -> list[dict[str, Any]]:
        """Records by SOQL."""
        return list(self._http.get("query", params={"q": soql}).json()["records"])

    def draft(self, account: str, product: str, quantity: int, price: float) -> str:
        """A draft of one line; its id."""
        [customer] = self.find(f"SELECT Id FROM Account WHERE Name = '{account}'")
        [sold] = self.find(f"SELECT Id FROM Product2 WHERE Name = '{product}'")
        invoice = self.create(
            "Stripe_Invoice__c",
            Account__c=customer["Id"],
            Currency__c="USD",
            Description__c=product,
            Due_Date__c=in_days(30),
        )
        line = {"Quantity__c": quantity, "Unit_Price__c": price, "Position__c": 1}
        self.create("Stripe_Invoice_Line__c", Invoice__c=invoice, Product__c=sold["Id"], **line)
        return invoice


def integration_user(stack: Stack) -> str:
    """A session of the user that the worker logs in as."""
    form = {
        "grant_type": "client_credentials",
        "client_id": SALESFORCE_KEY,
        "client_secret": SALESFORCE_SECRET,
    }
    answer = httpx.post(f"{stack.urls.salesforce}/services/oauth2/token", data=form)
    return str(answer.raise_for_status().json()["access_token"])


def in_days(number: int) -> str:
    """A day from today on, as records take it."""
    return (datetime.now(UTC).date() + timedelta(days=number)).isoformat()


def typed_day(number: int) -> str:
    """A day from today on, as people type it on a page."""
    return written(date.fromisoformat(in_days(number)))

"""Those who work with what production runs."""

import itertools
import re
from datetime import date, timedelta
from typing import Any

import httpx
import psycopg

from deployments.local.stack import SALESFORCE_KEY, SALESFORCE_SECRET
from deployments.local.waiting import eventually
from tests.deployments.production import PATIENCE_SECONDS, Api, Production

ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


class ProductionUsers:
    """Those who raise and send, in Prefect and in Salesforce, and those who pay."""

    def __init__(self, world: Production) -> None:
        """Log in everywhere."""
        self.world = world
        self.prefect = Api(world.urls.prefect_api)
        self._numbers = itertools.count(1)
        form = {
            "grant_type": "client_credentials",
            "client_id": SALESFORCE_KEY,
            "client_secret": SALESFORCE_SECRET,
        }
        url = world.urls.salesforce
        token = httpx.post(f"{url}/services/oauth2/token", data=form).json()["access_token"]
        self._org = httpx.Client(
            base_url=f"{url}/services/data/v67.0/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    def find(self, soql: str) -> list[dict[str, Any]]:
        """Records by SOQL."""
        answer = self._org.get("query", params={"q": soql})
        assert answer.is_success, answer.text
        return list(answer.json()["records"])

    def bill(self) -> str:
        """Raise an invoice, send it, and pay it; every other is sent with a button. Its name."""
        number = next(self._numbers)
        said = self.prefect.ask(
            "raise-invoice",
            f"raise-{number}",
            account=("Acme Corporation", "Globex")[number % 2],
            description="November services",
            due_date=(date.today() + timedelta(days=30)).isoformat(),
            lines=[{"product": "Consulting", "quantity": "3"}],
        )
        name = str(re.findall(r"INV-\d+", said)[0])
        (self._press_send if number % 2 else self._send)(name)
        [record] = self.find(
            f"SELECT Hosted_Invoice_URL__c FROM Stripe_Invoice__c WHERE Name = '{name}'"
        )
        paid = httpx.post(
            record["Hosted_Invoice_URL__c"], data={"card": "4242424242424242"}, timeout=60
        )
        assert paid.is_success or paid.is_redirect, paid.text
        return name

    def _send(self, name: str) -> None:
        self.prefect.ask("send-invoice", f"send-{name}", invoice=name)

    def _press_send(self, name: str) -> None:
        [record] = self.find(f"SELECT Id FROM Stripe_Invoice__c WHERE Name = '{name}'")
        asked = {
            "Invoice__c": record["Id"],
            "Action__c": "Send",
            "Open_Key__c": f"{record['Id']}:Send",
        }
        made = self._org.post("sobjects/Stripe_Invoice_Request__c", json=asked)
        assert made.is_success, made.text
        fields = "SELECT State__c, Outcome__c FROM Stripe_Invoice_Request__c"

        def answer() -> str:
            [row] = self.find(f"{fields} WHERE Id = '{made.json()['id']}'")
            over = row["State__c"] not in {"Queued", "Running"}
            return f"{row['State__c']}: {row['Outcome__c']}" if over else ""

        said = eventually(answer, PATIENCE_SECONDS)
        assert said.startswith("Done: "), said

    def mails(self) -> list[str]:
        """The Stripe invoices of all mails so far, one entry a mail."""
        url = f"{self.world.urls.stripe}/_sandbox/mail"
        return [mail["invoice"] for mail in httpx.get(url, timeout=60).json()["data"]]

    def unpaid(self) -> list[str]:
        """Names of records that do not show their payment."""
        soql = "SELECT Name FROM Stripe_Invoice__c WHERE Status__c != 'Paid'"
        return [row["Name"] for row in self.find(soql)]

    def do(self, flow: str) -> str:
        """Run a flow as an operator does; its sentence."""
        return self.prefect.ask(flow, f"{flow}-{next(self._numbers)}")

    def under_way(self) -> list[str]:
        """Names of runs that somebody or an event asked for and that have not ended."""
        only = {"flow_runs": {"state": {"type": {"not_any_": ENDED}}}}
        found = self.prefect.call("POST", "/flow_runs/filter", only)
        return [run["name"] for run in found if not run["auto_scheduled"]]

    def open_requests(self) -> list[str]:
        """Requests in Salesforce that were not answered."""
        open_states = "State__c IN ('Queued', 'Running')"
        soql = f"SELECT Name FROM Stripe_Invoice_Request__c WHERE {open_states}"
        return [row["Name"] for row in self.find(soql)]

    def inbox(self) -> dict[str, int]:
        """How many of Stripe's events are in each state."""
        url = self.world.variables("worker")["INVOICING_LEDGER__URL"].replace("+psycopg", "")
        with psycopg.connect(url) as ledger:
            query = "SELECT state, count(*) FROM event GROUP BY state"
            return dict(ledger.execute(query).fetchall())

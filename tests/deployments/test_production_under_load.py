"""Two of each, as `several.yaml` has them: one dies while people work, and nothing is lost."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest

from deployments.local.stack import SALESFORCE_KEY, SALESFORCE_SECRET
from deployments.local.waiting import eventually
from tests.deployments.production import (
    PATIENCE_SECONDS,
    Api,
    Production,
    missing_packages,
    production,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        bool(missing_packages()), reason=f"not installed: apt-get install {missing_packages()}"
    ),
]

INVOICES = 6
"""At once, for each death: a few more than are worked on at one time."""
ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


class People:
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
        run = self.prefect.start(
            "raise-invoice",
            f"raise-{number}",
            account=("Acme Corporation", "Globex")[number % 2],
            description="November services",
            due_date=(date.today() + timedelta(days=30)).isoformat(),
            lines=[{"product": "Consulting", "quantity": "3"}],
        )
        name = re.findall(r"INV-\d+", self.prefect.until_completed(run))[0]
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
        self.prefect.until_completed(
            self.prefect.start("send-invoice", f"send-{name}", invoice=name)
        )

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

        def over() -> dict[str, Any] | None:
            [row] = self.find(f"{fields} WHERE Id = '{made.json()['id']}'")
            return None if row["State__c"] in {"Queued", "Running"} else row

        row = eventually(over, PATIENCE_SECONDS)
        assert row["State__c"] == "Done", row["Outcome__c"]

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
        run = self.prefect.start(flow, f"{flow}-{next(self._numbers)}")
        return self.prefect.until_completed(run)

    def under_way(self) -> list[str]:
        """Names of runs that are due and have not ended."""
        only = {
            "flow_runs": {
                "state": {"type": {"not_any_": ENDED}},
                "expected_start_time": {"before_": "2000-01-01T00:00:00Z"},
            }
        }
        del only["flow_runs"]["expected_start_time"]
        found = self.prefect.call("POST", "/flow_runs/filter", only)
        return [run["name"] for run in found if not run["auto_scheduled"]]


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    """Everything, in a folder that PostgreSQL's user may pass through."""
    with TemporaryDirectory(prefix="production-") as folder:
        Path(folder).chmod(0o755)
        with production(Path(folder)) as world:
            yield People(world)


KILLS: dict[str, Callable[[Production], None]] = {
    "prefect": lambda world: world.kill("prefect-1"),
    "worker": lambda world: world.kill("worker-1"),
    "receiver": lambda world: world.kill("receiver-1"),
    "listener": lambda world: world.kill("listener"),
    "redis": lambda world: world.kill("redis"),
    "postgres": lambda world: world.restart_postgres(),
}


@pytest.mark.parametrize("victim", KILLS)
def test_one_dies_under_load(people: People, victim: str) -> None:
    """People go on raising, sending and paying; each invoice is mailed once, each payment seen."""
    before = people.mails()
    with ThreadPoolExecutor(INVOICES) as crowd:
        billed = [crowd.submit(people.bill) for _ in range(INVOICES)]
        eventually(lambda: len(people.mails()) > len(before), PATIENCE_SECONDS)
        KILLS[victim](people.world)
        names = [each.result() for each in billed]
    assert len(set(names)) == INVOICES
    people.do("poll-events")  # whatever the receiver had no time for; else the next five minutes
    eventually(lambda: not people.unpaid(), PATIENCE_SECONDS)
    assert set(Counter(people.mails()).values()) == {1}
    assert len(people.mails()) == len(before) + INVOICES
    people.world.check()


def test_nothing_is_left_over_and_nothing_differs(people: People) -> None:
    """After all of them: no run, no event, no request waits, and both services say the same."""
    eventually(lambda: not people.under_way(), PATIENCE_SECONDS)
    assert "0 differed" in people.do("full-sync")
    open_requests = (
        "SELECT Name FROM Stripe_Invoice_Request__c WHERE State__c IN ('Queued', 'Running')"
    )
    assert not people.find(open_requests)
    with psycopg.connect(
        people.world.variables("worker")["INVOICING_LEDGER__URL"].replace("+psycopg", "")
    ) as ledger:
        states = ledger.execute("SELECT state, count(*) FROM event GROUP BY state").fetchall()
    assert [state for state, _ in states] == ["done"], states

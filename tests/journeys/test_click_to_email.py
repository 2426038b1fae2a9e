"""From a button in Salesforce to the customer's mailbox, through every program of the stack."""

import os
import re
import signal
from collections.abc import Iterator

import httpx
import pytest

from deployments.local.stack import Stack
from deployments.local.waiting import eventually
from invoicing.connectors.prefect import Prefect
from tests.journeys.org import Org

WAIT = 120.0


class People:
    """Those who press buttons, and those who get the e-mails."""

    def __init__(self, stack: Stack) -> None:
        """Log in at the org."""
        self.stack = stack
        self._org = Org(stack)

    def draft(self) -> str:
        """A draft of one line for Acme, made in Salesforce; its id."""
        return self._org.draft("Acme Corporation", "Consulting", 3, 150)

    def press_send(self, invoice: str) -> str:
        """Make the request that Send To Customer makes; its id."""
        key = {"Open_Key__c": f"{invoice}:Send"}
        return self._org.create(
            "Stripe_Invoice_Request__c", Invoice__c=invoice, Action__c="Send", **key
        )

    def outcome(self, request: str) -> str:
        """What a request says when it is over; nothing before."""
        fields = "State__c, Outcome__c"
        [row] = self._org.find(
            f"SELECT {fields} FROM Stripe_Invoice_Request__c WHERE Id = '{request}'"
        )
        over = row["State__c"] not in {"Queued", "Running"}
        return f"{row['State__c']}: {row['Outcome__c']}" if over else ""

    def mails(self) -> int:
        """How many e-mails went out."""
        return len(httpx.get(f"{self.stack.urls.stripe}/_sandbox/mail").json()["data"])


@pytest.fixture
def people(shared_stack: Stack) -> Iterator[People]:
    """The stack without one of its schedules: only the listener has anything taken up."""
    prefect = Prefect(shared_stack.urls.prefect_api)
    prefect.pause("watch-salesforce", paused=True)
    yield People(shared_stack)
    prefect.pause("watch-salesforce", paused=False)


def test_a_button_mails_once_and_says_so(people: People) -> None:
    """The request is heard of, carried out, and answered with a sentence."""
    before = people.mails()
    request = people.press_send(people.draft())
    said = eventually(lambda: people.outcome(request), WAIT)
    assert re.match(r"Done: INV-\d+ over 450.00 USD was sent to Acme Corporation", said)
    assert people.mails() == before + 1


@pytest.mark.long
def test_the_listener_is_killed_and_started_again(people: People) -> None:
    """What was asked for meanwhile is done, and nothing twice."""
    before = people.mails()
    asked = [people.press_send(people.draft())]
    os.killpg(people.stack.pid("listener"), signal.SIGKILL)
    asked.append(people.press_send(people.draft()))
    people.stack.start_again("listener")
    asked.append(people.press_send(people.draft()))
    for request in asked:
        said = eventually(lambda request=request: people.outcome(request), WAIT)  # type: ignore[misc]
        assert said.startswith("Done: ")
    assert people.mails() == before + 3

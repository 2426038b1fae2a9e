"""From a button in Salesforce to the customer's mailbox, through every program of the stack."""

import os
import re
import signal
from collections.abc import Iterator

import pytest

from deployments.local.stack import Stack
from deployments.local.waiting import eventually
from invoicing.connectors.prefect import Prefect
from tests.journeys.api_user import SalesforceUsers

WAIT = 120.0


@pytest.fixture
def people(shared_stack: Stack) -> Iterator[SalesforceUsers]:
    """The stack without one of its schedules: only the listener has anything taken up."""
    prefect = Prefect(shared_stack.urls.prefect_api)
    prefect.set_paused("watch-salesforce", paused=True)
    yield SalesforceUsers(shared_stack)
    prefect.set_paused("watch-salesforce", paused=False)


def test_a_button_mails_once_and_says_so(people: SalesforceUsers) -> None:
    """The request is heard of, carried out, and answered with a sentence."""
    before = people.mails()
    request = people.press_send(people.draft())
    said = eventually(lambda: people.outcome(request), WAIT)
    assert re.match(r"Done: INV-\d+ over 450.00 USD was sent to Acme Corporation", said)
    assert people.mails() == before + 1


@pytest.mark.long
def test_the_listener_is_killed_and_started_again(people: SalesforceUsers) -> None:
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

"""From a button in Salesforce to the customer's mailbox, through every program of the stack."""

import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from deployments.local.stack import PORTS, Stack
from deployments.local.waiting import eventually
from tests.people import People

WAIT = 120.0


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """The stack without its schedules: only the listener has anything taken up."""
    free = dict.fromkeys(PORTS, 0)
    with Stack(tmp_path_factory.mktemp("stack"), ports=free) as stack:
        api = httpx.Client(base_url=stack.urls.prefect_api, timeout=60)
        found = api.get("/deployments/name/watch-salesforce/watch-salesforce").json()
        api.patch(f"/deployments/{found['id']}", json={"paused": True}).raise_for_status()
        yield People(stack)


def test_a_button_mails_once_and_says_so(people: People) -> None:
    """The request is heard of, carried out, and answered with a sentence."""
    before = people.mails()
    request = people.press_send(people.draft())
    said = eventually(lambda: people.outcome(request), WAIT)
    assert said.startswith("Done: INV-0001 over 450.00 USD was sent to Acme Corporation")
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

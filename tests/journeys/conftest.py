"""One stack for all journeys that need none of their own, and people at work in front of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import httpx
import pytest
from playwright.sync_api import Browser

from deployments.local.stack import Stack
from tests.journeys.browser_user import WIDTH, Clerk

LIMIT = {"INVOICING_APPROVAL__LIMITS": '{"USD": "10000"}'}
"""What goes out without an approver's word."""


class LogIn(Protocol):
    """Seats somebody in front of a browser."""

    def __call__(self, name: str = "", *permission_sets: str) -> Clerk:
        """Log somebody in.

        Args:
            name: Who; empty for Dana, who raises, sends and approves.
            permission_sets: What they may.
        """


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that make demo starts; sending more than 10,000 USD needs an approver's word."""
    with Stack(tmp_path_factory.mktemp("stack"), settings=LIMIT, pages=True) as running:
        yield running


@pytest.fixture
def log_in(browser: Browser, shared_stack: Stack) -> Iterator[LogIn]:
    """People at work in Salesforce, each in a browser of their own."""
    with ExitStack() as exits:

        def enter(name: str = "", *permission_sets: str) -> Clerk:
            context = browser.new_context(viewport={"width": WIDTH, "height": 800}, locale="en-GB")
            exits.callback(context.close)
            session = session_of(shared_stack, name, permission_sets) if name else ""
            return Clerk(context.new_page(), shared_stack, session)

        yield enter


@pytest.fixture
def dana(log_in: LogIn) -> Clerk:
    """Somebody who raises, sends and approves."""
    return log_in()


def session_of(stack: Stack, name: str, permission_sets: tuple[str, ...]) -> str:
    """Somebody new in the org; the session that they log in with."""
    approves = "Invoice_Approver" in permission_sets
    groups = ["Invoice_Approvers"] if approves else []
    body = {"name": name, "permission_sets": permission_sets, "groups": groups}
    answer = httpx.post(f"{stack.urls.salesforce}/_sandbox/people", json=body)
    return str(answer.raise_for_status().json()["access_token"])

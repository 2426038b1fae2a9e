"""A run: its id, its page in the Prefect UI, its name and the headline before it."""

from textwrap import shorten
from typing import cast
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from invoicing.ledger.leases import owner_of
from invoicing.settings import settings

HEADLINE_LENGTH = 160
"""Characters; more than a run's page shows, as much as a list does."""


def run_id() -> str:
    """The flow run that is under way; it signs intents."""
    return str(flow_run.id or "outside-a-run")


def this_attempt() -> str:
    """This attempt at the run, in this process; it owns leases."""
    return owner_of(run_id(), flow_run.run_count or 0)


def has_tag(tag: str) -> bool:
    """Whether the run was started with a tag."""
    return tag in (flow_run.tags or ())


def run_url(run: str | None = None) -> str | None:
    """URL of a run in the Prefect UI, for the Salesforce record; of this one by default."""
    run = run or flow_run.id
    return ui_page(f"runs/flow-run/{run}") if run else None


def run_in_words(run: str) -> str:
    """A run by its name, which says what came of it once that is known, and its page.

    One that Prefect does not know any more has its id only.
    """
    try:
        with get_client(sync_client=True) as client:
            words = client.read_flow_run(UUID(run)).name
    except (ValueError, httpx.HTTPError, PrefectException):
        words = f"run {run}"
    url = run_url(run)
    return f"{words} ({url})" if url else words


def ui_page(path: str) -> str | None:
    """URL of a page of the Prefect UI, if the settings say where that is."""
    base = settings().prefect_ui_url
    return f"{base.rstrip('/')}/{path}" if base else None


def name_run(name: str) -> None:
    """Give the run the name that people know the matter by; it is written with its headline.

    Written twice, it would cost a crowd's server a request more for each run of a second.
    """
    if context := FlowRunContext.get():
        cast(FlowRun, context.flow_run).name = name


def headline(sentence: str) -> None:
    """Put what there is to say of the run before its name, cut to what a heading holds.

    The name stands in every list of runs and on top of a run's page; a state's message does not.
    It never is a reason for a run to fail.
    """
    try:
        name = with_headline(str(flow_run.name), sentence)
        if flow_run.id:
            with get_client(sync_client=True) as client:
                client.update_flow_run(flow_run.id, name=name)
    except (httpx.HTTPError, PrefectException) as error:
        get_run_logger().warning("The run's name does not say its outcome: %s", error)


def with_headline(name: str, sentence: str) -> str:
    """A run's name behind what there is to say of it."""
    return f"{_before(sentence)}{name}"


def name_without_headline(name: str, sentence: str) -> str:
    """The name that a run had before its outcome was put there."""
    return name.removeprefix(_before(sentence))


def _before(sentence: str) -> str:
    return f"{shorten(sentence, HEADLINE_LENGTH, placeholder=' …')} · "

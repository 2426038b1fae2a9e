"""The page that people open first: what waits, what failed and why, what can be started."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactCollectionFilter,
    ArtifactCollectionFilterKey,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterEndTime,
)
from prefect.client.schemas.objects import ArtifactCollection, FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from invoicing.domain.model import markdown
from invoicing.domain.model.dates import written_moment
from invoicing.domain.model.wording import counted
from invoicing.settings import settings
from tasks.installation.deployed_flows import READ_AT_ONCE, flows, in_state, our_deployments
from tasks.runtime.artifacts import publish_one_page
from tasks.runtime.prompts import HOW_TO_ANSWER
from tasks.runtime.run_name import name_without_headline, run_url, ui_page
from tasks.runtime.step import step

KEY = "overview"
PEOPLE = "people"
"""The tag of what people start."""

FAILURES_SHOWN = timedelta(days=7)

REPORTS = {
    "drift-report": "What differed between Salesforce and Stripe, and what became of it",
    "drift": "The same, invoice by invoice",
    "dead-letters": "Stripe's events that could not be processed",
    "doctor": "Everything that this installation needs",
    "bulk-raise": "The last table of drafts, row by row",
    "link-customer": "The last customers that were linked",
    "reminders": "The last reminders",
}
"""Pages that are about more than one invoice, by their keys."""


class Overview(NamedTuple):
    """What the page shows, in its order."""

    waiting: list[FlowRun]
    failed: list[FlowRun]
    tasks: list[DeploymentResponse]
    reports: list[ArtifactCollection]

    @property
    def sentence(self) -> str:
        """The page in one sentence."""
        waiting, failed = counted(len(self.waiting), "run"), counted(len(self.failed), "run")
        verb = "waits" if len(self.waiting) == 1 else "wait"
        return f"{waiting} {verb} for an answer, {failed} failed in the last seven days."


@step("bring the page up to date")
def update_overview() -> str:
    """Write the page, if it is another one than before; returns it in one sentence."""
    with get_client(sync_client=True) as client:
        overview = _read(client)
    publish_one_page(
        KEY, as_page(overview), "Where to begin: what waits, what failed, what can be started."
    )
    return overview.sentence


def _read(client: SyncPrefectClient) -> Overview:
    """What there is to show of this project's deployments."""
    week = FlowRunFilterEndTime(after_=datetime.now(UTC) - FAILURES_SHOWN)
    failed = FlowRunFilter(state=in_state(StateType.FAILED, StateType.CRASHED), end_time=week)
    for_people = our_deployments(tags=DeploymentFilterTags(all_=[PEOPLE]))
    keys = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=list(REPORTS)))
    return Overview(
        _runs(client, FlowRunFilter(state=in_state(StateType.PAUSED))),
        _runs(client, failed),
        client.read_deployments(deployment_filter=for_people),
        client.read_latest_artifacts(artifact_filter=keys),
    )


def as_page(overview: Overview) -> str:
    """The page, in Markdown."""
    order = flows()
    tasks = sorted(overview.tasks, key=lambda each: order.index(each.name))
    return "\n\n".join(
        [
            "# Overview",
            *_section(
                "Waiting for an answer",
                "Open one; **⋮** at the top right, then **Resume**, is the way to its form.",
                ("what", "since (UTC)", "until (UTC)"),
                map(_waiting_row, overview.waiting),
                "No run waits for anybody.",
            ),
            *_in_salesforce(),
            *_section(
                "Failed in the last seven days",
                "Put right what the reason names, then start it again: nothing is done twice.",
                ("what", "last (UTC)", ">times", "why"),
                _failed_rows(overview.failed),
                "Nothing failed.",
            ),
            *_section(
                "Start something",
                "Each opens its form.",
                ("what", "it does"),
                (
                    (
                        markdown.link(each.name, ui_page(f"deployments/deployment/{each.id}/run")),
                        each.description,
                    )
                    for each in tasks
                ),
                "Nothing is deployed yet.",
            ),
            *_section(
                "Reports",
                "Each is the newest of its kind.",
                ("report", "about", "of (UTC)"),
                (
                    (
                        markdown.link(each.key, ui_page(f"artifacts/artifact/{each.latest_id}")),
                        REPORTS[each.key],
                        _moment(each.updated),
                    )
                    for each in sorted(
                        overview.reports, key=lambda each: [*REPORTS].index(each.key)
                    )
                ),
                "There are none yet.",
            ),
        ]
    )


def _section(
    title: str,
    help_text: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[object, ...]],
    nothing: str,
) -> list[str]:
    shown = list(rows)
    body = [help_text, markdown.table(columns, shown)] if shown else [nothing]
    return [f"## {title}", *body]


def _in_salesforce() -> list[str]:
    """Where to look for what waits without a run."""
    if not settings().approval.in_salesforce:
        return []
    return ["Invoices that approvers decide about are in Salesforce's list *Waiting for approval*."]


def _waiting_row(run: FlowRun) -> tuple[object, ...]:
    state = run.state
    until = state.state_details.pause_timeout if state else None
    question = run.name.removeprefix(HOW_TO_ANSWER).strip()
    return (
        markdown.link(question, run_url(str(run.id))),
        _moment(state.timestamp if state else None),
        _moment(until),
    )


def _failed_rows(runs: Iterable[FlowRun]) -> Iterator[tuple[object, ...]]:
    """One row for what failed in the same way again and again, by its last time."""

    def kind(run: FlowRun) -> tuple[str, str]:
        said = str(run.state.message or "") if run.state else ""
        return name_without_headline(run.name, said), said

    groups = [list(same) for _, same in groupby(sorted(runs, key=kind), key=kind)]
    newest = [(max(group, key=_end), len(group)) for group in groups]
    for run, times in sorted(newest, key=lambda each: _end(each[0]), reverse=True):
        name, said = kind(run)
        yield markdown.link(name, run_url(str(run.id))), _moment(run.end_time), times, said


def _end(run: FlowRun) -> datetime:
    return run.end_time or datetime.min.replace(tzinfo=UTC)


def _runs(client: SyncPrefectClient, which: FlowRunFilter) -> list[FlowRun]:
    return client.read_flow_runs(
        deployment_filter=our_deployments(),
        flow_run_filter=which,
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=READ_AT_ONCE,
    )


def _moment(moment: datetime | None) -> str:
    return written_moment(moment.astimezone(UTC)) if moment else ""

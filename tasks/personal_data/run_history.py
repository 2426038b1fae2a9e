"""What Prefect keeps: runs with their parameters and sentences, logs, pages, and files of results.

Its events, a week of them, are the server's alone: nobody can delete one.
"""

import json
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from more_itertools import chunked
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import TERMINAL_STATES, Artifact, FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.filesystems import LocalFileSystem
from prefect.results import get_default_result_storage

from invoicing.domain.model.mentions import Mentions
from tasks.installation.deployed_flows import (
    READ_AT_ONCE,
    in_state,
    our_deployments,
    read_all,
    runs_of,
)
from tasks.installation.overview import KEY as OVERVIEW
from tasks.installation.overview import PEOPLE
from tasks.personal_data import file_deletion
from tasks.personal_data.known_as import KnownAs

BEGUN_AGAIN_WITHIN = timedelta(hours=1)

BULK = 50
"""The most runs that the server deletes at once."""

ERASE = "erase-customer"
"""The flow whose runs stay, but for those that were refused: they name an id, and prove that the
customer was erased."""


@dataclass(frozen=True, slots=True)
class History:
    """The runs that are about a customer, by their flows, and pages of runs that name it."""

    flows: dict[UUID, str]
    runs: list[FlowRun]
    pages: list[Artifact]

    @property
    def unfinished(self) -> list[str]:
        """What is under way, each a sentence that names nobody."""
        return [
            f"A run of {self.flows[run.id]} is not over yet ({run.state_name}): {run.id}."
            for run in self.runs
            if not _is_over(run)
        ]


def find(client: SyncPrefectClient, known: KnownAs) -> History:
    """Everything in our deployments' history that is about a customer.

    A run is if the ledger names it in a row of the customer's, or if people started it and its
    name, parameters or outcome mention the customer. Of any run's pages, those are that do.
    """
    deployed = client.read_deployments(deployment_filter=our_deployments())
    deployments: dict[Any, Any] = {each.id: each for each in deployed}
    ours, people = list(deployments), [i for i, d in deployments.items() if PEOPLE in d.tags]
    named = [UUID(run) for run in sorted(known.runs) if _is_id(run)]
    runs = {
        run.id: run
        for some in chunked(named, READ_AT_ONCE)
        for run in client.read_flow_runs(
            flow_run_filter=runs_of(ours, id=FlowRunFilterId(any_=some)), limit=READ_AT_ONCE
        )
    }
    runs |= {
        run.id: run
        for run in read_all(client.read_flow_runs, flow_run_filter=runs_of(people))
        if known.mentions.about(_texts(run)) is not None
    }
    flows = {run.id: deployments[run.deployment_id].name for run in runs.values()}
    found = [
        run for run in runs.values() if flows[run.id] != ERASE or run.state_type is StateType.FAILED
    ]
    pages = [
        page
        for page in read_all(client.read_artifacts, flow_run_filter=runs_of(ours))
        if page.key != OVERVIEW and known.mentions.about(_data(page)) is not None
    ]
    return History(flows, found, pages)


def as_json(client: SyncPrefectClient, history: History, mentions: Mentions) -> dict[str, Any]:
    """What of runs, logs and pages is about a customer, and about nobody else."""
    return {
        "runs": [
            {"id": str(run.id), "flow": history.flows[run.id], "began": run.start_time}
            | {"told": mentions.about(_texts(run)), "log": _log(client, run, mentions)}
            for run in history.runs
        ],
        "pages": [
            {"key": page.key, "written": page.created, "told": mentions.about(_data(page))}
            for page in history.pages
        ],
    }


def delete(client: SyncPrefectClient, history: History) -> None:
    """Delete runs, with all that belongs to them, and single pages of others."""
    for page in history.pages:
        _delete_page(client, page)
    for some in chunked(history.runs, BULK):
        these = FlowRunFilter(id=FlowRunFilterId(any_=[run.id for run in some]))
        _delete_runs(client, these)


def delete_results(mentions: Mentions) -> int:
    """Delete the files of results that mention somebody; returns how many.

    They are found by what they hold: Prefect lists the steps of runs, and so their results, from
    events, which may have been lost.
    """
    return file_deletion.delete_where(
        _result_files(), lambda file: mentions.in_text(_held(file.read_bytes()))
    )


def delete_older(client: SyncPrefectClient, end: datetime) -> int:
    """Delete our deployments' runs that ended before an instant, with logs, pages and results.

    Returns:
        Number of runs.
    """
    ours = [each.id for each in client.read_deployments(deployment_filter=our_deployments())]
    _delete_old_results(client, ours, end)
    ended = FlowRunFilterEndTime(before_=end)
    return _delete_runs(client, runs_of(ours, state=in_state(*TERMINAL_STATES), end_time=ended))


def _log(client: SyncPrefectClient, run: FlowRun, mentions: Mentions) -> list[str]:
    its = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
    lines = read_all(client.read_logs, log_filter=its)
    return [mine for line in lines if (mine := mentions.about(line.message))]


def _texts(run: FlowRun) -> dict[str, Any]:
    said = run.state.message if run.state else None
    return {"name": run.name, "outcome": said, "parameters": run.parameters}


def _data(page: Artifact) -> Any:
    return json.loads(str(page.data)) if page.type == "table" else page.data


def _is_over(run: FlowRun) -> bool:
    """Whether a run has ended for good: one that crashed just now is about to be begun again."""
    long_ago = run.end_time and run.end_time < datetime.now(UTC) - BEGUN_AGAIN_WITHIN
    if run.state_type is StateType.CRASHED:
        return bool(long_ago)
    return run.state_type in TERMINAL_STATES


def _is_id(run: str) -> bool:
    with suppress(ValueError):
        return bool(UUID(run))
    return False


def _delete_runs(client: SyncPrefectClient, which: FlowRunFilter) -> int:
    """Delete ended runs, after their pages, which would stay; Prefect deletes their logs itself."""
    while pages := [
        page
        for page in client.read_artifacts(flow_run_filter=which, limit=READ_AT_ONCE)
        if page.key != OVERVIEW
    ]:
        for page in pages:
            _delete_page(client, page)
    path: Any = "/flow_runs/bulk_delete"  # the client does not name it
    body = {"flow_runs": which.model_dump(mode="json", exclude_unset=True), "limit": BULK}
    deleted = 0
    while some := client.request("POST", path, json=body).json()["deleted"]:
        deleted += len(some)
    return deleted


def _delete_page(client: SyncPrefectClient, page: Artifact) -> None:
    with suppress(ObjectNotFound):
        client.delete_artifact(page.id)


def _delete_old_results(client: SyncPrefectClient, ours: list[UUID], end: datetime) -> None:
    """Delete old files of results, but none that a run which goes on may still want."""
    going_on = FlowRunFilterStateType(not_any_=sorted(TERMINAL_STATES))
    living = read_all(
        client.read_flow_runs,
        flow_run_filter=runs_of(ours, state=FlowRunFilterState(type=going_on)),
    )
    begun = min([end, *(run.start_time for run in living if run.start_time)])
    file_deletion.delete_older(_result_files(), begun)


def _result_files() -> list[Path]:
    """Files of results on this machine; none where a block of Prefect's keeps them elsewhere."""
    storage = get_default_result_storage()
    if not isinstance(storage, LocalFileSystem) or not storage.basepath:
        return []
    folder = Path(storage.basepath).expanduser()
    return [path for path in folder.rglob("*") if path.is_file()]


def _held(file: bytes) -> str:
    """The texts in a file of a result: of a flow its object, of a step a record that has it.

    Objects are pickled, in which texts stand as they are, and then written in base64.
    """
    result = json.loads(file)["result"].encode() if file.startswith(b"{") else file
    with suppress(ValueError):
        result = b64decode(b"".join(result.split()), validate=True)
    return result.decode(errors="replace")

"""Count the runs that are over, in the ledger, where all receivers find them."""

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilterEndTime
from prefect.client.schemas.objects import TERMINAL_STATES

from invoicing.ledger import run_durations, stream_positions
from invoicing.ledger.run_durations import EndedRun
from tasks.installation.deployed_flows import (
    flows,
    in_state,
    our_deployments,
    read_all,
    runs_of,
)
from tasks.runtime.step import step

COUNTED_AFTER = timedelta(minutes=2)
"""So long after its end a run is counted: what has crashed was begun again by then."""


@step("count the runs that are over")
def count_runs() -> None:
    """Count what ended since the last time; nothing of what was before the first."""
    since, until = stream_positions.cursor(run_durations.CURSOR), datetime.now(UTC) - COUNTED_AFTER
    run_durations.count(_ended(since, until) if since else [], flows(), since, until)


def _ended(since: datetime, until: datetime) -> list[EndedRun]:
    """Our deployments' runs that ended from one instant on and before another."""
    with get_client(sync_client=True) as client:
        ours = client.read_deployments(deployment_filter=our_deployments())
        names = {each.id: each.name for each in ours}
        over = runs_of(
            list(names),
            state=in_state(*TERMINAL_STATES),
            end_time=FlowRunFilterEndTime(after_=since, before_=until),
        )
        found = {run.id: run for run in read_all(client.read_flow_runs, flow_run_filter=over)}
    return [
        EndedRun(
            names[run.deployment_id],
            run.state_type.value.lower(),
            run.total_run_time.total_seconds(),
        )
        for run in found.values()
        if run.deployment_id in names and run.state_type and run.end_time and run.end_time < until
    ]

"""Read a part of what a full sync has to read, beside the run that does the sync."""

from prefect import flow

from invoicing.domain.forms.parameters import Outcome
from invoicing.domain.model.text import counted
from tasks.full_sync.staging import read_along
from tasks.records.locks import check_world
from tasks.runtime.retries import SIDE_BY_SIDE, answering


@flow(
    name="read-windows",
    flow_run_name="read windows",
    task_runner=SIDE_BY_SIDE,
    persist_result=True,
)
@answering
def read_windows() -> Outcome:
    """Help the full sync that is under way: take windows of time until none is left.

    Started by full-sync itself when it is to be done by several workers. It shares windows and
    the budget of calls with all other readers through the ledger; with nothing to read it ends
    at once, and killed anywhere, its windows are read by another.
    """
    check_world()
    return Outcome(sentence=f"{counted(read_along(), 'invoice')} read here.")

"""Settle the events that wait in the inbox."""

from prefect import flow

from invoicing.domain.forms.parameters import Outcome
from tasks.events.inbox import drain, summary
from tasks.records.locks import check_world
from tasks.runtime.retries import SIDE_BY_SIDE, answering


@flow(
    name="handle-events",
    flow_run_name="handle events",
    task_runner=SIDE_BY_SIDE,
    persist_result=True,
)
@answering
def handle_events() -> Outcome:
    """Settle all events in the inbox: one re-read and one write per touched invoice.

    The receiver starts it when an event comes in; a schedule sweeps up the rest.
    """
    check_world()
    changes = drain()
    return Outcome(sentence=summary(changes))

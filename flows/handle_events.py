"""Process the events that wait in the inbox."""

from invoicing.domain.forms.outcomes import Outcome
from tasks.events.event_processing import drain, summary
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.step import CONCURRENT


@invoicing_flow("handle events", task_runner=CONCURRENT)
def handle_events() -> Outcome:
    """Process all events in the inbox: one re-read and one write per touched invoice.

    The receiver starts it when an event comes in; a schedule sweeps up the rest.
    """
    verify_environment()
    changes = drain()
    return Outcome(sentence=summary(changes))

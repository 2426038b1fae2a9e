"""Fetch events from Stripe, so that nothing depends on a public URL."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from invoicing.domain.forms.outcomes import Outcome
from tasks.events.event_fetching import close_gap, fetch_events
from tasks.events.event_processing import drain, summary
from tasks.records.environment_check import verify_environment
from tasks.records.record_writer import complete_timelines
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.step import CONCURRENT


@invoicing_flow("poll events", task_runner=CONCURRENT)
def poll_events(lookback_hours: Annotated[int, Field(ge=1, le=720)] = 24) -> Outcome:
    """Fetch the events that no webhook brought, and process them.

    If nothing was fetched for so long that Stripe may have dropped events, a full sync is
    started, and the run ends in alarm.

    Args:
        lookback_hours: How many hours to go back the first time; later runs go on from
            where the last one ended. Stripe keeps events for 30 days.
    """
    verify_environment()
    fetched = fetch_events(timedelta(hours=lookback_hours))
    changes = drain()
    complete_timelines()
    close_gap(fetched)
    return Outcome(sentence=f"{fetched.sentence} {summary(changes)}")

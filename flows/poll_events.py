"""Fetch events from Stripe, so that nothing depends on a public URL."""

from datetime import timedelta
from typing import Annotated

from prefect import flow
from pydantic import Field

from invoicing.domain.forms import Outcome
from invoicing.domain.words import counted
from tasks.events import drain, fetch_events, summary
from tasks.ledger import check_world
from tasks.policy import answering


@flow(name="poll-events", flow_run_name="poll events", persist_result=True)
@answering
def poll_events(
    lookback_hours: Annotated[int, Field(ge=1, le=720)] = 24,
) -> Outcome:
    """Fetch the events that no webhook brought, and settle them.

    Args:
        lookback_hours: How many hours to go back the first time; later runs go on from
            where the last one ended. Stripe keeps events for 30 days.
    """
    check_world()
    seen, new = fetch_events(timedelta(hours=lookback_hours))
    changes = drain()
    listed = f"Stripe listed {counted(seen, 'event')}, {new:,} of them new."
    return Outcome(sentence=f"{listed} {summary(changes)}")

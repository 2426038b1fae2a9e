"""Handle chosen events again, dead letters above all."""

from typing import Annotated, Literal

from pydantic import Field

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.forms.parameters import OptionalMoment
from invoicing.domain.model.wording import counted
from invoicing.ledger.inbox import EventFilter
from tasks.events.dead_letter_report import publish_dead_letters
from tasks.events.event_processing import drain, replay, summary
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.step import CONCURRENT

State = Literal["received", "done", "failed", "dead"]


@invoicing_flow("replay events", task_runner=CONCURRENT)
def replay_events(
    states: list[State] = ["dead"],  # noqa: B006
    event_ids: list[str] = [],  # noqa: B006
    types: Annotated[list[str], Field(examples=[["invoice.paid"]])] = [],  # noqa: B006
    invoice: Annotated[str, Field(pattern=r"^(in_\w+)?$")] = "",
    since: OptionalMoment = None,
    until: OptionalMoment = None,
) -> Outcome:
    """Handle chosen events of the inbox again, as if they had just come in.

    Replaying is harmless: each event only makes us look at its invoice once more.

    Args:
        states: What has become of the events so far; none chosen: whatever it was.
        event_ids: Stripe's ids of the events; empty for any.
        types: Types of events, such as invoice.paid; empty for any.
        invoice: Only events about this Stripe invoice (in_…); empty for any.
        since: Only events that happened at or after this moment.
        until: Only events that happened until this moment.
    """
    verify_environment()
    chosen = replay(EventFilter(event_ids, types, states, invoice or None, since, until))
    changes = drain()
    left = publish_dead_letters()
    return Outcome(
        sentence=f"{counted(chosen, 'event')} handled again. {summary(changes)} "
        f"{counted(left, 'dead letter')} left."
    )

"""The listener: whether it can listen, and whether it does."""

from datetime import UTC, datetime, timedelta

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce.pubsub import SILENCE_SECONDS, may_subscribe
from invoicing.doctor.checks import Check, Untold, Wrong, found_as
from invoicing.doctor.ledger_checks import LEDGER
from invoicing.doctor.salesforce_checks import LOGIN
from invoicing.domain.model.wording import counted
from invoicing.errors import TransientError
from invoicing.ledger import stream_positions
from invoicing.settings import settings

LATE_AFTER = 2 * timedelta(seconds=SILENCE_SECONDS)
"""A listener hears a sign of life within one silence, and writes down that it did."""

EVENTS_KEPT = timedelta(hours=72)
"""For so long Salesforce keeps events: Pub/Sub API guide, "Event Message Durability"."""

START = (
    "Start python -m invoicing.listener under a supervisor; its log says what it lacks, and it is "
    f"heard of within {SILENCE_SECONDS / 60:.0f} minutes."
)


def listener_checks() -> list[Check]:
    """The channel, and who listens to it."""
    return [
        Check(
            "Listener",
            "event channel",
            _channel,
            "Deploy deployments/salesforce, and assign Invoice Integration to the user.",
            LOGIN,
        ),
        Check("Listener", "listener", _listening, START, LEDGER),
    ]


def _channel() -> str:
    ours = settings().salesforce
    reach = f"Let whoever listens reach {ours.pubsub_url}; this was asked from this machine."
    with found_as(Untold, TransientError, remedy=reach):
        allowed = may_subscribe(
            ours.pubsub_url, salesforce.client().session(), ours.request_channel
        )
    if not allowed:
        raise Wrong(f"The integration user may not subscribe to {ours.request_channel}.")
    return f"{ours.request_channel} is there, and the integration user may subscribe."


def _listening() -> str:
    heard = stream_positions.heard_at(settings().salesforce.request_stream)
    if heard is None:
        raise Untold(
            "No listener has heard anything yet: what people ask for in Salesforce is taken up "
            "once a minute.",
            START,
        )
    silent = datetime.now(UTC) - heard
    minutes = silent.total_seconds() / 60
    if silent > EVENTS_KEPT:
        raise Wrong(
            f"It has heard nothing for {silent.days} days. Salesforce keeps events for three; what "
            "is older is taken up all the same, once a minute."
        )
    if silent > LATE_AFTER:
        raise Wrong(
            f"It has heard nothing for {minutes:.0f} minutes: requests are taken up once a minute."
        )
    return (
        f"It heard something {counted(round(minutes), 'minute')} ago; it is missed after "
        f"{LATE_AFTER.total_seconds() / 60:.0f}."
    )

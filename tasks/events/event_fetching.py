"""Fetch the events that no webhook brought, and have everything compared where some may be lost."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from more_itertools import chunked
from prefect.logging import get_run_logger

from invoicing.connectors import prefect, stripe
from invoicing.domain.model.dates import written
from invoicing.domain.model.wording import counted
from invoicing.domain.stripe.event_parsing import (
    HANDLED_TYPES,
    parse_event,
)
from invoicing.errors import EventsMissed
from invoicing.ledger import inbox, stream_positions
from invoicing.settings import settings
from tasks.runtime.step import step

OVERLAP = timedelta(minutes=5)


PAGE_SIZE = 200
"""Events written down in one transaction."""


MAX_CURSOR_AGE = timedelta(days=25)
"""Age of the cursor past which events may be lost before they are fetched."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """Outcome of a fetch of events, in one sentence; and whether some since then may be lost."""

    sentence: str
    since: datetime
    gap: bool


@step("fetch events from Stripe")
def fetch_events(lookback: timedelta) -> FetchResult:
    """Put every event since the last fetch into the inbox.

    Reads five minutes further back than the cursor, because events become visible late and
    out of order; what is in the inbox already is skipped.

    Args:
        lookback: How far to go back when there is no cursor yet.
    """
    account = settings().stripe.account_id
    name = f"events:{account}"
    began = datetime.now(UTC)
    cursor = stream_positions.cursor(name)
    since = (cursor or began - lookback) - OVERLAP
    seen = new = 0
    latest = began - OVERLAP
    for page in chunked(stripe.client().events(since=since, types=HANDLED_TYPES), PAGE_SIZE):
        rows = []
        for found in page:
            event = parse_event(found)
            latest = max(latest, event.occurred_at)
            body = orjson.dumps(found, default=str).decode()
            rows.append(inbox.new_event(event, body, account_id=account, source="poll"))
        seen += len(rows)
        new += inbox.receive(rows)
    gap = cursor is not None and began - cursor > MAX_CURSOR_AGE
    if not gap:
        stream_positions.move_cursor(name, latest)
    sentence = f"Stripe listed {counted(seen, 'event')}, {new:,} of them new."
    get_run_logger().info(sentence)
    return FetchResult(sentence, since, gap)


@step("check for missed events")
def close_gap(fetched: FetchResult) -> None:
    """Where events may have been dropped by Stripe, have everything compared, and say so.

    Stripe keeps events for 30 days; past 25 without a fetch, a full sync is started, once
    for each gap, and only then does the cursor move on.

    Raises:
        EventsMissed: after the full sync was started.
    """
    if not fetched.gap:
        return
    account = settings().stripe.account_id
    server = prefect.client()
    run = server.start("full-sync", {}, f"gap-{account}-{fetched.since.isoformat()}")
    stream_positions.move_cursor(f"events:{account}", datetime.now(UTC) - OVERLAP)
    raise EventsMissed(
        f"No events were fetched since {written(fetched.since)}, and Stripe keeps them for 30 "
        f"days only: some may be lost. A full sync was started to put everything right ({run})."
    )

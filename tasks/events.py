"""Steps on events: fetch them, claim them, settle what they are about."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

import orjson
from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.connectors.prefect import Prefect
from invoicing.domain.events import (
    HANDLED,
    beyond_the_invoice,
    invoice_snapshot,
    read_event,
)
from invoicing.domain.projection import project
from invoicing.domain.status import Status
from invoicing.domain.words import counted
from invoicing.errors import EventsMissed, Passing
from invoicing.ledger import inbox, links
from invoicing.ledger.inbox import Choice
from invoicing.ledger.models import Event, InvoiceLink
from invoicing.settings import STRIPE_API_VERSION, settings
from tasks.policy import BRIEFLY, STEP
from tasks.projection import Change, refresh
from tasks.report import publish_table, run_id
from tasks.salesforce import today
from tasks.subjects import name_invoices, note_customers

BATCH = 800
"""Events that a handler takes at a time."""

LANES = 4
"""Shares of a batch that are settled side by side."""

OVERLAP = timedelta(minutes=5)
PAGE = 200
"""Events written down in one transaction."""

GAP = timedelta(days=25)
"""Age of the cursor past which events may be lost before they are fetched."""


T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut a stream into lists of at most a size."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch of events came to."""

    seen: int
    new: int
    since: datetime
    gap: bool

    @property
    def sentence(self) -> str:
        """What was fetched, for people."""
        return f"Stripe listed {counted(self.seen, 'event')}, {self.new:,} of them new."


@task(task_run_name="fetch events from Stripe", **STEP)
def fetch_events(lookback: timedelta) -> Fetched:
    """Put every event since the last fetch into the inbox.

    Reads five minutes further back than the cursor, because events become visible late and
    out of order; what is in the inbox already is skipped.

    Args:
        lookback: How far to go back when there is no cursor yet.
    """
    account = settings().stripe.account_id
    name = f"events:{account}"
    began = datetime.now(UTC)
    cursor = inbox.cursor(name)
    since = (cursor or began - lookback) - OVERLAP
    seen = new = 0
    latest = began - OVERLAP
    for page in batched(stripe.client().events(since=since, types=HANDLED), PAGE):
        rows = []
        for found in page:
            news = read_event(found)
            latest = max(latest, news.occurred_at)
            body = orjson.dumps(found, default=str).decode()
            rows.append(inbox.written_down(news, body, account_id=account, source="poll"))
        seen += len(rows)
        new += inbox.receive(rows)
    gap = cursor is not None and began - cursor > GAP
    fetched = Fetched(seen, new, since, gap)
    if not gap:
        inbox.move_cursor(name, latest)
    get_run_logger().info(fetched.sentence)
    return fetched


@task(task_run_name="make sure that nothing was missed", **STEP)
def close_gap(fetched: Fetched) -> None:
    """Where events may have been dropped by Stripe, have everything compared, and say so.

    Stripe keeps events for 30 days; past 25 without a fetch, a full sync is started, once
    for each gap, and only then does the cursor move on.

    Raises:
        EventsMissed: after the full sync was started.
    """
    if not fetched.gap:
        return
    account = settings().stripe.account_id
    server = Prefect(settings().prefect_api_url, settings().prefect_api_auth)
    run = server.start("full-sync", {}, f"gap-{account}-{fetched.since.isoformat()}")
    inbox.move_cursor(f"events:{account}", datetime.now(UTC) - OVERLAP)
    raise EventsMissed(
        f"No events were fetched since {fetched.since:%Y-%m-%d}, and Stripe keeps them for 30 "
        f"days only: some may be lost. A full sync was started to put everything right ({run})."
    )


def drain() -> list[Change]:
    """Settle all events that wait, customers side by side, and publish what moved."""
    changes: list[Change] = []
    account = settings().stripe.account_id
    while events := inbox.claim(run_id(), account_id=account, limit=BATCH):
        for settled in settle.map(_by_lane(events)).result():
            changes += settled
    if changes:
        publish_table(
            "invoices-moved",
            [
                {
                    "Invoice": change.name or change.stripe_id,
                    "Account": change.account,
                    "What happened": change.sentence,
                    "Stripe": change.stripe_id,
                }
                for change in changes
            ],
            "Invoices that events were about, and what came of each.",
        )
    if any(change.problem for change in changes):
        publish_dead_letters()
    return changes


def _by_lane(events: Sequence[Event]) -> list[list[Event]]:
    """Share events out, all of one customer's together and in order.

    Some events name their invoice and not its customer; they go where the invoice goes.
    """
    customers = {e.invoice_id: e.lane for e in events if e.invoice_id and e.lane != e.invoice_id}
    lanes: dict[str, list[Event]] = {}
    for event in events:
        lanes.setdefault(customers.get(event.invoice_id or "", event.lane), []).append(event)
    shares: list[list[Event]] = [[] for _ in range(min(LANES, len(lanes)))]
    for lane in sorted(lanes.values(), key=len, reverse=True):
        min(shares, key=len).extend(lane)
    return shares


def publish_dead_letters() -> int:
    """Attach the list of events that nobody will try again by themselves; returns how many."""
    dead = inbox.dead_letters(settings().stripe.account_id)
    if dead:
        publish_table(
            "dead-letters",
            [
                {
                    "Event": event.event_id,
                    "Type": event.type,
                    "Invoice": event.invoice_id,
                    "Happened": f"{event.occurred_at:%Y-%m-%d %H:%M:%S} UTC",
                    "Tries": event.attempts,
                    "Reason": event.reason,
                }
                for event in dead
            ],
            "Events that could not be settled; put right what they name, then replay them.",
        )
    return len(dead)


@task(task_run_name="choose events to replay", **STEP)
def replay(choice: Choice) -> int:
    """Let the chosen events be handled anew; returns how many."""
    return inbox.replay(settings().stripe.account_id, choice)


@task(task_run_name="forget old bodies", **STEP)
def forget_old_bodies() -> None:
    """Drop the bodies of settled events whose time is over; their digests stay."""
    kept = timedelta(days=settings().ledger.event_body_days)
    inbox.forget_bodies(datetime.now(UTC) - kept)


def summary(changes: Sequence[Change]) -> str:
    """What came of some events, in one sentence."""
    moved = [change for change in changes if change.moved or change.created]
    wrong = [change for change in changes if change.problem]
    if not changes:
        return "Nothing was waiting."
    parts = [f"{counted(len(changes), 'invoice')} looked at, {len(moved):,} changed"]
    parts += [change.sentence.rstrip(".") for change in moved[:3]]
    parts += [f"{len(wrong)} could not be settled: {wrong[0].sentence}"] if wrong else []
    return "; ".join(parts).rstrip(".") + "."


@task(task_run_name="settle a batch of events", **STEP)
def settle(events: Sequence[Event]) -> list[Change]:
    """Refresh each invoice that some events are about, once, however many name it."""
    by_invoice: dict[str | None, list[Event]] = {}
    for event in name_invoices(note_customers(events)):
        by_invoice.setdefault(event.invoice_id, []).append(event)
    old = by_invoice.pop(None, [])
    known = links.invoice_links(filter(None, by_invoice))
    news = {}
    for invoice_id, about in by_invoice.items():
        if invoice_id and not all(_is_old_news(event, known.get(invoice_id)) for event in about):
            news[invoice_id] = about
        else:
            old += about
    inbox.finish(_ids(old), run_id())
    get_run_logger().info(
        "%s: %s to look at, %s old news.",
        counted(len(events), "event"),
        counted(len(news), "invoice"),
        len(old),
    )
    deep = {id_ for id_, about in news.items() if any(beyond_the_invoice(e.type) for e in about)}
    changes: list[Change] = []
    for change in _refreshed(list(news), deep):
        settled = _insist(change, deep) if change.passing else change
        ids = _ids(news[change.stripe_id])
        if settled.problem:
            inbox.fail(ids, run_id(), settled.problem, for_good=not settled.passing)
        else:
            inbox.finish(ids, run_id())
        changes.append(settled)
    return changes


def _ids(events: Sequence[Event]) -> list[int]:
    return [event.id for event in events if event.id is not None]


def _is_old_news(event: Event, link: InvoiceLink | None) -> bool:
    """Whether an event only says what Salesforce was told already, mostly by our own writes.

    Its snapshot is what was written last, or it is of the draft of an invoice that has left
    that state for good. What somebody asked to replay is looked at in any case.
    """
    if link is None or link.digest is None or event.replayed or not event.body:
        return False
    if beyond_the_invoice(event.type):
        return False
    snapshot = invoice_snapshot(orjson.loads(event.body), STRIPE_API_VERSION)
    if snapshot is None or event.type == "invoice.deleted":
        return False
    then = project(snapshot, today=today(), zone=settings().business.zone)
    return then.digest == link.digest or (
        then.status is Status.DRAFT and link.status not in (None, Status.DRAFT)
    )


def _refreshed(stripe_ids: Sequence[str], look_into: Collection[str]) -> list[Change]:
    try:
        brief = refresh.with_options(retries=BRIEFLY)
        return brief(stripe_ids, look_into=look_into) if stripe_ids else []
    except Passing as error:
        return [Change(id_, problem=str(error), passing=True) for id_ in stripe_ids]


def _insist(change: Change, look_into: Collection[str]) -> Change:
    """Try one invoice again with patience, when its batch found it busy."""
    [again] = _refreshed([change.stripe_id], look_into)
    return again

"""The inbox: every event is written down before anything is done about it.

Nothing here reads the events that are done, except to replay them: there may be millions.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from more_itertools import chunked, map_reduce
from sqlalchemy import ColumnElement, func, text, update
from sqlmodel import Session, col, or_, select

from invoicing.domain.stripe.event_parsing import EventSummary, concerns_payments
from invoicing.ledger.database import (
    add_up,
    execute,
    insert_new,
    one_at_a_time,
    read_all,
    read_first,
    session,
)
from invoicing.ledger.models import (
    PROCESSED_WITH_BODY,
    PROCESSING,
    UNPROCESSED,
    Event,
    EventState,
    ProcessingTime,
)
from invoicing.ledger.stream_positions import cursor, move_cursor

MAX_ATTEMPTS = 8
"""Handlers that may die of an event, one after another."""

MAX_FAILURES = 24
"""Tries of an event before it waits for a person: three and a half days, with waits as below."""

LEASE_SECONDS = 30
"""How long a handler's events are its own after its last heartbeat."""

FIRST_WAIT_SECONDS = 5
"""Doubled with each failure, up to :data:`LONGEST_WAIT`."""

LONGEST_WAIT = timedelta(hours=6)

BUCKETS = ("0.5", "1", "2", "5", "10", "30", "60", "300", "1800", "7200", "86400", "+Inf")
"""Buckets of the processing times: upper bounds in seconds, as Prometheus spells them."""


NewEvent = Mapping[str, Any]
"""An inbox row to be: a mapping, because an :class:`Event` costs ten times as much to make."""


def new_event(event: EventSummary, body: str, *, account_id: str, source: str) -> NewEvent:
    """The inbox row of an event; ``source`` is webhook or poll."""
    return {
        "account_id": account_id,
        "event_id": event.event_id,
        "type": event.type,
        "object_id": event.object_id,
        "invoice_id": event.invoice_id,
        "lane": event.customer_id or event.invoice_id or event.event_id,
        "livemode": event.livemode,
        "occurred_at": event.occurred_at,
        "received_at": datetime.now(UTC),
        "source": source,
        "body": body,
        "digest": hashlib.sha256(body.encode()).hexdigest(),
        "state": EventState.RECEIVED,
        "attempts": 0,
        "failures": 0,
        "replayed": False,
    }


def receive(events: Sequence[NewEvent]) -> int:
    """Write events down durably, once each, and return how many were new.

    In the order of their ids, whatever order they came in: two receivers that insert the same
    two events the other way round would wait for each other.
    """
    in_order = sorted(events, key=itemgetter("account_id", "event_id"))
    return insert_new(Event, in_order) if in_order else 0


def claim(owner: str, *, account_id: str, limit: int) -> list[Event]:
    """Take the oldest events that wait, for one handler alone.

    Events of a customer with whom another handler is busy stay where they are, so that each
    customer's events are processed in order. What a handler took is taken over once its
    heartbeats cease, and at once when its run is begun again; what was claimed too often, by
    handlers that died of it, is dead.

    Args:
        owner: The attempt at a run; what precedes ``#`` names the run.
        account_id: The Stripe account.
        limit: The most to take.
    """
    now = datetime.now(UTC)
    of_this_run = col(Event.owner).startswith(f"{owner.partition('#')[0]}#", autoescape=True)
    mine = of_this_run | (col(Event.owner) == owner)
    free = or_(col(Event.lease_expires_at).is_(None), col(Event.lease_expires_at) < now)
    busy = select(Event.lane).where(text(PROCESSING), Event.account_id == account_id, ~free, ~mine)
    again = (col(Event.state) == EventState.PROCESSING) & mine
    query = (
        select(Event)
        .where(
            text(UNPROCESSED),
            Event.account_id == account_id,
            col(Event.state) != EventState.DEAD,
            free | again,
            col(Event.lane).not_in(busy),
        )
        .order_by(col(Event.id))
        .limit(limit)
    )
    with session() as ledger:
        one_at_a_time(ledger, "claim events")
        events = list(ledger.exec(query))
        for event in events:
            event.owner = owner
            event.attempts += 1
            event.state = EventState.PROCESSING
            event.lease_expires_at = now + timedelta(seconds=LEASE_SECONDS)
            if event.attempts > MAX_ATTEMPTS:
                event.state, event.lease_expires_at, event.done_at = EventState.DEAD, None, now
                event.reason = f"{MAX_ATTEMPTS} handlers died of it."
        return [event for event in events if event.state is EventState.PROCESSING]


def heartbeat(owner: str) -> None:
    """Send a heartbeat: what a handler claimed stays its own for another while."""
    _change_claimed(owner, lease_expires_at=datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS))


def release(owner: str) -> None:
    """Let others take at once what a handler claimed and did not process."""
    _change_claimed(owner, state=EventState.RECEIVED, lease_expires_at=None)


def _change_claimed(owner: str, **values: Any) -> None:
    execute(update(Event).where(text(PROCESSING), col(Event.owner) == owner).values(**values))


def finish(ids: Iterable[int], owner: str) -> None:
    """Mark events as done, and count how long they took since they came in."""
    now = datetime.now(UTC)
    change = (
        update(Event)
        .where(
            col(Event.id).in_(list(ids)),
            col(Event.owner) == owner,
            col(Event.state) == EventState.PROCESSING,
        )
        .values(state=EventState.DONE, done_at=now, reason=None, lease_expires_at=None)
        .returning(col(Event.received_at), col(Event.replayed))
    )
    with session() as ledger:
        processed = ledger.execute(change).all()
        _count(
            ledger,
            [(now - received).total_seconds() for received, replayed in processed if not replayed],
        )


def _count(ledger: Session, took: Sequence[float]) -> None:
    """Add processing times to their buckets, always in the same order, lest two wait in a ring."""
    buckets = map_reduce(
        sorted(took), lambda seconds: next(one for one in BUCKETS if seconds <= float(one))
    )
    rows = [
        ProcessingTime(within=within, events=len(these), seconds=sum(these))
        for within, these in buckets.items()
    ]
    add_up(ledger, rows, ["events", "seconds"])


def objects_of(types: Sequence[str]) -> set[str]:
    """The ids of all objects that events of some types were about; reads the whole inbox."""
    query = select(col(Event.object_id)).where(col(Event.type).in_(types)).distinct()
    return {object_id for object_id in read_all(query) if object_id}


def name_invoice(event: int, invoice_id: str) -> None:
    """Write down which invoice an event turned out to be about."""
    execute(update(Event).where(col(Event.id) == event).values(invoice_id=invoice_id))


def fail(ids: Iterable[int], owner: str, reason: str, *, for_good: bool) -> None:
    """Mark events as failed, to be tried again later, or as dead letters.

    Each try waits longer, 10 s, 20 s, 40 s …, and in the end a quarter of a day: what is in the
    way may stay for days, such as an approval or a limit that is used up.
    """
    now = datetime.now(UTC)
    query = select(Event).where(col(Event.id).in_(list(ids)), Event.owner == owner)
    with session() as ledger:
        for event in ledger.exec(query):
            event.failures, event.attempts = event.failures + 1, 0
            dead = for_good or event.failures >= MAX_FAILURES
            wait = min(timedelta(seconds=FIRST_WAIT_SECONDS * 2**event.failures), LONGEST_WAIT)
            event.state = EventState.DEAD if dead else EventState.FAILED
            event.reason = reason
            event.lease_expires_at = None if dead else now + wait
            event.done_at = now if dead else None


def backlog() -> dict[str, int]:
    """Number of events in each state, but for those that are done."""
    query = select(Event.state, func.count()).where(text(UNPROCESSED)).group_by(col(Event.state))
    with session() as ledger:
        return {str(state): int(count) for state, count in ledger.exec(query)}


def oldest_waiting() -> datetime | None:
    """Instant (UTC) at which the oldest event came in that is not processed yet."""
    query = select(func.min(Event.received_at)).where(
        text(UNPROCESSED), col(Event.state) != EventState.DEAD
    )
    return read_first(query)


def processing_times() -> list[ProcessingTime]:
    """Histogram of how long events took since the ledger's first day; a row for every bucket.

    What is replayed and processed again is not counted again.
    """
    known = {row.within: row for row in read_all(select(ProcessingTime))}
    return [known.get(within) or ProcessingTime(within=within) for within in BUCKETS]


def processed() -> int:
    """Number of events that were processed since the ledger's first day."""
    return sum(row.events for row in processing_times())


def dead_letters(account_id: str) -> list[Event]:
    """Events that are not retried by themselves, newest first."""
    query = (
        select(Event)
        .where(text(UNPROCESSED), Event.account_id == account_id, Event.state == EventState.DEAD)
        .order_by(col(Event.id).desc())
    )
    return read_all(query)


def close_dead_letters(
    account_id: str,
    invoice_ids: Collection[str],
    *,
    before: datetime,
    reread_payments: Collection[str] = (),
) -> int:
    """Mark dead letters as done that are about invoices which were put right since.

    Args:
        account_id: The Stripe account.
        invoice_ids: The invoices.
        before: What came in later is news (UTC).
        reread_payments: Those of which also what is about refunds, disputes and the like is over.

    Returns:
        How many were closed.
    """
    query = select(Event).where(
        text(UNPROCESSED),
        Event.account_id == account_id,
        Event.state == EventState.DEAD,
        col(Event.received_at) < before,
        col(Event.invoice_id).in_(list(invoice_ids)),
    )
    with session() as ledger:
        closed = [
            event
            for event in ledger.exec(query)
            if event.invoice_id in reread_payments or not concerns_payments(event.type)
        ]
        for event in closed:
            event.state, event.done_at, event.reason = EventState.DONE, datetime.now(UTC), None
    if closed:
        move_cursor(_closed(account_id), datetime.now(UTC))
    return len(closed)


def _closed(account_id: str) -> str:
    return f"dead-letters-closed:{account_id}"


def dead_letters_changed_at(account_id: str) -> datetime | None:
    """Instant (UTC) at which an event last became a dead letter, or was closed as one."""
    instants = (last_dead_at(account_id), cursor(_closed(account_id)))
    return max(filter(None, instants), default=None)


def last_dead_at(account_id: str) -> datetime | None:
    """Instant (UTC) at which an event last became a dead letter; None if there are none."""
    query = select(func.max(Event.done_at)).where(
        text(UNPROCESSED), Event.account_id == account_id, Event.state == EventState.DEAD
    )
    return read_first(query)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are chosen; what is left empty does not restrict."""

    event_ids: Sequence[str] = ()
    types: Sequence[str] = ()
    states: Sequence[str] = ()
    invoice_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def replay(account_id: str, wanted: EventFilter) -> int:
    """Mark the chosen events to be handled again, whatever their outcome; returns their number.

    What a handler is working on at this moment is left alone.
    """
    chosen: list[ColumnElement[bool]] = [
        col(Event.account_id) == account_id,
        col(Event.state) != EventState.PROCESSING,
    ]
    named = (
        (Event.event_id, wanted.event_ids),
        (Event.type, wanted.types),
        (Event.state, wanted.states),
        (Event.invoice_id, [wanted.invoice_id] if wanted.invoice_id else ()),
    )
    chosen += [col(column).in_(values) for column, values in named if values]
    if wanted.since:
        chosen.append(col(Event.occurred_at) >= wanted.since)
    if wanted.until:
        chosen.append(col(Event.occurred_at) <= wanted.until)
    reset = {
        "state": EventState.RECEIVED,
        "attempts": 0,
        "failures": 0,
        "reason": None,
        "lease_expires_at": None,
        "done_at": None,
        "replayed": True,
    }
    with session() as ledger:
        ids = list(ledger.exec(select(Event.id).where(*chosen)))
        for some in chunked(ids, 500):
            ledger.execute(update(Event).where(col(Event.id).in_(some)).values(reset))
        return len(ids)


def delete_bodies(before: datetime) -> int:
    """Drop the bodies of processed events that came in before a UTC instant; digests stay.

    Returns:
        How many were dropped.
    """
    change = update(Event).where(text(PROCESSED_WITH_BODY), col(Event.received_at) < before)
    return execute(change.values(body=""))

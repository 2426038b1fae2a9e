"""The inbox: every event is written down before anything is done about it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, update
from sqlmodel import col, or_, select

from invoicing.domain.events import News
from invoicing.ledger.database import insert_missing, session
from invoicing.ledger.models import Cursor, Event, EventState

MAX_ATTEMPTS = 8
LEASE_SECONDS = 300


def written_down(news: News, body: str, *, account_id: str, source: str) -> Event:
    """The inbox row of an event; ``source`` is webhook or poll."""
    return Event(
        account_id=account_id,
        event_id=news.event_id,
        type=news.type,
        object_id=news.object_id,
        invoice_id=news.invoice_id,
        livemode=news.livemode,
        occurred_at=news.occurred_at,
        received_at=datetime.now(UTC),
        source=source,
        body=body,
    )


def receive(events: Sequence[Event]) -> int:
    """Write events down durably, once each, and return how many were new."""
    if not events:
        return 0
    with session() as ledger:
        return len(insert_missing(ledger, events))


def claim(owner: str, *, limit: int) -> list[Event]:
    """Take the oldest events that wait, for one handler alone.

    An event that another handler took and did not finish in time is taken over.
    """
    now = datetime.now(UTC)
    waiting = or_(
        col(Event.state).in_([EventState.RECEIVED, EventState.FAILED]),
        (col(Event.state) == EventState.PROCESSING) & (col(Event.lease_expires_at) < now),
    )
    query = (
        select(Event)
        .where(
            waiting, or_(col(Event.lease_expires_at).is_(None), col(Event.lease_expires_at) < now)
        )
        .order_by(col(Event.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    with session() as ledger:
        events = list(ledger.exec(query))
        for event in events:
            event.state = EventState.PROCESSING
            event.owner = owner
            event.attempts += 1
            event.lease_expires_at = now + timedelta(seconds=LEASE_SECONDS)
            ledger.add(event)
        return events


def finish(ids: Iterable[int], owner: str) -> None:
    """Mark events as done."""
    change = (
        update(Event)
        .where(col(Event.id).in_(list(ids)), col(Event.owner) == owner)
        .values(
            state=EventState.DONE, done_at=datetime.now(UTC), reason=None, lease_expires_at=None
        )
    )
    with session() as ledger:
        ledger.execute(change)


def fail(ids: Iterable[int], owner: str, reason: str, *, for_good: bool) -> None:
    """Mark events as failed, to be tried again later, or as dead letters.

    Each try waits longer: 10 s, 20 s, 40 s … An event is dead after its last attempt.
    """
    now = datetime.now(UTC)
    query = select(Event).where(col(Event.id).in_(list(ids)), Event.owner == owner)
    with session() as ledger:
        for event in ledger.exec(query):
            dead = for_good or event.attempts >= MAX_ATTEMPTS
            event.state = EventState.DEAD if dead else EventState.FAILED
            event.reason = reason
            event.lease_expires_at = (
                None if dead else now + timedelta(seconds=5 * 2**event.attempts)
            )
            ledger.add(event)


def backlog() -> dict[str, int]:
    """How many events are in each state."""
    query = select(Event.state, func.count()).group_by(Event.state)
    with session() as ledger:
        return {str(state): int(count) for state, count in ledger.exec(query)}


def cursor(name: str) -> datetime | None:
    """How far a stream was read, as a UTC instant."""
    with session() as ledger:
        found = ledger.get(Cursor, name)
        return found.position if found else None


def move_cursor(name: str, position: datetime) -> None:
    """Remember how far a stream was read; never moves backwards."""
    with session() as ledger:
        found = ledger.get(Cursor, name, with_for_update=True)
        if found is None or found.position < position:
            ledger.merge(Cursor(name=name, position=position, moved_at=datetime.now(UTC)))

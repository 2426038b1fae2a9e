"""The inbox: every event is written down before anything is done about it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, update
from sqlmodel import col, or_, select

from invoicing.domain.events import News
from invoicing.ledger.database import insert_new, one_at_a_time, session
from invoicing.ledger.models import Cursor, Event, EventState

MAX_ATTEMPTS = 8
LEASE_SECONDS = 120


NewEvent = Mapping[str, Any]
"""An inbox row to be: a mapping, because an :class:`Event` costs ten times as much to make."""


def written_down(news: News, body: str, *, account_id: str, source: str) -> NewEvent:
    """The inbox row of an event; ``source`` is webhook or poll."""
    return {
        "account_id": account_id,
        "event_id": news.event_id,
        "type": news.type,
        "object_id": news.object_id,
        "invoice_id": news.invoice_id,
        "lane": news.customer_id or news.invoice_id or news.event_id,
        "livemode": news.livemode,
        "occurred_at": news.occurred_at,
        "received_at": datetime.now(UTC),
        "source": source,
        "body": body,
        "digest": hashlib.sha256(body.encode()).hexdigest(),
        "state": EventState.RECEIVED,
        "attempts": 0,
        "replayed": False,
    }


def receive(events: Sequence[NewEvent]) -> int:
    """Write events down durably, once each, and return how many were new."""
    return insert_new(Event, events) if events else 0


def claim(owner: str, *, account_id: str, limit: int) -> list[Event]:
    """Take the oldest events that wait, for one handler alone.

    Events of a customer with whom another handler is busy stay where they are, so that each
    Account's invoices are settled in order. What a handler took and did not finish in time
    is taken over; what was taken too often, by handlers that died of it, is dead.
    """
    now = datetime.now(UTC)
    in_work = (col(Event.state) == EventState.PROCESSING) & (col(Event.lease_expires_at) >= now)
    busy = select(Event.lane).where(Event.account_id == account_id, in_work)
    waiting = col(Event.state).in_(
        [EventState.RECEIVED, EventState.FAILED, EventState.PROCESSING]
    ) & or_(col(Event.lease_expires_at).is_(None), col(Event.lease_expires_at) < now)
    query = (
        select(Event)
        .where(Event.account_id == account_id, waiting, col(Event.lane).not_in(busy))
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
                event.state, event.lease_expires_at = EventState.DEAD, None
                event.reason = f"{MAX_ATTEMPTS} handlers died of it."
            ledger.add(event)
        return [event for event in events if event.state is EventState.PROCESSING]


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


def name_invoice(event: int, invoice_id: str) -> None:
    """Write down which invoice an event turned out to be about."""
    named = update(Event).where(col(Event.id) == event).values(invoice_id=invoice_id)
    with session() as ledger:
        ledger.execute(named)


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


def oldest_waiting() -> datetime | None:
    """When the oldest event came in that is not settled yet, as a UTC instant."""
    waiting = [EventState.RECEIVED, EventState.PROCESSING, EventState.FAILED]
    query = select(func.min(Event.received_at)).where(col(Event.state).in_(waiting))
    with session() as ledger:
        return ledger.exec(query).one()


def dead_letters(account_id: str) -> list[Event]:
    """Events that nobody will try again by themselves, newest first."""
    query = (
        select(Event)
        .where(Event.account_id == account_id, Event.state == EventState.DEAD)
        .order_by(col(Event.id).desc())
    )
    with session() as ledger:
        return list(ledger.exec(query))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events are meant; what is left empty does not restrict."""

    event_ids: Sequence[str] = ()
    types: Sequence[str] = ()
    states: Sequence[str] = ()
    invoice_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def replay(account_id: str, choice: Choice) -> int:
    """Let the chosen events be handled anew, whatever came of them; returns how many.

    What a handler is working on at this moment is left alone.
    """
    chosen: list[ColumnElement[bool]] = [
        col(Event.account_id) == account_id,
        col(Event.state) != EventState.PROCESSING,
    ]
    for column, values in (
        (Event.event_id, choice.event_ids),
        (Event.type, choice.types),
        (Event.state, choice.states),
    ):
        if values:
            chosen.append(col(column).in_(values))
    if choice.invoice_id:
        chosen.append(col(Event.invoice_id) == choice.invoice_id)
    if choice.since:
        chosen.append(col(Event.occurred_at) >= choice.since)
    if choice.until:
        chosen.append(col(Event.occurred_at) <= choice.until)
    anew = {
        "state": EventState.RECEIVED,
        "attempts": 0,
        "reason": None,
        "lease_expires_at": None,
        "done_at": None,
        "replayed": True,
    }
    with session() as ledger:
        ids = list(ledger.exec(select(Event.id).where(*chosen)))
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            ledger.execute(update(Event).where(col(Event.id).in_(some)).values(anew))
        return len(ids)


def forget_bodies(before: datetime) -> None:
    """Drop the bodies of settled events that came in before a UTC instant; digests stay."""
    old = (
        (col(Event.received_at) < before)
        & (col(Event.state) == EventState.DONE)
        & (col(Event.body) != "")
    )
    with session() as ledger:
        ledger.execute(update(Event).where(old).values(body=""))


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

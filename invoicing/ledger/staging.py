"""A full sync's working tables: windows of reading, and what was read on both sides.

One full sync is at work at a time, so the tables are its own; they are emptied when the next
one begins. Windows are the readers' queue as well as their memory: a reader that has none left
takes the older half of another's, whichever process that one runs in, and what was staged is
never read again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any, NamedTuple

from sqlalchemy import delete, func, or_, update
from sqlmodel import Session, SQLModel, col, select

from invoicing.errors import Busy
from invoicing.ledger.database import one_at_a_time, session
from invoicing.ledger.models import StagedSalesforce, StagedStripe, SyncRun, SyncWindow

RESUMABLE = timedelta(hours=12)
"""For how long what an unfinished sync has read is worth going on with."""

STRIPE_BEGAN = 1_262_304_000
"""2010-01-01: no invoice in Stripe is older."""

CLAIM = timedelta(seconds=60)
"""For how long a window belongs to a reader that is not heard of."""

SPLIT_PAGES = 4
"""A window is worth splitting when about so many pages are left in it."""


class StripeRow(NamedTuple):
    """The columns of :class:`StagedStripe`, in its order."""

    stripe_id: str
    created: int
    record_id: str | None
    customer_id: str | None
    status: str
    number: str | None
    total: int
    amount_paid: int
    amount_remaining: int
    payment_state: str
    overdue: bool
    facts: str
    credited: int = 0


class SalesforceRow(NamedTuple):
    """The columns of :class:`StagedSalesforce`, in its order."""

    record_id: str
    stripe_id: str
    account_id: str | None
    name: str
    status: str
    number: str | None
    total: int | None
    amount_paid: int | None
    amount_remaining: int | None
    payment_state: str | None
    overdue: bool
    sync_state: str | None
    credited: int = 0


def begin(run_id: str, *, dry_run: bool) -> SyncRun:
    """Begin a full sync, or go on with the one that was not finished.

    The caller makes sure that no other full sync is at work.
    """
    now = datetime.now(UTC)
    with session() as ledger:
        run = _unfinished(ledger)
        if run is not None and now - run.started_at < RESUMABLE:
            ledger.execute(update(SyncWindow).values(owner=None))
            run.dry_run = dry_run
        else:
            for table in (StagedStripe, StagedSalesforce, SyncWindow):
                ledger.execute(delete(table))
            if run is not None:
                run.finished_at = now
                ledger.add(run)
            run = SyncRun(id=run_id, started_at=now, dry_run=dry_run)
            ledger.add(SyncWindow(since=STRIPE_BEGAN, until=int(now.timestamp()) + 1))
        ledger.add(run)
        return run


def _unfinished(ledger: Session) -> SyncRun | None:
    query = select(SyncRun).where(col(SyncRun.finished_at).is_(None))
    return ledger.exec(query.order_by(col(SyncRun.started_at).desc())).first()


def finish(run_id: str) -> None:
    """Close a full sync; its drift stays, and its staged rows until the next one begins."""
    with session() as ledger:
        run = ledger.get_one(SyncRun, run_id)
        run.finished_at = datetime.now(UTC)
        ledger.add(run)


def claim(owner: str) -> SyncWindow | None:
    """Take a window that nobody reads, or else the older half of one that somebody does."""
    now = datetime.now(UTC)
    with session() as ledger:
        one_at_a_time(ledger, "windows")
        free = select(SyncWindow).where(
            col(SyncWindow.done).is_(False),
            or_(col(SyncWindow.owner).is_(None), col(SyncWindow.expires_at) < now),
        )
        window = ledger.exec(free).first() or _split(ledger)
        if window is not None:
            window.owner, window.expires_at = owner, now + CLAIM
            ledger.add(window)
        return window


def _split(ledger: Session) -> SyncWindow | None:
    read = ledger.exec(select(SyncWindow).where(col(SyncWindow.done).is_(False))).all()
    widest = max(read, key=_pages_left, default=None)
    if widest is None or widest.reached is None or _pages_left(widest) < SPLIT_PAGES:
        return None
    middle = _middle(widest, widest.reached)
    older = SyncWindow(since=widest.since, until=middle)
    widest.since = middle
    ledger.add(widest)
    return older


def _middle(window: SyncWindow, reached: int) -> int:
    """Where to split a window.

    Nobody knows how far back an account goes, and half of the time since Stripe began is mostly
    empty; between one page and everything that is possible, the geometric mean is safe.
    """
    if window.since > STRIPE_BEGAN:
        return (window.since + reached) // 2
    return reached - int(_seconds_a_page(window, reached) * sqrt(_pages_left(window)))


def _pages_left(window: SyncWindow) -> float:
    """An estimate: the rest of the window is as dense as what was read of it."""
    if window.reached is None or not window.pages:
        return 0
    return (window.reached - window.since) / _seconds_a_page(window, window.reached)


def _seconds_a_page(window: SyncWindow, reached: int) -> float:
    return max(1.0, (window.until - reached) / window.pages)


def all_read() -> bool:
    """Whether no window is left to be read."""
    with session() as ledger:
        query = select(SyncWindow).where(col(SyncWindow.done).is_(False)).limit(1)
        return ledger.exec(query).first() is None


def advance(
    window: SyncWindow, rows: Sequence[StripeRow], *, pages: int, at_end: bool
) -> SyncWindow:
    """Stage what was read of a window and remember how far it was read: both or neither.

    Args:
        window: As it was claimed or advanced last.
        rows: Invoices, newest first; those that another reader has taken over are left to it.
        pages: How many pages they came in.
        at_end: Whether nothing is left.

    Returns:
        The window as it is now; its ``since`` may have moved.

    Raises:
        Busy: the window was given to another reader, because nothing was heard of this one.
    """
    with session() as ledger:
        one_at_a_time(ledger, "windows")
        now = ledger.get_one(SyncWindow, window.number)
        if now.owner != window.owner:
            raise Busy("Another reader has taken over this window.")
        insert(ledger, StagedStripe, [row for row in rows if row.created >= now.since])
        if rows:
            now.cursor, now.reached = rows[-1].stripe_id, rows[-1].created
        now.pages += pages
        now.done = at_end or (now.reached is not None and now.reached < now.since)
        now.expires_at = datetime.now(UTC) + CLAIM
        ledger.add(now)
        return now


def begin_again(window: SyncWindow) -> SyncWindow:
    """Forget what was staged of a window; for when its cursor is no longer in Stripe."""
    with session() as ledger:
        now = ledger.get_one(SyncWindow, window.number)
        mine = (col(StagedStripe.created) >= now.since, col(StagedStripe.created) < now.until)
        ledger.execute(delete(StagedStripe).where(*mine))
        now.cursor, now.reached, now.pages = None, None, 0
        ledger.add(now)
        return now


def clear_salesforce() -> None:
    """Forget Salesforce's side: its query is read as a whole or not at all."""
    with session() as ledger:
        ledger.execute(delete(StagedSalesforce))


def stage_salesforce(rows: Sequence[SalesforceRow]) -> None:
    """Stage some of Salesforce's side."""
    with session() as ledger:
        insert(ledger, StagedSalesforce, rows)


def counts() -> tuple[int, int]:
    """How many invoices were staged from Stripe and from Salesforce."""
    with session() as ledger:
        stripe, salesforce = (
            ledger.exec(select(func.count()).select_from(table)).one()
            for table in (StagedStripe, StagedSalesforce)
        )
        return stripe, salesforce


def insert(ledger: Session, table: type[SQLModel], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert many rows the fastest way the database has; tuples in the order of the columns."""
    if not rows:
        return
    name, columns = str(table.__tablename__), ", ".join(table.model_fields)
    if ledger.get_bind().dialect.name == "postgresql":
        cursor: Any = ledger.connection().connection.cursor()
        with cursor.copy(f"COPY {name} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        places = ", ".join("?" * len(rows[0]))
        ledger.connection().exec_driver_sql(
            f"INSERT INTO {name} ({columns}) VALUES ({places})",  # noqa: S608
            list(rows),
        )

"""A full sync's working tables: windows of reading, and what was read on both sides.

One full sync is at work at a time, so the tables are its own; they are emptied when the next
one begins. Windows are the readers' queue as well as their memory: a reader that has none left
takes the older half of another's, whichever process that one runs in, and what was staged is
never read again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import sqrt
from types import MappingProxyType
from typing import Any

from sqlalchemy import delete, func, or_, text, update
from sqlmodel import Session, SQLModel, col, select

from invoicing.domain.sync.staged_rows import SalesforceRow, StripeRow
from invoicing.errors import Busy
from invoicing.ledger.database import one_at_a_time, session
from invoicing.ledger.models import StagedSalesforce, StagedStripe, SyncRun, SyncWindow

RESUMABLE = timedelta(hours=12)
"""For how long what an unfinished sync has read is worth going on with."""

STRIPE_BEGAN = 1_262_304_000
"""2010-01-01: no invoice in Stripe is older."""

CLAIM = timedelta(seconds=60)
"""For how long a window belongs to a reader that is not heard of."""

SPLIT_PAGES = 8
"""A window is worth splitting when about so many pages are left in it: each window ends with a
page that is not full, so that windows of fewer pages would cost many calls for nothing."""

PAGES_AT_ONCE = 5
"""Pages staged in one transaction: so far a reader in another process may be ahead of what the
ledger knows of it, and what it may be reading is not given to anybody else."""

PAGE = 100

SHARES = 32
"""A window cut beforehand holds a page, or this part of all that is older: the newest, which are
read first, are long, and those that are read last are so short that no reader is left alone."""

INVOICES_A_SECOND = """
SELECT created, COUNT(*) FROM staged_stripe GROUP BY created ORDER BY created
"""

STREAMED = 10_000
"""Rows of the database that are in memory at a time."""


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
            windows = _first_windows(ledger, int(now.timestamp()) + 1)
            for table in (StagedStripe, StagedSalesforce, SyncWindow):
                ledger.execute(delete(table))
            if run is not None:
                run.finished_at = now
                ledger.add(run)
            run = ledger.merge(SyncRun(id=run_id, started_at=now, dry_run=dry_run))
            ledger.add_all(windows)
        ledger.add(run)
        return run


def _first_windows(ledger: Session, until: int) -> list[SyncWindow]:
    """All the time there is, cut by what the sync before staged; the newest window first.

    Stripe decides when an invoice is created, so that none comes to be before the oldest.
    """
    last = ledger.exec(select(SyncRun).order_by(col(SyncRun.started_at).desc())).first()
    if last is None or not last.in_stripe:
        return [SyncWindow(since=STRIPE_BEGAN, until=until)]
    seconds = ledger.connection().execute(
        text(INVOICES_A_SECOND), execution_options={"yield_per": STREAMED}
    )
    edges = [*_full_pages(seconds.tuples()), until]
    cut = [SyncWindow(since=since, until=end) for since, end in pairwise(edges) if since < end]
    return cut[::-1]


def _full_pages(seconds: Iterable[Sequence[int]]) -> Iterator[int]:
    """Where windows begin, so that pages are full: each page that is not costs a call.

    Args:
        seconds: In which seconds invoices were created, the oldest first, and how many.
    """
    older, held, room = 0, 0, 0
    for created, count in seconds:
        if held + count > room:
            yield created
            older, held = older + held, 0
            room = PAGE * max(1, older // (PAGE * SHARES))
        held += count


def _unfinished(ledger: Session) -> SyncRun | None:
    query = select(SyncRun).where(col(SyncRun.finished_at).is_(None))
    return ledger.exec(query.order_by(col(SyncRun.started_at).desc())).first()


def finish(run_id: str) -> None:
    """Close a full sync; its drift stays, and its staged rows until the next one begins."""
    with session() as ledger:
        run = ledger.get_one(SyncRun, run_id)
        run.finished_at = datetime.now(UTC)
        ledger.add(run)


def claim(
    owner: str,
    reading: Mapping[int, SyncWindow] = MappingProxyType({}),
    *,
    worth: float = SPLIT_PAGES,
) -> SyncWindow | None:
    """Take a window that nobody reads, or else the older half of one that somebody does.

    Args:
        owner: Who takes it.
        reading: What this process reads, by number: how far it is, of which the ledger hears a
            little later. The window that is split is told so here as well.
        worth: So many pages have to be left in a window that is split.
    """
    now = datetime.now(UTC)
    with session() as ledger:
        one_at_a_time(ledger, "windows")
        free = select(SyncWindow).where(
            col(SyncWindow.done).is_(False),
            or_(
                col(SyncWindow.owner).is_(None),
                col(SyncWindow.owner) == owner,  # the same run, before it was taken up again
                col(SyncWindow.expires_at) < now,
            ),
        )
        free = free.order_by(col(SyncWindow.number)).limit(1)
        window = ledger.exec(free).first() or _split(ledger, reading, worth)
        if window is not None:
            window.owner, window.expires_at = owner, now + CLAIM
            ledger.add(window)
        return window


def _split(ledger: Session, reading: Mapping[int, SyncWindow], worth: float) -> SyncWindow | None:
    unread = select(SyncWindow).where(col(SyncWindow.done).is_(False)).with_for_update()
    windows = [(window, *_place(window, reading)) for window in ledger.exec(unread)]
    if not windows:
        return None
    widest, now, reached = max(windows, key=lambda found: _pages_left(found[1], found[2]))
    if reached is None or _pages_left(now, reached) < worth:
        return None
    older = SyncWindow(since=now.since, until=_middle(now, reached))
    widest.since = now.since = older.until
    ledger.add(widest)
    return older


def _place(window: SyncWindow, reading: Mapping[int, SyncWindow]) -> tuple[SyncWindow, int | None]:
    """A window as this process knows it best, and how far its reader may be by now."""
    mine = reading.get(window.number or 0)
    if mine is not None:
        mine.since = window.since  # of what others took of it, the ledger hears first
    if mine is not None or window.reached is None or not window.pages:
        known = mine or window
        return known, known.reached
    unheard = int(PAGES_AT_ONCE * _seconds_a_page(window, window.reached))
    return window, max(window.since, window.reached - unheard)


def _middle(window: SyncWindow, reached: int) -> int:
    """Where to split a window.

    Nobody knows how far back an account goes, and half of the time since Stripe began is mostly
    empty; between one page and everything that is possible, the geometric mean is safe.
    """
    if window.since > STRIPE_BEGAN:
        return (window.since + reached) // 2
    pages = sqrt(_pages_left(window, reached))
    return reached - int(_seconds_a_page(window, reached) * pages)


def _pages_left(window: SyncWindow, reached: int | None) -> float:
    """An estimate: the rest of the window is as dense as what was read of it."""
    if reached is None or window.reached is None or not window.pages:
        return 0
    return (reached - window.since) / _seconds_a_page(window, window.reached)


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
        The window as it is in the ledger now; its ``since`` may have moved.

    Raises:
        Busy: the window was given to another reader, because nothing was heard of this one.
    """
    with session() as ledger:
        now = ledger.get(SyncWindow, window.number, with_for_update=True)
        if now is None or now.owner != window.owner:
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


def salesforce_was_read(run_id: str) -> None:
    """Remember that all of Salesforce's side is staged."""
    with session() as ledger:
        run = ledger.get_one(SyncRun, run_id)
        run.salesforce_read = True
        ledger.add(run)


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

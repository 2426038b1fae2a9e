"""A full sync's working tables: windows of reading, and what was read on both sides.

One full sync is at work at a time, so the tables are its own; they are emptied when the next
one begins. Windows remember what is read: of a run that is taken up again, what was staged is
never read twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import sqrt
from typing import Any

from sqlalchemy import delete, func, text, update
from sqlmodel import Session, SQLModel, col, select

from invoicing.domain.sync.staged_rows import Row
from invoicing.errors import Superseded
from invoicing.ledger.database import execute, session
from invoicing.ledger.models import (
    StagedLines,
    StagedSalesforce,
    StagedStripe,
    SyncRun,
    SyncWindow,
)

RESUME_WITHIN = timedelta(hours=12)
"""For how long what an unfinished sync has read is worth going on with."""

STRIPE_BEGAN = 1_262_304_000
"""2010-01-01: no invoice in Stripe is older."""

SPLIT_PAGES = 8
"""A window is worth splitting when about so many pages are left in it: each window ends with a
page that is not full, so that windows of fewer pages would cost many calls for nothing."""

PAGES_AT_ONCE = 5
"""Pages staged in one transaction."""

PAGE_SIZE = 100

SHARES = 32
"""A window cut beforehand holds a page, or this part of all that is older: the newest, which are
read first, are long, and those that are read last are so short that no reader is left alone."""

INVOICES_A_SECOND = """
SELECT created, COUNT(*) FROM staged_stripe GROUP BY created ORDER BY created
"""

STREAM_ROWS = 10_000
"""Rows of the database that are in memory at a time."""


def begin(run_id: str, *, dry_run: bool) -> SyncRun:
    """Begin a full sync, or go on with the one that was not finished.

    The caller makes sure that no other full sync is at work.
    """
    now = datetime.now(UTC)
    unfinished = select(SyncRun).where(col(SyncRun.finished_at).is_(None))
    with session() as ledger:
        run = ledger.exec(unfinished.order_by(col(SyncRun.started_at).desc())).first()
        if run is not None and now - run.started_at < RESUME_WITHIN:
            run.dry_run = dry_run
        else:
            windows = _first_windows(ledger, int(now.timestamp()) + 1)
            for table in (StagedStripe, StagedSalesforce, StagedLines, SyncWindow):
                ledger.execute(delete(table))
            if run is not None:
                run.finished_at = now
            run = ledger.merge(SyncRun(id=run_id, started_at=now, dry_run=dry_run))
            ledger.add_all(windows)
        return run


def _first_windows(ledger: Session, until: int) -> list[SyncWindow]:
    """All the time there is, cut by what the sync before staged; the newest window first.

    Stripe decides when an invoice is created, so that none comes to be before the oldest.
    """
    last = ledger.exec(select(SyncRun).order_by(col(SyncRun.started_at).desc())).first()
    if last is None or not last.in_stripe:
        return [SyncWindow(since=STRIPE_BEGAN, until=until)]
    seconds = ledger.connection().execute(
        text(INVOICES_A_SECOND), execution_options={"yield_per": STREAM_ROWS}
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
            room = PAGE_SIZE * max(1, older // (PAGE_SIZE * SHARES))
        held += count


def finish(run_id: str) -> None:
    """Close a full sync; its drift stays, and its staged rows until the next one begins."""
    _change_run(run_id, finished_at=datetime.now(UTC))


def _change_run(run_id: str, **values: object) -> None:
    execute(update(SyncRun).where(col(SyncRun.id) == run_id).values(**values))


def take(owner: str) -> list[SyncWindow]:
    """Take all windows that are not read yet, in order; who had them is turned away from now on."""
    unread = col(SyncWindow.done).is_(False)
    with session() as ledger:
        ledger.execute(update(SyncWindow).where(unread).values(owner=owner))
        return list(ledger.exec(select(SyncWindow).where(unread).order_by(col(SyncWindow.number))))


def split(reading: Sequence[SyncWindow], *, worth: float = SPLIT_PAGES) -> SyncWindow | None:
    """Make a window of the older half of the one with most left to read.

    Args:
        reading: The windows that are being read; the one that is split ends earlier from now on.
        worth: So many pages have to be left in it; None is returned otherwise.

    Raises:
        Superseded: another run has taken the windows.
    """
    unread = (window for window in reading if not window.done)
    widest = max(unread, key=_pages_left, default=None)
    if widest is None or widest.reached is None or _pages_left(widest) < worth:
        return None
    edge = _middle(widest, widest.reached)
    older = SyncWindow(since=widest.since, until=edge, owner=widest.owner)
    with _changed(widest, since=edge) as ledger:
        ledger.add(older)
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


def advance(window: SyncWindow, rows: Sequence[Row], *, at_end: bool) -> None:
    """Stage what was read of a window and remember how far it was read: both or neither.

    Args:
        window: As it was taken; how many pages it came in is noted in it already.
        rows: Invoices, newest first; those before the window's beginning, which may have moved
            while they were read, are left to whoever reads them.
        at_end: Whether nothing is left.

    Raises:
        Superseded: another run has taken the windows.
    """
    last = rows[-1] if rows else None
    reached = last["created"] if last else window.reached
    with _changed(
        window,
        cursor=last["stripe_id"] if last else window.cursor,
        reached=reached,
        pages=window.pages,
        done=at_end or (reached is not None and reached < window.since),
    ) as ledger:
        insert(ledger, StagedStripe, [row for row in rows if row["created"] >= window.since])


def begin_again(window: SyncWindow) -> None:
    """Forget what was staged of a window; for when its cursor is no longer in Stripe.

    Raises:
        Superseded: another run has taken the windows.
    """
    mine = (col(StagedStripe.created) >= window.since, col(StagedStripe.created) < window.until)
    with _changed(window, cursor=None, reached=None, pages=0) as ledger:
        ledger.execute(delete(StagedStripe).where(*mine))


@contextmanager
def _changed(window: SyncWindow, **values: Any) -> Iterator[Session]:
    """A transaction that changes a window; in memory it changes once that is committed."""
    mine = (col(SyncWindow.number) == window.number, col(SyncWindow.owner) == window.owner)
    with session() as ledger:
        saved: Any = ledger.execute(update(SyncWindow).where(*mine).values(values))
        if not saved.rowcount:
            raise Superseded("Another run has taken over this reading; this one stops.")
        yield ledger
    for name, value in values.items():
        setattr(window, name, value)


def clear_salesforce() -> None:
    """Forget Salesforce's side: its query is read as a whole or not at all."""
    with session() as ledger:
        ledger.execute(delete(StagedSalesforce))
        ledger.execute(delete(StagedLines))


def stage_salesforce(rows: Sequence[Row]) -> None:
    """Stage some of Salesforce's side."""
    with session() as ledger:
        insert(ledger, StagedSalesforce, rows)


def stage_lines(rows: Sequence[Row]) -> None:
    """Stage some lines of Salesforce's side."""
    with session() as ledger:
        insert(ledger, StagedLines, rows)


def salesforce_was_read(run_id: str) -> None:
    """Remember that all of Salesforce's side is staged."""
    _change_run(run_id, salesforce_read=True)


def counts() -> tuple[int, int]:
    """Numbers of invoices staged from Stripe and from Salesforce."""
    with session() as ledger:
        stripe, salesforce = (
            ledger.exec(select(func.count()).select_from(table)).one()
            for table in (StagedStripe, StagedSalesforce)
        )
        return stripe, salesforce


def insert(ledger: Session, table: type[SQLModel], rows: Sequence[Row]) -> None:
    """Insert many rows of the same columns the fastest way the database has."""
    if not rows:
        return
    name, columns = str(table.__tablename__), ", ".join(rows[0])
    if ledger.get_bind().dialect.name == "postgresql":
        cursor: Any = ledger.connection().connection.cursor()
        with cursor.copy(f"COPY {name} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    else:
        places = ", ".join("?" * len(rows[0]))
        ledger.connection().exec_driver_sql(
            f"INSERT INTO {name} ({columns}) VALUES ({places})",  # noqa: S608
            [tuple(row.values()) for row in rows],
        )

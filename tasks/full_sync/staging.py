"""Read both sides of a full sync into the ledger, as fast as the services allow."""

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from math import inf
from uuid import UUID

from more_itertools import chunked
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query
from invoicing.domain.stripe.resources import ListedInvoice
from invoicing.domain.sync.staged_rows import (
    QUERIED_FIELDS,
    QUERIED_LINE_FIELDS,
    RecordComparison,
    Row,
    as_written,
    lines_rows,
    salesforce_rows,
    stripe_rows,
)
from invoicing.errors import NotFound
from invoicing.ledger import rewritten_values, staging, sync_history
from invoicing.ledger.models import SyncRun, SyncWindow
from invoicing.settings import settings
from tasks.full_sync import paced_pages
from tasks.records.org_facts import text_lengths
from tasks.records.record_writer import kept_of_lines
from tasks.records.rewritten_values import OF_LINE
from tasks.runtime.clock import today
from tasks.runtime.run_name import this_attempt
from tasks.runtime.step import step

STAGED_EVERY_SECONDS = 2.0
"""Pages that are read are staged so often at least, and :data:`staging.PAGES_AT_ONCE` at most."""

ROWS_AT_ONCE = 2_000
"""Salesforce rows staged in one transaction."""

LEAST_SHARED, SHARED_SECONDS = 2.5, 1.0
"""A window is shared when so many pages are left in it, and they take so long."""

READER_MARGIN = 1.5
"""So many times the readers that the rate needs are enough: they also write to the ledger."""

LATENCY_WEIGHT = 8
"""The time of an answer is smoothed over about so many."""

PROGRESS_SECONDS = 10


@step("read Stripe")
def read_stripe() -> None:
    """Stage all invoices of the account.

    Raises:
        TransientError: Stripe failed for longer than a page is tried; what was read is kept.
        Superseded: a later attempt has taken over the reading.
    """
    read_windows(this_attempt(), Progress(get_run_logger()))


@contextmanager
def short_lived_objects() -> Iterator[None]:
    """Have the collector not walk all other objects each time, where millions come and go."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def read_windows(owner: str, progress: "Progress") -> int:
    """Read until no window is left, by many threads.

    Args:
        owner: Who reads; whoever read before is turned away from now on.
        progress: Is told how far it is.

    Returns:
        How many invoices were read.
    """
    reader = Reader(owner, progress)
    with short_lived_objects(), ThreadPoolExecutor(paced_pages.readers()) as pool:
        list(pool.map(lambda _: reader.read(), range(paced_pages.readers())))
    progress.done()
    return progress.read_here


class Progress:
    """Progress of the reading: an artifact, and a line in the log every few seconds."""

    def __init__(
        self,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
    ) -> None:
        """Guess the end from the sync before."""
        self._logger = logger
        self._expected = next((run.in_stripe for run in sync_history.last_syncs(1)), 0)
        self._before = self._rows = staging.counts()[0]
        self._began = self._told = time.monotonic()
        self._lock = threading.Lock()
        self._artifact: UUID | None = None

    @property
    def read_here(self) -> int:
        """Rows that this process has read."""
        return self._rows - self._before

    def add(self, rows: int) -> None:
        """Count rows, and tell if it is time to."""
        with self._lock:
            self._rows += rows
            if time.monotonic() - self._told < PROGRESS_SECONDS:
                return
            self._told = time.monotonic()
        self._tell()

    def done(self) -> None:
        """Say that everything is read."""
        if self._artifact:
            update_progress_artifact(self._artifact, 100)

    def _tell(self) -> None:
        pace = (self._rows - self._before) / (self._told - self._began)
        left = (self._expected - self._rows) / pace if pace else 0
        about = f", about {left:,.0f} s left" if left > 0 else ""
        self._logger.info(
            "%s invoices read, %s a second%s.", f"{self._rows:,}", f"{pace:,.0f}", about
        )
        if self._expected:
            share = min(99.0, 100 * self._rows / self._expected)
            if self._artifact is None:
                made = create_progress_artifact(share, key="full-sync-reading")
                self._artifact = made if isinstance(made, UUID) else None
            else:
                update_progress_artifact(self._artifact, share)


class Reader:
    """Reads windows until none is left; threads that have none share the others'.

    The windows are in memory, and the ledger remembers them with what was staged of them, so that
    a run that is taken up again reads nothing twice.
    """

    def __init__(self, owner: str, progress: Progress) -> None:
        """Take what is not read yet."""
        self._progress = progress
        self._budget = paced_pages.budget()
        self._row = stripe_rows(
            today(),
            settings().business.zone,
            settings().salesforce.org_id,
            settings().stripe.account_id,
            _comparison(),
        )
        self._free = deque(staging.take(owner))
        self._reading: list[SyncWindow] = []
        self._failed = False
        self._windows = threading.Condition()
        self._ledger = threading.Lock()  # fairer than SQLite's own, which waits in its sleep
        self._answers_in = 0.1

    def read(self) -> None:
        """Read one window after another."""
        try:
            while (window := self._next()) is not None:
                while not window.done and not self._failed:
                    self._advance(window)
                    with self._windows:
                        self._windows.notify()  # there may be a share for one more
                with self._windows:
                    self._reading = [other for other in self._reading if other is not window]
                    self._windows.notify_all()
        except BaseException:
            with self._windows:
                self._failed = True
                self._windows.notify_all()
            raise

    def _next(self) -> SyncWindow | None:
        """A window to read, for which this waits; None when all are read, or the reading failed."""
        with self._windows:
            while not self._failed:
                window = self._free.popleft() if self._free else self._share()
                if window is not None:
                    self._reading.append(window)
                    return window
                if not self._reading:
                    return None
                self._windows.wait()
        return None

    def _share(self) -> SyncWindow | None:
        with self._ledger:
            return staging.split(self._reading, worth=self._worth)

    @property
    def _worth(self) -> float:
        """Pages worth sharing: what takes a second or more, where the service is slow.

        Nothing is, where those that read keep the service as busy as it may be: the calls that
        are under way at a rate are as many as come in the time of one answer (Little's law).
        """
        if len(self._reading) > READER_MARGIN * self._budget.rate * self._answers_in:
            return inf
        return min(staging.SPLIT_PAGES, max(LEAST_SHARED, SHARED_SECONDS / self._answers_in))

    def _advance(self, window: SyncWindow) -> None:
        """Read and stage some pages of a window."""
        rows: list[Row] = []
        pages, at_end, began = 0, False, time.monotonic()
        most = (
            staging.PAGES_AT_ONCE if window.pages else 1
        )  # others can share when the first is known
        while not at_end and pages < most and time.monotonic() < began + STAGED_EVERY_SECONDS:
            try:
                page, more = self._page(window, rows[-1]["stripe_id"] if rows else window.cursor)
            except NotFound:  # the draft that was the cursor is gone
                with self._ledger:
                    staging.begin_again(window)
                return
            rows += map(self._row, page)
            pages += 1
            at_end = not more or rows[-1]["created"] < window.since
            window.pages, window.reached = window.pages + 1, rows[-1]["created"] if rows else None
        with self._ledger:
            staging.advance(window, rows, at_end=at_end)
        self._progress.add(len(rows))

    def _page(self, window: SyncWindow, after: str | None) -> tuple[list[ListedInvoice], bool]:
        def ask() -> tuple[list[ListedInvoice], bool]:
            began = time.monotonic()
            page = stripe.client().invoice_page(window.since, window.until, after)
            self._answers_in += (time.monotonic() - began - self._answers_in) / LATENCY_WEIGHT
            return page

        return paced_pages.read_page(self._budget, ask)


def _comparison() -> RecordComparison:
    """What is compared of the org's records."""
    keeps = partial(salesforce.client().keeps, record.INVOICE)
    return RecordComparison(keeps, kept_of_lines(), text_lengths(record.INVOICE))


@step("read Salesforce")
def read_salesforce(sync: SyncRun) -> None:
    """Stage all invoice records that have a Stripe invoice, part by part, once for each sync."""
    if sync.salesforce_read:
        return
    linked = Comparison(record.STRIPE_ID, "!=", None)
    query = Query(record.INVOICE, QUERIED_FIELDS, where=linked)
    staging.clear_salesforce()
    client, comparison = salesforce.client(), _comparison()
    for batch in chunked(client.bulk_query(query), ROWS_AT_ONCE):
        changes = rewritten_values.of_invoices([row[0] for row in batch])
        rows = as_written(batch, QUERIED_FIELDS, changes)
        staging.stage_salesforce(list(salesforce_rows(rows, comparison)))
    of_linked = Comparison(f"Invoice__r.{record.STRIPE_ID}", "!=", None)
    lines = client.bulk_query(Query(record.LINE, QUERIED_LINE_FIELDS, where=of_linked))
    for some in chunked(lines, ROWS_AT_ONCE):
        changes = rewritten_values.of_invoices({row[1] for row in some})
        rows = as_written(some, QUERIED_LINE_FIELDS, changes, OF_LINE)
        staging.stage_lines(list(lines_rows(rows, comparison.lines)))
    staging.salesforce_was_read(sync.id)

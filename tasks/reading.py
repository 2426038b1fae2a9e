"""Read both sides of a full sync into the ledger, as fast as the services allow."""

import gc
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain import record
from invoicing.domain.money import to_minor
from invoicing.domain.projection import FACTS, RECORD_KEY, credited, is_overdue, payment_state
from invoicing.domain.status import Status
from invoicing.errors import Busy, Missing, Passing, Refused, Throttled
from invoicing.ledger import drift, leases, staging
from invoicing.ledger.models import SyncRun, SyncWindow
from invoicing.ledger.staging import SalesforceRow, StripeRow
from invoicing.pacing import Budget
from invoicing.settings import settings
from tasks.policy import STEP
from tasks.report import run_id
from tasks.salesforce import today

READERS = 16
"""Windows read side by side: hides answer times of 600 ms at 25 calls a second."""

PAGES_AT_ONCE = 10
"""Pages staged in one transaction."""

ROWS_AT_ONCE = 2_000
"""Salesforce rows staged in one transaction."""

PAGE_TRIES = 5
IDLE_SECONDS = 0.1
SUBJECT = "full sync"
LEASE_SECONDS = 30
WAIT_SECONDS = 0.5
TELL_SECONDS = 10

STAGED_FIELDS = (
    "Id",
    record.STRIPE_ID,
    "Account__c",
    "Name",
    record.STATUS,
    "Number__c",
    "Total__c",
    "Amount_Paid__c",
    "Amount_Remaining__c",
    "Payment_State__c",
    "Is_Overdue__c",
    record.SYNC_STATE,
    "Currency__c",
    "Amount_Credited__c",
)


@contextmanager
def alone() -> Iterator[None]:
    """Be the only full sync at work, as long as the block lasts.

    One that was killed keeps others waiting until its lease ends; one that lives renews it.

    Raises:
        Busy: another one is at work.
    """
    owner, over = run_id(), threading.Event()
    seen = leases.expiry(SUBJECT)
    while True:
        try:
            leases.acquire(SUBJECT, owner, seconds=LEASE_SECONDS)
            break
        except Busy as busy:
            if leases.expiry(SUBJECT) != seen:
                raise Busy(
                    "Another full sync is under way; run this one when it has ended."
                ) from busy
            time.sleep(WAIT_SECONDS)

    def keep() -> None:
        while not over.wait(LEASE_SECONDS / 4):
            leases.acquire(SUBJECT, owner, seconds=LEASE_SECONDS)

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        leases.release(SUBJECT, owner)


@task(task_run_name="begin or resume", **STEP)
def begin(dry_run: bool) -> SyncRun:
    """Begin a full sync, or go on with one that was cut short; stops when little is left to spend.

    Raises:
        Refused: too large a share of the day's Salesforce calls is used already.
    """
    check_allowance()
    sync = staging.begin(run_id(), dry_run=dry_run)
    if sync.id != run_id():
        read = staging.counts()[0]
        get_run_logger().info("Going on with an unfinished sync: %s invoices read.", f"{read:,}")
    return sync


def close(sync: SyncRun) -> None:
    """Close a full sync: the next one reads everything anew."""
    staging.finish(sync.id)


def check_allowance() -> None:
    """Stop bulk work before it takes the calls that people need.

    Raises:
        Refused: the set share of the day's API calls is used.
    """
    used, most = salesforce.client().api_usage(), settings().salesforce.api_usage_limit
    if used >= most:
        raise Refused(
            f"{used:.0%} of Salesforce's API calls of 24 hours are used, and bulk work stops at "
            f"{most:.0%}. Run it again later: it goes on from here."
        )


@task(task_run_name="read Stripe", **STEP)
def read_stripe() -> None:
    """Stage all invoices of the account; several readers share the windows.

    Raises:
        Passing: Stripe failed for longer than a page is tried; what was read is kept.
    """
    read_windows(run_id(), Progress(get_run_logger()))


def read_windows(name: str, progress: "Progress") -> None:
    """Read until no window is left, side by side with whoever does the same elsewhere."""
    reader = Reader(name, progress)
    gc.freeze()  # millions of short-lived objects: the collector need not walk all others each time
    try:
        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(reader.read, range(READERS)))
    finally:
        gc.unfreeze()
    progress.done()


class Progress:
    """How far the reading has come: an artifact, and a line in the log every few seconds."""

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        """Guess the end from the sync before."""
        self._logger = logger
        self._expected = next((run.in_stripe for run in drift.last_syncs(1)), 0)
        self._before = self._rows = staging.counts()[0]
        self._began = self._told = time.monotonic()
        self._lock = threading.Lock()
        self._artifact: UUID | None = None

    def add(self, rows: int) -> None:
        """Count rows, and tell if it is time to."""
        with self._lock:
            self._rows += rows
            if time.monotonic() - self._told < TELL_SECONDS:
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
    """Reads windows until none is left; its parts may run in many threads and processes."""

    def __init__(self, name: str, progress: Progress) -> None:
        """Prepare what all threads share."""
        self._name = name
        self._progress = progress
        self._failed = threading.Event()
        self._budget = Budget("stripe", settings().stripe.requests_per_second)
        self._today, self._zone = today(), settings().business.zone

    def read(self, number: int) -> None:
        """Read one window after another."""
        owner = f"{self._name} {number}"
        while not self._failed.is_set():
            window = staging.claim(owner)
            if window is None and staging.all_read():
                return
            if window is None:
                self._failed.wait(IDLE_SECONDS)  # others may have something to share soon
                continue
            try:
                self._read_window(window)
            except Busy:
                continue
            except BaseException:
                self._failed.set()
                raise

    def _read_window(self, window: SyncWindow) -> None:
        after, at_end = window.cursor, False
        while not window.done:
            rows: list[StripeRow] = []
            pages = 0
            while not at_end and pages < (PAGES_AT_ONCE if window.pages else 1):
                try:
                    page, more = self._page(window, after)
                except Missing:  # the draft that was the cursor is gone
                    window, after, rows, pages = staging.begin_again(window), None, [], 0
                    continue
                rows += [stripe_row(invoice, self._today, self._zone) for invoice in page]
                pages, at_end = pages + 1, not more
                after = rows[-1].stripe_id if rows else None
                at_end = at_end or rows[-1].created < window.since
            window = staging.advance(window, rows, pages=pages, at_end=at_end)
            self._progress.add(len(rows))

    def _page(self, window: SyncWindow, after: str | None) -> tuple[list[stripe.Object], bool]:
        for last in [False] * (PAGE_TRIES - 1) + [True]:
            self._budget.wait()
            try:
                return stripe.client().invoice_page(window.since, window.until, after)
            except Throttled:
                self._budget.slow_down()
                if last:
                    raise
            except Passing:
                if last:
                    raise
        raise AssertionError("a page is tried at least once")


@lru_cache(maxsize=10_000)
def _due(instant: int, today_: date, zone: ZoneInfo) -> bool:
    return is_overdue(instant, today=today_, zone=zone)


def stripe_row(invoice: stripe.Object, day: date, zone: ZoneInfo) -> StripeRow:
    """What is staged of an invoice."""
    status, due = Status.of_stripe(invoice["status"]), invoice["due_date"]
    return StripeRow(
        stripe_id=invoice["id"],
        created=invoice["created"],
        record_id=invoice["metadata"].get(RECORD_KEY),
        customer_id=invoice["customer"],
        status=status.value,
        number=invoice["number"],
        total=invoice["total"],
        amount_paid=invoice["amount_paid"],
        amount_remaining=invoice["amount_remaining"],
        payment_state=payment_state(invoice).value,
        overdue=status is Status.OPEN and due is not None and _due(due, day, zone),
        facts=orjson.dumps({name: invoice.get(name) for name in FACTS}).decode(),
        credited=credited(invoice),
    )


@task(task_run_name="read Salesforce", **STEP)
def read_salesforce() -> None:
    """Stage all invoice records that have a Stripe invoice, part by part."""
    soql = (
        f"SELECT {', '.join(STAGED_FIELDS)} FROM {record.INVOICE} "  # noqa: S608
        f"WHERE {record.STRIPE_ID} != null"
    )
    staging.clear_salesforce()
    rows = map(salesforce_row, salesforce.client().bulk_query(soql))
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        staging.stage_salesforce(batch)


def salesforce_row(row: list[str]) -> SalesforceRow:
    """What is staged of a record: Bulk's text in the order of the fields asked for."""
    *texts, total, paid, remaining, payment, overdue, sync_state, currency, credit = row
    record_id, stripe_id, account_id, name, status, number = texts

    def minor(text: str) -> int | None:
        return to_minor(Decimal(text), currency) if text else None

    return SalesforceRow(
        record_id=record_id,
        stripe_id=stripe_id,
        account_id=account_id or None,
        name=name,
        status=status,
        number=number or None,
        total=minor(total),
        amount_paid=minor(paid),
        amount_remaining=minor(remaining),
        payment_state=payment or None,
        overdue=overdue == "true",
        sync_state=sync_state or None,
        credited=minor(credit) or 0,
    )

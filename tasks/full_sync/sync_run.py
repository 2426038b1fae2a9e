"""A full sync as a whole: one at a time, within the day's API calls, from beginning to end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.errors import Busy, Rejected
from invoicing.ledger import leases, staging
from invoicing.ledger.models import SyncRun
from invoicing.settings import settings
from tasks.records.accounts import follow_merges
from tasks.records.locks import Lock
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step

SUBJECT = "full sync"


FULL_SYNC = Lock("the full sync")


WAIT_SECONDS = 0.5


@contextmanager
def lock_sync() -> Iterator[None]:
    """Lock the full sync as long as the block lasts.

    A killed one keeps others waiting until its lease ends; a live one renews it.

    Raises:
        Busy: another one is at work.
    """
    seen = leases.expiry(SUBJECT)
    while seen and seen > datetime.now(UTC) and leases.expiry(SUBJECT) == seen:
        time.sleep(WAIT_SECONDS)
    with FULL_SYNC.held_if_free([SUBJECT]) as busy:
        if busy:
            raise Busy("Another full sync is under way; run this one when it has ended.")
        yield


@step("begin the sync, or go on with the last")
def begin_sync(dry_run: bool) -> SyncRun:
    """Begin a full sync, or go on with one that was cut short; stops when little is left to spend.

    Raises:
        Rejected: too large a share of the day's Salesforce calls is used already.
    """
    check_api_usage()
    follow_merges()
    sync = staging.begin(run_id(), dry_run=dry_run)
    if sync.id != run_id():
        read = staging.counts()[0]
        get_run_logger().info("Going on with an unfinished sync: %s invoices read.", f"{read:,}")
    return sync


def finish_sync(sync: SyncRun) -> None:
    """Close a full sync: the next one reads everything again."""
    staging.finish(sync.id)


def check_api_usage() -> None:
    """Stop bulk work before it takes the calls that people need.

    Raises:
        Rejected: the set share of the day's API calls is used.
    """
    used, most = salesforce.client().api_usage(), settings().salesforce.api_usage_limit
    if used >= most:
        raise Rejected(
            f"{used:.0%} of Salesforce's API calls of 24 hours are used, and bulk work stops at "
            f"{most:.0%}. Run it again later: it goes on from here."
        )

"""Leases: one run at a time works on an invoice.

A lease ends by release or by expiry, so that a killed run blocks nobody for long. Its owner is
one attempt at a run, in one process. The next attempt at the same run takes it over at once,
because the one before is dead or believed so; if that one still lives, it is made to stop.
"""

import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from more_itertools import chunked
from sqlalchemy import delete, update
from sqlmodel import col, select

from invoicing.errors import Busy, Superseded
from invoicing.ledger.database import execute, insert_values, read_row, session
from invoicing.ledger.models import Lease

LEASE_SECONDS = 20
"""How long a lease outlives its owner, who renews it several times meanwhile."""

JUST_NOW_SECONDS = 2
"""A lease that was renewed so recently is not renewed again."""

LEASES_PER_STATEMENT = 500
"""Leases that one statement takes; it is in memory as a whole."""


def owner_of(run: str, attempt: int) -> str:
    """Names an attempt at a run, in this process, as the owner of leases."""
    return f"{run}#{attempt}#{socket.gethostname()}:{os.getpid()}"


def _run_and_attempt(owner: str) -> tuple[str, int]:
    run, _, rest = owner.partition("#")
    return run, int(rest.partition("#")[0] or 0)


def _succeeds(owner: str, other: str) -> bool:
    """Whether an owner is a later attempt at the other's run."""
    (run, attempt), (other_run, other_attempt) = map(_run_and_attempt, (owner, other))
    return run == other_run and attempt > other_attempt


def acquire_all(
    subjects: Iterable[str], owner: str, *, what: str = "this"
) -> tuple[set[str], dict[str, Busy]]:
    """Take or renew the leases that are free, in one transaction.

    Args:
        subjects: What is to be leased.
        owner: Who asks.
        what: The subjects' kind, for whoever finds one busy: "this invoice".

    Returns:
        The subjects that are leased from now on, and why others cannot be.

    Raises:
        Superseded: a later attempt at the same run has one of them.
    """
    now = datetime.now(UTC)
    until = now + timedelta(seconds=LEASE_SECONDS)
    wanted = sorted(set(subjects))
    new: set[str] = set()
    busy: dict[str, Busy] = {}
    if not wanted:
        return new, busy
    with session() as ledger:
        for some in chunked(wanted, LEASES_PER_STATEMENT):
            rows = [{"subject": one, "owner": owner, "expires_at": until} for one in some]
            new |= {key.subject for key in insert_values(ledger, Lease, rows)}
        others = [subject for subject in wanted if subject not in new]
        query = select(Lease).where(col(Lease.subject).in_(others)).order_by(col(Lease.subject))
        for lease in ledger.exec(query.with_for_update()) if others else ():
            if lease.owner == owner:
                lease.expires_at = max(lease.expires_at, until)
            elif _succeeds(lease.owner, owner):
                raise Superseded("Another process has taken over this run; this one stops.")
            elif lease.expires_at > now and not _succeeds(owner, lease.owner):
                busy[lease.subject] = Busy(
                    f"Another run is working on {what}; it will be free by "
                    f"{lease.expires_at:%H:%M:%S} UTC at the latest."
                )
            else:
                new.add(lease.subject)
                lease.owner, lease.expires_at = owner, until
    return new, busy


def renew(owner: str) -> None:
    """Let every lease of an owner last for :data:`LEASE_SECONDS` again.

    But for those that were renewed just now: steps side by side have a heartbeat each.
    """
    until = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
    due = until - timedelta(seconds=JUST_NOW_SECONDS)
    mine = (col(Lease.owner) == owner) & (col(Lease.expires_at) < due)
    execute(update(Lease).where(mine).values(expires_at=until))


def release_all(subjects: Iterable[str], owner: str) -> None:
    """Give leases back; nothing happens to those that somebody else has by now."""
    mine = col(Lease.subject).in_(list(subjects)) & (col(Lease.owner) == owner)
    execute(delete(Lease).where(mine))


def held(subject: str, owner: str) -> bool:
    """Whether the owner holds the lease on a subject now."""
    lease = read_row(Lease, subject)
    return lease is not None and lease.owner == owner and lease.expires_at > datetime.now(UTC)


def expiry(subject: str) -> datetime | None:
    """Instant (UTC) at which the lease on a subject ends unless it is renewed."""
    lease = read_row(Lease, subject)
    return lease.expires_at if lease else None

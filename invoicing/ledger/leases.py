"""Leases: one run at a time works on an invoice.

A lease ends by release or by expiry, so that a killed run blocks nobody for long. Its
owner may take it again at once: the same flow run, begun anew after a crash.
"""

from datetime import UTC, datetime, timedelta

from invoicing.errors import Busy
from invoicing.ledger.database import insert_missing, session
from invoicing.ledger.models import Lease

LEASE_SECONDS = 180


def acquire(subject: str, owner: str, *, seconds: int = LEASE_SECONDS) -> int:
    """Take or renew the lease on a subject, and return its fence.

    Raises:
        Busy: another owner holds it.
    """
    now = datetime.now(UTC)
    with session() as ledger:
        insert_missing(ledger, [Lease(subject=subject, owner=owner, expires_at=now)])
        lease = ledger.get_one(Lease, subject, with_for_update=True)
        if lease.owner != owner:
            if lease.expires_at > now:
                raise Busy(
                    "Another run is working on this invoice; it will be free by "
                    f"{lease.expires_at:%H:%M:%S} UTC at the latest."
                )
            lease.owner, lease.fence = owner, lease.fence + 1
        lease.expires_at = now + timedelta(seconds=seconds)
        ledger.add(lease)
        return lease.fence


def held(subject: str, owner: str) -> bool:
    """Whether the owner holds the lease on a subject now."""
    with session() as ledger:
        lease = ledger.get(Lease, subject)
        return lease is not None and lease.owner == owner and lease.expires_at > datetime.now(UTC)


def release(subject: str, owner: str) -> None:
    """Give a lease back; nothing happens if somebody else has it by now."""
    with session() as ledger:
        lease = ledger.get(Lease, subject, with_for_update=True)
        if lease is not None and lease.owner == owner:
            ledger.delete(lease)

"""Leases of single subjects, for as long as a test needs them."""

from unittest.mock import patch

from invoicing.ledger import leases


def acquire(subject: str, owner: str, *, what: str = "this", seconds: float = 0) -> None:
    """Take or renew a lease, for so long instead of what leases last.

    Raises:
        Busy: another owner holds it.
        Superseded: a later attempt at the same run has it.
    """
    with patch.object(leases, "LEASE_SECONDS", seconds or leases.LEASE_SECONDS):
        _, busy = leases.acquire_all([subject], owner, what=what)
    for error in busy.values():
        raise error


def release(subject: str, owner: str) -> None:
    """Give a lease back; nothing happens if somebody else has it by now."""
    leases.release_all([subject], owner)

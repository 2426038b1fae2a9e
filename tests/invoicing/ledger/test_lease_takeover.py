"""A run that was believed dead and taken up again: only its last attempt goes on."""

import os

import pytest

from invoicing.errors import Busy, Superseded
from invoicing.ledger import leases
from tests.leases import acquire, release

pytestmark = pytest.mark.usefixtures("ledger_url")

FIRST, SECOND = (leases.owner_of("run", attempt) for attempt in (1, 2))


def test_the_next_attempt_takes_over_at_once() -> None:
    """It waits for no lease of the one before, which is told to stop and can release nothing."""
    acquire("invoice", FIRST)
    acquire("invoice", SECOND)
    with pytest.raises(Superseded, match="Another process has taken over this run"):
        acquire("invoice", FIRST)
    release("invoice", FIRST)
    assert leases.held("invoice", SECOND)


def test_a_run_handed_out_twice_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same attempt in another process is somebody else."""
    acquire("invoice", FIRST)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(Busy):
        acquire("invoice", leases.owner_of("run", 1))

"""Locks: one run at a time works on an invoice, an Account or the like.

A lock is a lease in the ledger that its holder renews as long as it lives: others wait for a run
that works, and for seconds only where one was killed.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from prefect.logging import get_run_logger

from invoicing.domain.model.status import SyncState
from invoicing.errors import Busy, Conflict, Rejected, Superseded, TransientError
from invoicing.ledger import inbox, leases
from tasks.records.invoices import find_record, write_sync_message
from tasks.runtime.run_name import this_attempt
from tasks.runtime.step import step

HEARTBEAT_SECONDS = 5.0
"""Between heartbeats; a lease lasts four of them, and an event's claim six."""


@contextmanager
def heartbeat() -> Iterator[str]:
    """Renew what this attempt holds, leases and claimed events, as long as the block lasts.

    Yields:
        Who holds them.
    """
    owner, over = this_attempt(), threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            with suppress(TransientError):  # the ledger may be back at the next beat
                leases.renew(owner)
                inbox.heartbeat(owner)

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield owner
    finally:
        over.set()
        heart.join()


class Lock:
    """What one run at a time may work on; each thing of its kind is a subject."""

    def __init__(self, what: str) -> None:
        """Name the kind, as whoever finds it busy is told: "this invoice"."""
        self._what = what

    @contextmanager
    def held(self, *subjects: str) -> Iterator[None]:
        """Work on some subjects alone, as long as the block lasts.

        Raises:
            Busy: another run works on one of them.
        """
        with self.held_if_free(subjects) as busy:
            for error in busy.values():
                raise error
            yield

    @contextmanager
    def held_if_free(self, subjects: Iterable[str]) -> Iterator[Mapping[str, Busy]]:
        """Work alone on what is free of some subjects.

        Yields:
            Those that are not free.
        """
        with heartbeat() as owner:
            taken, busy = leases.acquire_all(subjects, owner, what=self._what)
            try:
                yield busy
            finally:
                _release(taken, owner)

    def keep(self, *subjects: str) -> None:
        """Stay the only one who works on some subjects; asked just before every effect.

        Raises:
            Busy: this process was away for so long that another run works on it.
            Superseded: another process has taken up this run.
        """
        _, busy = leases.acquire_all(subjects, this_attempt(), what=self._what)
        for error in busy.values():
            raise error

    def require(self, subject: str) -> None:
        """Make sure that nobody else has worked on a subject since it was locked.

        Raises:
            Superseded: this process was away for so long that somebody may have.
        """
        if not leases.held(subject, this_attempt()):
            raise Superseded(
                "This process was away for too long; others have gone on with its work."
            )


INVOICE = Lock("this invoice")
"""Subjects are record ids, and Stripe ids of invoices that have no record."""

ACCOUNT = Lock("this Account's customer in Stripe")
"""Subjects are Account ids."""


@step("wait until no other run works on it")
def take_turn(record_id: str) -> None:
    """Become the only run that works on an invoice; waits a few minutes for its turn."""
    INVOICE.keep(record_id)


@contextmanager
def lock_invoice(reference: str) -> Iterator[str]:
    """Lock an invoice; what goes wrong is written on its record.

    Args:
        reference: The invoice as people name it.

    Yields:
        The Salesforce record id.
    """
    with lock_quietly(reference) as record_id:
        try:
            yield record_id
        except (Busy, Superseded):
            raise
        except (Rejected, Conflict) as error:
            state = SyncState.CONFLICT if isinstance(error, Conflict) else SyncState.FAILED
            write_sync_message(record_id, state, str(error))
            raise
        except Exception as error:
            _write_if_possible(record_id, error)
            raise


@contextmanager
def lock_quietly(reference: str) -> Iterator[str]:
    """Lock an invoice; what goes wrong is no matter of its record.

    Args:
        reference: The invoice as people name it.

    Yields:
        The Salesforce record id.
    """
    record_id = find_record(reference)
    with heartbeat() as owner:
        take_turn(record_id)
        try:
            yield record_id
        finally:
            _release([record_id], owner)


def _release(subjects: Iterable[str], owner: str) -> None:
    """Release leases; what was done stays done if the ledger is away at this moment."""
    try:
        leases.release_all(subjects, owner)
    except TransientError:
        get_run_logger().warning(
            "A lock was not released and ends by itself within %s seconds.", leases.LEASE_SECONDS
        )


def _write_if_possible(record_id: str, error: Exception) -> None:
    try:
        write_sync_message(record_id, SyncState.FAILED, f"{error} Run it again to resume.")
    except Exception:
        get_run_logger().exception("The record could not be marked as failed.")

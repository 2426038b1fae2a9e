"""Steps on the ledger: the environment it is bound to, and leases on invoices."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.status import SyncState
from invoicing.errors import (
    Busy,
    Conflict,
    EnvironmentMismatch,
    Rejected,
    Superseded,
    TransientError,
)
from invoicing.ledger import inbox, leases, links
from invoicing.mapping import fingerprint
from invoicing.mapping_check import check_org
from invoicing.settings import Settings, settings
from tasks.records.invoices import find_record, write_sync_message
from tasks.runtime.retries import STEP
from tasks.runtime.run import this_attempt

BEAT_SECONDS = 5.0
"""Between heartbeats; a lease lasts four of them, and an event's claim six."""

VERIFIED_FOR = timedelta(hours=1)
"""A schema changes by deployments, a few in a week. Asking for it costs an org with a field
mapping eleven calls, so 264 a day: 1.8 % of the 15,000 of the smallest edition."""


@task(task_run_name="verify the environment", **STEP)
def verify_environment() -> None:
    """Make sure that org, Stripe account and mode are those this ledger is bound to.

    Where a field mapping gives the org's own names, the org must also be as it says.

    Raises:
        EnvironmentMismatch: nothing is written to either system then.
    """
    wanted = settings()
    bound = links.binding(wanted.stripe.account_id, livemode=wanted.stripe.livemode)
    if bound is not None:
        if bound.org_id[:15] != wanted.salesforce.org_id[:15]:
            raise EnvironmentMismatch(
                f"In this ledger, Stripe account {bound.stripe_account_id} "
                f"({_mode(bound.livemode)}) belongs to Salesforce org {bound.org_id}, but the "
                f"settings name {wanted.salesforce.org_id}. Use another ledger for another org."
            )
        fresh = datetime.now(UTC) - bound.verified_at < VERIFIED_FOR
        if fresh and bound.mapping == fingerprint():
            return
    org_id = _verify(wanted)
    if wanted.mapping:
        check_org()
    links.bind(
        org_id,
        wanted.stripe.account_id,
        livemode=wanted.stripe.livemode,
        mapping=fingerprint(),
    )


def _verify(wanted: Settings) -> str:
    if ("_live_" in wanted.stripe.api_key.get_secret_value()) != wanted.stripe.livemode:
        raise EnvironmentMismatch(f"The Stripe key is not a {_mode(wanted.stripe.livemode)} key.")
    account_id = stripe.client().account()["id"]
    if account_id != wanted.stripe.account_id:
        raise EnvironmentMismatch(
            f"The Stripe key belongs to {account_id}, but INVOICING_STRIPE__ACCOUNT_ID says "
            f"{wanted.stripe.account_id}."
        )
    org_id = salesforce.client().org_id()
    if org_id[:15] != wanted.salesforce.org_id[:15]:
        raise EnvironmentMismatch(
            f"The Salesforce login belongs to org {org_id}, but INVOICING_SALESFORCE__ORG_ID "
            f"says {wanted.salesforce.org_id}."
        )
    return org_id


def _mode(livemode: bool) -> str:
    return "live mode" if livemode else "test mode"


@contextmanager
def heartbeat() -> Iterator[str]:
    """Renew what this attempt holds, leases and claimed events, as long as the block lasts.

    So both may be short, and others wait for seconds only when the process was killed.

    Yields:
        Who holds them.
    """
    owner, over = this_attempt(), threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with suppress(TransientError):  # the ledger may be back at the next beat
                leases.heartbeat(owner)
                inbox.heartbeat(owner)

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    try:
        yield owner
    finally:
        over.set()
        heart.join()


@contextmanager
def lock_all(subjects: Iterable[str]) -> Iterator[Mapping[str, Busy]]:
    """Lock those of some subjects that are free.

    Yields:
        Those that are locked by others.
    """
    with heartbeat() as owner:
        taken = leases.acquire_all(subjects, owner, seconds=leases.RENEWED_SECONDS)
        try:
            yield taken.busy
        finally:
            leases.release_all(taken.new, owner)


@task(task_run_name="lock", **STEP)
def acquire_lock(subject: str, seconds: int = leases.LEASE_SECONDS) -> None:
    """Become the only run that works on an invoice or the like; waits a little for its turn."""
    leases.acquire(subject, this_attempt(), seconds=seconds)


@contextmanager
def lock(subject: str) -> Iterator[None]:
    """Lock a subject; whoever comes meanwhile waits for its release."""
    with heartbeat():
        acquire_lock(subject, leases.RENEWED_SECONDS)
        try:
            yield
        finally:
            _release(subject)


def require_lock(subject: str) -> None:
    """Make sure that this process still has a lease, just before it does what cannot be undone.

    Raises:
        Superseded: it was away for so long that it has not.
    """
    if not leases.held(subject, this_attempt()):
        raise Superseded("This process was away for too long; others have gone on with its work.")


@contextmanager
def lock_invoice(reference: str) -> Iterator[str]:
    """Lock an invoice; what goes wrong is written on its record.

    Args:
        reference: The invoice as people name it.

    Yields:
        The Salesforce record id.
    """
    record_id = find_record(reference)
    acquire_lock(record_id)
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
    finally:
        _release(record_id)


def _release(record_id: str) -> None:
    """Release the lease; what was done stays done if the ledger is away at this moment."""
    try:
        leases.release(record_id, this_attempt())
    except TransientError:
        get_run_logger().warning(
            "The lease was not released and ends by itself within %s seconds.",
            leases.LEASE_SECONDS,
        )


def _write_if_possible(record_id: str, error: Exception) -> None:
    try:
        write_sync_message(record_id, SyncState.FAILED, f"{error} Run it again to resume.")
    except Exception:
        get_run_logger().exception("The record could not be marked as failed.")

"""Repair what differs: in bulk where that is much, else one by one from a fresh reading."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from more_itertools import consume
from prefect import Task
from prefect.futures import PrefectFuture, wait
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.projection import Projection
from invoicing.domain.sync.drift_kinds import BULK_REPAIRABLE_KINDS, Kind
from invoicing.errors import TransientError
from invoicing.ledger import drift, links, timeline
from invoicing.ledger.models import InvoiceLink, SyncRun
from tasks.full_sync.create_missing import CREATE_CHUNK, make_records
from tasks.full_sync.paced_pages import read_again
from tasks.full_sync.staging import short_lived_objects
from tasks.full_sync.sync_run import check_api_usage
from tasks.records.invoices import synced_fields
from tasks.records.locks import INVOICE
from tasks.records.rewritten_values import check_saved_in_bulk
from tasks.records.timeline import entry_values, publish
from tasks.runtime.step import step
from tasks.sync.close_dead_letters import close_dead_letters
from tasks.sync.mirrored_fields import mirrored_fields
from tasks.sync.new_record_fields import project_all
from tasks.sync.refresh import refresh
from tasks.sync.refresh_result import RefreshResult, failure

T = TypeVar("T")

MAX_SINGLE_REPAIRS = 2_000
"""So much drift is repaired invoice by invoice, each read again. Bulk jobs pay from there on:
see "How many records" in Salesforce's guide to Bulk API 2.0."""

FRESH_CHUNK = 500
BULK_CHUNK = 3_000
"""Rows of a Bulk job, which are held in memory: less than a batch of Salesforce's, 10,000."""

BULK_CHUNKS_AT_ONCE = 12
"""Chunks of Bulk jobs under way: each waits for a job that writes, which takes some three seconds,
however many rows it has."""

READ_AT_ONCE = 3
"""Chunks that are read in Stripe again at a time, which keep its rate busy: the others are written
meanwhile, for if all of them were read before the first is written, each service waited for the
other. A chunk that waits for its turn locks no invoices."""


CREATE_CHUNKS_AT_ONCE = 3
"""Chunks under way: one is read, one is written, one is written down."""

_reading = threading.BoundedSemaphore(READ_AT_ONCE)

SIDE_BY_SIDE = cast(
    TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=BULK_CHUNKS_AT_ONCE + 2)
)

Pair = tuple[drift.DriftedInvoice, Projection]
"""A drifted invoice, and its projection from Stripe."""


def make_missing(sync: SyncRun, only: Sequence[Kind]) -> None:
    """Make the records that Salesforce lacks, if that kind is among those to repair."""
    if Kind.MISSING_IN_SALESFORCE in only:
        missing = drift.in_stripe_order(sync.id, [Kind.MISSING_IN_SALESFORCE], size=CREATE_CHUNK)
        consume(_side_by_side(make_records, sync, missing, CREATE_CHUNKS_AT_ONCE))


def repair(sync: SyncRun, only: Sequence[Kind]) -> list[PrefectFuture[None]]:
    """Bring what differs in step, in the way that suits how much it is.

    Args:
        sync: The full sync.
        only: The kinds of drift to repair.

    Returns:
        What is still under way: the copying to timelines in Salesforce, for which nothing waits.
    """
    telling: list[PrefectFuture[None]] = []
    kinds = drift.kinds(sync.id)
    linked = [kind for kind in only if kind in BULK_REPAIRABLE_KINDS]
    if sum(kinds.get(kind, 0) for kind in linked) > MAX_SINGLE_REPAIRS:
        many = drift.in_stripe_order(sync.id, linked, size=BULK_CHUNK, lines=False)
        written = _side_by_side(write_in_bulk, sync, many, BULK_CHUNKS_AT_ONCE)
        telling += [tell.submit(quote(keys)) for keys in written]
    for rows in drift.chunks(sync.id, only, untouched=True, size=FRESH_CHUNK):
        repair_one_by_one(sync, [row.subject for row in rows])
    return telling


def _side_by_side(
    step: Task[..., T],
    sync: SyncRun,
    chunks: Iterable[Sequence[drift.DriftedInvoice]],
    at_once: int,
) -> Iterator[T]:
    """Take a step for several chunks at a time: most of it is waiting for the services."""
    under_way: deque[PrefectFuture[T]] = deque()
    with short_lived_objects():
        try:
            for rows in chunks:
                if len(under_way) == at_once:
                    yield under_way.popleft().result()
                check_api_usage()
                under_way.append(step.submit(sync, quote(rows)))  # Prefect need not look into them
            while under_way:
                yield under_way.popleft().result()
        finally:
            wait(list(under_way))


@step("tell on timelines what was repaired")
def tell(keys: Sequence[str]) -> None:
    """Copy timelines' entries to Salesforce; what does not get there, the next poll copies."""
    publish(keys)


@step("repair one by one")
def repair_one_by_one(sync: SyncRun, subjects: Sequence[str]) -> None:
    """Repair some drift from a fresh reading, and write down the outcome of each."""
    try:
        changes = refresh(subjects)
    except TransientError as error:
        changes = [failure(id_, None, error) for id_ in subjects]
    drift.note(sync.id, "outcome", {change.stripe_id: _outcome(change) for change in changes})


def _outcome(change: RefreshResult) -> str:
    if change.problem:
        return f"not repaired: {change.problem}"
    if change.created or change.changed:
        return f"repaired: {change.sentence}"
    return f"changed by the org: {change.note}" if change.note else "was in step by then"


@step("repair in bulk")
def write_in_bulk(sync: SyncRun, rows: Sequence[drift.DriftedInvoice]) -> list[str]:
    """Write what differs by Bulk jobs, each row's result looked at.

    Stripe is read again inside the leases: since it was staged, an approver may have
    taken hours to decide. Left to the fresh reading, one by one, are invoices that somebody
    works on, that are gone, whose record is another's by the ledger, and whose writing failed in a
    way that passes.

    Args:
        sync: The full sync.
        rows: What differs, the newest first.

    Returns:
        The keys of what there is to tell on timelines.
    """
    with ExitStack() as held:
        with _reading:
            subjects = (subject for row in rows for subject in _subjects(row))
            busy = held.enter_context(INVOICE.held_if_free(subjects))
            known = links.invoice_links(row.subject for row in rows)
            free = [
                row
                for row in rows
                if not _subjects(row) & busy.keys()
                and (row.subject not in known or known[row.subject].record_id == row.record_id)
            ]
            pairs = _as_in_stripe(free)
        return _write(sync, pairs, known)


def _subjects(row: drift.DriftedInvoice) -> set[str]:
    return {row.subject, str(row.record_id)}


def _as_in_stripe(rows: Sequence[drift.DriftedInvoice]) -> list[Pair]:
    """Drifted invoices that are in Stripe and finalized, with their projections, by Account."""
    read = read_again(rows, stripe.client().facts_page)
    projections = {invoice.stripe_id: invoice for invoice in project_all(read)}
    return [
        (row, projections[row.subject])
        for row in sorted(rows, key=lambda row: row.account_id)
        if row.subject in projections and projections[row.subject].status is not Status.DRAFT
    ]


def _write(sync: SyncRun, pairs: Sequence[Pair], known: Mapping[str, InvoiceLink]) -> list[str]:
    """Write by one Bulk job, look at what was saved, and note what came of it."""
    if not pairs:
        return []
    began, synced = datetime.now(UTC), synced_fields(Status.OPEN)

    def update(row: drift.DriftedInvoice, projection: Projection) -> dict[str, Any]:
        return {"Id": row.record_id} | mirrored_fields(projection, known.get(row.subject)) | synced

    errors = salesforce.client().bulk_update(record.INVOICE, (update(*pair) for pair in pairs))
    failed = {error.index: error.error for error in errors}
    places = {str(row.record_id): at for at, (row, _) in enumerate(pairs) if at not in failed}
    saved = check_saved_in_bulk(list(places), lambda id_: update(*pairs[places[id_]]))
    failed |= {places[id_]: error for id_, error in saved.errors.items()}
    written = [pair for index, pair in enumerate(pairs) if index not in failed]
    close_dead_letters([row.subject for row, _ in written], began)
    links.remember_written_in_bulk({str(row.record_id): p for row, p in written})
    entries = [_entry(sync, *pair) for pair in written]
    timeline.add_values(entries)
    outcomes = {
        row.subject: f"repaired: now {_says(p)}. {saved.notes.get(str(row.record_id), '')}".strip()
        for row, p in written
    }
    for index, error in failed.items():
        if not isinstance(error, TransientError):
            outcomes[pairs[index][0].subject] = f"not repaired: {error}"
    drift.note(sync.id, "outcome", outcomes)
    return [entry["key"] for entry in entries]


def _says(projection: Projection) -> str:
    return f"{projection.status} {projection.payment_state}"


def _entry(sync: SyncRun, row: drift.DriftedInvoice, projection: Projection) -> dict[str, Any]:
    """Timeline entry of a repair; a sync repairs an invoice in bulk once."""
    what = f"{row.salesforce_says} → {_says(projection)}"
    if row.salesforce_says == _says(projection):
        what = f"{row.kind.capitalize()} put right"
    if row.kind == Kind.AMOUNT:
        what += f"; paid {projection.amount_paid}, remaining {projection.amount_remaining}"
    return entry_values(
        f"{sync.id}-{row.record_id}"[: record.KEY_LENGTH],
        what,
        record_id=row.record_id,
        stripe_id=row.subject,
        amount=projection.total,
    )

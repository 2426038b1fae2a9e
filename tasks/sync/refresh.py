"""Bring Salesforce in step with Stripe: re-read, compare, write what differs.

Events, polls, the sync button and the nightly sync all end here, so that one invoice is
projected in one way only. Work on an invoice is serialised by its lease, and Stripe is read
inside the lease: a late or doubled event can never overwrite newer state.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from more_itertools import chunked
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.connectors.salesforce import Record
from invoicing.domain.model.status import DELETABLE, Status, SyncState, vanished_message
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.line_mirror import MirroredLine, facts_on_record, said
from invoicing.domain.salesforce.line_mirror import changes as line_changes
from invoicing.domain.stripe.projection import Projection, tombstone
from invoicing.errors import InvoicingError, TransientError, WriteRefused
from invoicing.ledger import links, rewritten_values
from invoicing.ledger.models import InvoiceLink
from tasks.records.accounts import show_customers
from tasks.records.invoices import synced_fields
from tasks.records.locks import INVOICE
from tasks.records.org_facts import text_lengths
from tasks.records.record_writer import (
    Update,
    WriteResult,
    kept_of_lines,
    with_lines_said,
    write_changes,
)
from tasks.records.rewritten_values import lines_as_written
from tasks.runtime.run_name import run_url
from tasks.runtime.step import step
from tasks.sync.close_dead_letters import close_dead_letters
from tasks.sync.create_record import create_record
from tasks.sync.deleted_products import without_deleted_products
from tasks.sync.matching_records import matching_records
from tasks.sync.mirrored_fields import cut_texts, mirrored_fields, mirrored_lines
from tasks.sync.new_record_fields import named_record
from tasks.sync.refresh_result import RefreshResult, failure, problem_of
from tasks.sync.stripe_reader import ReadInvoice, read_invoices

Pair = tuple[Record, ReadInvoice | None]
"""A record, and its invoice in Stripe; None where its draft was deleted there."""


def refresh_after_act(stripe_id: str, *, reread_payments: bool = False) -> RefreshResult:
    """Bring the record of an invoice in step with which something was done in Stripe just now.

    Whether that succeeds or not, the act is done: nothing is raised.
    """
    reread = [stripe_id] if reread_payments else []
    try:
        [change] = refresh([stripe_id], touch=True, reread_payments=reread)
    except TransientError as error:
        return failure(stripe_id, None, error)
    return change


@step("bring records in step with Stripe")
def refresh(
    stripe_ids: Sequence[str], *, touch: bool = False, reread_payments: Collection[str] = ()
) -> list[RefreshResult]:
    """Bring the records of some Stripe invoices in step, one change for each.

    Args:
        stripe_ids: The invoices; more than one Collections call can take are split up.
        touch: Note the time of the sync even where nothing differed.
        reread_payments: Invoices whose refunds and disputes may have news.

    Raises:
        Busy: only when there is one invoice, and another run works on it.
    """
    changes = [
        change
        for some in chunked(stripe_ids, salesforce.COLLECTION)
        for change in _refresh_some(some, touch, reread_payments)
    ]
    if len(changes) == 1 and changes[0].transient:
        raise TransientError(changes[0].sentence)
    for change in changes:
        get_run_logger().info(change.sentence)
    return changes


def _refresh_some(
    stripe_ids: Sequence[str], touch: bool, reread_payments: Collection[str]
) -> list[RefreshResult]:
    """Lease invoices, each by its record where that is known, read them, bring them in step.

    One that nobody has linked is leased by its Stripe id. If it turns out to name a record of
    ours, that is leased too, and the invoice read again: the record's holder may have moved it.
    """
    began = datetime.now(UTC)
    known = links.invoice_links(stripe_ids)
    subjects = {id_: known[id_].record_id if id_ in known else id_ for id_ in stripe_ids}
    with INVOICE.held_if_free(subjects.values()) as busy:
        free = [id_ for id_ in stripe_ids if subjects[id_] not in busy]
        invoices = read_invoices(free, reread_payments)
        named = {
            id_: record_id
            for id_, read in invoices.items()
            if id_ not in known and isinstance(read, ReadInvoice)
            if (record_id := named_record(read.invoice))
        }
        subjects |= named
        with INVOICE.held_if_free(named.values()) as busy_too:
            busy = {**busy, **busy_too}
            free = [id_ for id_ in stripe_ids if subjects[id_] not in busy]
            invoices |= read_invoices([id_ for id_ in free if id_ in named], reread_payments)
            changes = _refresh_locked({id_: invoices[id_] for id_ in free}, subjects, touch)
    done = [change.stripe_id for change in changes if not (change.problem or change.gone)]
    close_dead_letters(done, began, reread_payments)
    return changes + [
        failure(id_, None, busy[subjects[id_]]) for id_ in stripe_ids if subjects[id_] in busy
    ]


def _refresh_locked(
    invoices: Mapping[str, ReadInvoice | InvoicingError | None],
    subjects: Mapping[str, str],
    touch: bool,
) -> list[RefreshResult]:
    """Read the records of invoices that nobody else works on, and write what differs."""
    changes: list[RefreshResult] = []
    records = matching_records(list(invoices), subjects)
    wanted: dict[str, Pair] = {}
    conflicts: dict[str, tuple[Record, str]] = {}
    for stripe_id, invoice in invoices.items():
        found, mistake = records.get(stripe_id, (None, ""))
        if isinstance(invoice, InvoicingError):
            changes.append(failure(stripe_id, found, invoice))
        elif found and mistake:
            conflicts[stripe_id] = (found, mistake)
        elif found and found[record.STRIPE_ID] not in (None, stripe_id):
            changes.append(_duplicate(stripe_id, found))
        elif invoice and found is None:
            changes.append(create_record(invoice.invoice))
        elif found and not invoice and (found[record.STATUS] or Status.DRAFT) not in DELETABLE:
            conflicts[stripe_id] = (found, vanished_message(stripe_id, found[record.STATUS]))
        elif found:
            wanted[stripe_id] = (found, invoice)
        else:
            changes.append(RefreshResult(stripe_id, gone=True))
    changes += _write(wanted, touch)
    rows = [row for row, _ in wanted.values()]
    show_customers({row["Account__c"] for row in rows if not row["Account__r"][record.CUSTOMER_ID]})
    return changes + _report_conflicts(conflicts)


def _report_conflicts(conflicts: Mapping[str, tuple[Record, str]]) -> list[RefreshResult]:
    """Mark records as conflicts: of invoices that are gone and cannot be, or of mistaken ids."""
    write_changes(
        [
            Update(
                row,
                _sync_fields(SyncState.CONFLICT, message),
                stripe_id=id_,
            )
            for id_, (row, message) in conflicts.items()
        ]
    )
    return [
        RefreshResult(id_, row["Id"], row["Name"], problem=message)
        for id_, (row, message) in conflicts.items()
    ]


def _sync_fields(state: SyncState, message: str) -> dict[str, Any]:
    """The fields that say that a record is not in step, and why."""
    fields: dict[str, Any] = {
        record.SYNC_STATE: state,
        record.SYNC_MESSAGE: message[: record.MESSAGE_LENGTH],
        record.LAST_RUN_URL: run_url(),
    }
    return record.cut(fields, text_lengths(record.INVOICE))


def _write(wanted: Mapping[str, Pair], touch: bool) -> list[RefreshResult]:
    """Write what differs, in one Collections call, every row's result looked at."""
    known = links.invoice_links(wanted)
    by_org = (
        {} if touch else rewritten_values.of_invoices([row["Id"] for row, _ in wanted.values()])
    )
    changes: list[RefreshResult] = []
    updates: dict[str, Update] = {}
    frozen: dict[str, int] = {}
    cut: dict[str, str] = {}
    for stripe_id, (row, read) in wanted.items():
        link, invoice = known.get(stripe_id), read.invoice if read else tombstone(stripe_id)
        whole = row[record.LOCAL_KEY] == stripe_id
        fields = mirrored_fields(invoice, link, whole=whole)
        lines: Sequence[MirroredLine] | None = None
        if read and (whole or invoice.status is not Status.DRAFT):
            try:
                lines = _lines_in_stripe(row, read, link)
            except InvoicingError as error:
                changes.append(failure(stripe_id, row, error))
                continue
        if lines is not None:
            there = lines_as_written(record.lines_of(row), by_org)
            kept = kept_of_lines()
            lines = without_deleted_products(lines, there, row["Id"], invoice.currency, kept)
            fields[record.LINES] = said((line.facts for line in lines), invoice.currency)
            if invoice.status is not Status.DRAFT:
                frozen[stripe_id] = sum(line.facts.checksum for line in lines)
        cut[stripe_id] = cut_texts(fields, lines)
        updates[stripe_id] = _update(row, by_org, fields, lines, touch, read and read.invoice)
    result = write_changes(list(updates.values()))
    _mark_failed(updates.values(), result.failed)
    links.remember_written(
        [
            InvoiceLink(
                stripe_id=id_,
                record_id=update.row["Id"],
                status=read.invoice.status if read else None,
                digest=read.invoice.digest if read else None,
                lines=frozen.get(id_),
            )
            for id_, update in updates.items()
            if update.row["Id"] not in result.failed
            for read in [wanted[id_][1]]
        ]
    )
    return changes + [
        _written(id_, update, wanted[id_][1], cut[id_], result) for id_, update in updates.items()
    ]


def _mark_failed(updates: Iterable[Update], failed: Mapping[str, InvoicingError]) -> None:
    """Say on records that Salesforce did not take what Stripe says; where it takes that.

    A rule that refuses one field often lets others be written. What cannot be said on the record
    is on the list of events that wait.
    """
    message = "What Stripe says of it could not be written, and is tried again:"
    rows = [
        {"Id": update.row["Id"], **_sync_fields(SyncState.FAILED, f"{message} {error}")}
        for update in updates
        if isinstance(error := failed.get(update.row["Id"]), WriteRefused)
        if update.status != Status.DRAFT
    ]
    try:
        refused = salesforce.client().update_many(record.INVOICE, rows)
    except InvoicingError as error:
        get_run_logger().warning("Records do not say that they were not written: %s", error)
        return
    for one in refused:
        get_run_logger().warning("%s does not say so itself: %s", rows[one.index]["Id"], one.error)


def _lines_in_stripe(
    row: Record, read: ReadInvoice, link: InvoiceLink | None
) -> list[MirroredLine] | None:
    """All lines of an invoice; None where the record has those that were read of it before.

    An invoice carries its first ten. Once it is finalized its lines are frozen, so that what the
    ledger remembers of them saves the calls for the rest.
    """
    invoice, lines = read.invoice, read.lines["data"]
    if read.lines["has_more"]:
        kept = kept_of_lines()
        there = (facts_on_record(one, invoice.currency, kept) for one in record.lines_of(row))
        if link and link.lines == sum(facts.checksum for facts in there):
            return None
        lines = stripe.client().invoice_lines(invoice.stripe_id)
    return mirrored_lines(invoice, lines)


def _update(
    row: Record,
    by_org: rewritten_values.Changed,
    fields: Mapping[str, Any],
    lines: Sequence[MirroredLine] | None,
    touch: bool,
    invoice: Projection | None,
) -> Update:
    """The change of a record that makes its fields and lines as wanted, where they are not."""
    there = lines_as_written(record.lines_of(row), by_org)
    seen = record.as_written(row, by_org.get(row["Id"], {}))
    changed = record.differences(with_lines_said(seen, there), fields)
    nodes: list[dict[str, Any]] = []
    if lines is not None and invoice:
        nodes = line_changes(there, lines, row["Id"], invoice.currency, kept_of_lines())
    status = fields[record.STATUS]
    if lines is not None and status == Status.DRAFT:  # made in Stripe, and in step with it
        status = Status.OPEN
    is_clean = row[record.SYNC_STATE] == SyncState.CLEAN or status == Status.DRAFT
    written = {}
    if changed or nodes or touch or not is_clean:
        written = {name: fields[name] for name in changed if name != record.LINES}
        written |= synced_fields(status)
    stripe_id = invoice.stripe_id if invoice else row[record.STRIPE_ID]
    return Update(
        row,
        written,
        changed,
        stripe_id,
        _moment_of(changed, invoice),
        nodes,
        status=status,
    )


def _moment_of(
    changed: Mapping[str, tuple[Any, Any]], invoice: Projection | None
) -> datetime | None:
    """Instant (UTC) at which the status changed by Stripe, if it did and that is known.

    Of a paid invoice that is open again Stripe tells only when it was finalized.
    Source: https://docs.stripe.com/invoicing/payment-application
    """
    if invoice is None or record.STATUS not in changed:
        return None
    if changed[record.STATUS] == (Status.PAID, Status.OPEN):
        return None
    return {
        Status.OPEN: invoice.finalized_at,
        Status.PAID: invoice.paid_at,
        Status.VOID: invoice.voided_at,
        Status.UNCOLLECTIBLE: invoice.uncollectible_at,
    }.get(invoice.status)


def _written(
    stripe_id: str, update: Update, read: ReadInvoice | None, cut: str, result: WriteResult
) -> RefreshResult:
    """What came of an update, with what the org made of it."""
    row, record_id = update.row, update.row["Id"]
    error, unmoved = result.failed.get(record_id), result.unmoved.get(record_id, ())
    moved = {name: values for name, values in update.changed.items() if name not in unmoved}
    notes = (cut if update.changed else "", result.notes.get(record_id, ""))
    change = RefreshResult(
        stripe_id,
        record_id,
        row["Name"],
        row["Account__r"]["Name"],
        changed={} if error else moved,
        note=" ".join(filter(None, notes)),
        **problem_of(error),
    )
    if read is None:
        return replace(change, status=Status.DELETED)
    invoice = read.invoice
    return replace(
        change,
        status=invoice.status,
        number=invoice.number or "",
        total=str(invoice.total),
        amount_due=str(invoice.amount_due),
        hosted_invoice_url=invoice.hosted_invoice_url or "",
    )


def _duplicate(stripe_id: str, row: Record) -> RefreshResult:
    return RefreshResult(
        stripe_id,
        row["Id"],
        row["Name"],
        problem=f"Stripe has two invoices for it, {row[record.STRIPE_ID]} and {stripe_id}; the "
        "record keeps the first. Void or delete the other in Stripe.",
    )

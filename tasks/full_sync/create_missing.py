"""Make the records of many invoices that exist in Stripe only, by few calls on both sides.

A record is written in three steps: its header, under a local key that says that it is incomplete;
its lines; and the key that says that all of them are there. Whoever comes after a run that was
killed between them finds an incomplete record, counts it as missing, and goes on with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from prefect import task

from invoicing.connectors import salesforce, stripe
from invoicing.connectors.salesforce import quoted
from invoicing.connectors.stripe import LineFacts, WholeFacts
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.projection import Projection
from invoicing.errors import InvoicingError, TransientError
from invoicing.ledger import drift, links, timeline
from invoicing.ledger.models import SyncRun
from tasks.full_sync.paging import read_again
from tasks.records.locks import INVOICE
from tasks.records.queries import select_in
from tasks.records.timeline import publish
from tasks.runtime.retries import STEP
from tasks.runtime.run import this_attempt
from tasks.sync.new_records import (
    existing_line_keys,
    named_record,
    project_all,
    record_header,
    record_lines,
)
from tasks.sync.refresh import creation_entry, synced_fields

MAX_COLLECTION_ROWS = 1_000
"""Up to so many rows travel in Collections calls; more of them in one Bulk job."""

Failures = Mapping[str, InvoicingError]
"""Errors of what could not be written, by Stripe id."""


@dataclass(frozen=True, slots=True)
class MissingInvoice:
    """An invoice that Salesforce lacks, as Stripe has it now."""

    invoice: Projection
    lines: Sequence[LineFacts]
    account: str


@task(task_run_name="create records", **STEP)
def make_records(sync: SyncRun, rows: Sequence[drift.DriftedInvoice]) -> None:
    """Make the records of invoices, and write down the outcome of each.

    Left to the fresh reading, one by one, are those that somebody works on, that have a record
    after all, that take the place of another, and those whose writing failed in passing.

    Args:
        sync: The full sync.
        rows: What is missing, the newest first.
    """
    ids = [row.subject for row in rows]
    linked = {id_: link.record_id for id_, link in links.invoice_links(ids).items()}
    with INVOICE.held_if_free([*ids, *linked.values()]) as busy:
        free = [row for row in rows if not {row.subject, linked.get(row.subject)} & {*busy}]
        accounts = {row.subject: row.account_id for row in free}
        wholes = read_again(free, stripe.client().whole_page)
        found = _without_record(_projected(wholes, accounts), linked)
        _make(sync, found)


def _projected(wholes: Sequence[WholeFacts], accounts: Mapping[str, str]) -> list[MissingInvoice]:
    return [
        MissingInvoice(invoice, whole["lines"]["data"], accounts[whole["id"]])
        for whole, invoice in zip(wholes, project_all(wholes), strict=True)
    ]


def _without_record(
    found: Sequence[MissingInvoice], linked: Mapping[str, str]
) -> list[MissingInvoice]:
    """Invoices that have no record, neither one that they name nor one that they were linked to."""
    names = {
        one.invoice.stripe_id: {named_record(one.invoice), linked.get(one.invoice.stripe_id)}
        for one in found
    }
    asked = sorted({name for some in names.values() for name in some if name})
    there = {
        row["Id"]
        for row in select_in(record.INVOICE, "Id", asked, ("Id", record.LOCAL_KEY))
        if not record.is_incomplete(row[record.LOCAL_KEY])
    }
    return [
        one
        for one in found
        if not one.invoice.replaces and not names[one.invoice.stripe_id] & there
    ]


def _make(sync: SyncRun, found: Sequence[MissingInvoice]) -> None:
    """Write headers, lines and what finishes them; each step only where the one before did."""
    if not found:
        return
    before = _incomplete_records()
    entries = {one.invoice.stripe_id: creation_entry(one.invoice) for one in found}
    timeline.propose(list(entries.values()), this_attempt())
    failed = dict(_write_headers(found))
    made = {
        id_: key
        for id_, key in _incomplete_records().items()
        if id_ in entries and id_ not in failed
    }
    _link([o.invoice for o in found if o.invoice.stripe_id in made], made)
    failed |= _write_lines([o for o in found if o.invoice.stripe_id in made], made, before)
    failed |= _finish({id_: key for id_, key in made.items() if id_ not in failed})
    made = {id_: key for id_, key in made.items() if id_ not in failed}
    drift.record_created(sync.id, made)
    keys = {id_: entries[id_].key for id_ in entries}
    timeline.assign_records({keys[id_]: record_id for id_, record_id in made.items()})
    timeline.confirm([keys[id_] for id_ in made])
    publish([keys[id_] for id_ in made])
    drift.record_outcomes(sync.id, dict.fromkeys(made, "repaired: made in Salesforce."))
    drift.record_outcomes(
        sync.id,
        {
            id_: f"not repaired: {e}"
            for id_, e in failed.items()
            if not isinstance(e, TransientError)
        },
    )


def _incomplete_records() -> dict[str, str]:
    """The incomplete records, by Stripe id."""
    incomplete = quoted(f"{record.INCOMPLETE_PREFIX}%")
    found = salesforce.client().query(
        f"SELECT Id, {record.STRIPE_ID} FROM {record.INVOICE} "  # noqa: S608
        f"WHERE {record.LOCAL_KEY} LIKE {incomplete}"
    )
    return {row[record.STRIPE_ID]: row["Id"] for row in found}


def _write_headers(found: Sequence[MissingInvoice]) -> Failures:
    rows = [
        record_header(one.invoice, one.account)
        | {record.LOCAL_KEY: f"{record.INCOMPLETE_PREFIX}{one.invoice.stripe_id}"}
        for one in sorted(found, key=lambda one: one.account)
    ]
    errors = _write(record.INVOICE, record.STRIPE_ID, rows)
    return {rows[index][record.STRIPE_ID]: error for index, error in errors.items()}


def _write_lines(
    found: Sequence[MissingInvoice], made: Mapping[str, str], before: Mapping[str, str]
) -> Failures:
    """Write lines; those of records that were incomplete before may be there, and are not moved."""
    there = existing_line_keys([before[id_] for id_ in made if id_ in before])
    owners: list[str] = []
    rows: list[dict[str, Any]] = []
    for one in found:
        stripe_id = one.invoice.stripe_id
        lines = record_lines(one.invoice, one.lines, made[stripe_id])
        lines = [line for line in lines if line[record.LOCAL_KEY] not in there]
        owners += [stripe_id] * len(lines)
        rows += lines
    errors = _write(record.LINE, record.LOCAL_KEY, rows)
    return {owners[index]: error for index, error in errors.items()}


def _finish(made: Mapping[str, str]) -> Failures:
    ids = list(made)
    in_step_now = synced_fields(Status.OPEN)
    rows = [{"Id": made[id_], record.LOCAL_KEY: id_, **in_step_now} for id_ in ids]
    client = salesforce.client()
    write = client.bulk_update if len(rows) > MAX_COLLECTION_ROWS else client.update_many
    return {ids[row.index]: row.error for row in write(record.INVOICE, rows)}


def _write(sobject: str, key: str, rows: Sequence[Mapping[str, Any]]) -> dict[int, InvoicingError]:
    """Create or update rows by an external id; returns why some were not, by their place."""
    client = salesforce.client()
    if len(rows) <= MAX_COLLECTION_ROWS:
        return {row.index: row.error for row in client.upsert_many(sobject, key, rows)}
    errors: dict[int, InvoicingError] = {}
    shape = {index: tuple(sorted(row)) for index, row in enumerate(rows)}
    for _, indices in groupby(sorted(shape, key=lambda index: shape[index]), shape.get):
        places = list(indices)
        some = [rows[place] for place in places]
        for row in client.bulk_upsert(sobject, key, some):
            errors[places[row.index]] = row.error
    return errors


def _link(invoices: Sequence[Projection], made: Mapping[str, str]) -> None:
    """Link the invoices with these records before they are complete: they are not created twice."""
    written = [
        links.LastWrite(i.stripe_id, made[i.stripe_id], i.status, i.digest) for i in invoices
    ]
    links.relink(written)
    links.remember_many(written)

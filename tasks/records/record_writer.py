"""Write changes on records, and each on the record's own timeline, exactly once.

A change is proposed in the ledger, made in Salesforce, and confirmed. Whoever comes after a
killed run sees from the record whether what was proposed happened. The copy in Salesforce is
upserted by the entry's key; what cannot be copied now is copied by the next poll.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from more_itertools import chunked, constrained_batches

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import GRAPHS, NODES, GraphError, Record
from invoicing.domain.model.invoice import TEXT_LENGTH
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.line_mirror import Kept, facts_on_record, said
from invoicing.domain.salesforce.queries import Condition, Query, is_in
from invoicing.domain.salesforce.timeline_text import describe_change, has_news
from invoicing.errors import InvoicingError
from invoicing.ledger import timeline
from invoicing.ledger.models import EntryState, TimelineEntry
from tasks.records.locks import INVOICE
from tasks.records.org_facts import text_lengths
from tasks.records.rewritten_values import check_saved
from tasks.records.timeline import copy_entries, make_entry, publish
from tasks.runtime.run_name import this_attempt
from tasks.runtime.step import step


@dataclass(frozen=True, slots=True)
class Update:
    """Fields to be written on a record, and those of them that go on its timeline.

    Attributes:
        row: The record as it was read, with all its state fields.
        fields: What to write, without the id; empty where nothing is to be written.
        changed: What differs: field to was and is.
        stripe_id: Its Stripe invoice.
        happened_at: When it happened, UTC, if the services say so; else it is now.
        lines: Subrequests that change its lines, all or none, before the record itself.
        status: Its status by Stripe, if that is known.
    """

    row: Record
    fields: Mapping[str, Any]
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    stripe_id: str | None = None
    happened_at: datetime | None = None
    lines: Sequence[Mapping[str, Any]] = ()
    status: str = ""


def read_states(where: Condition) -> list[Record]:
    """Records with all that is compared of them, and their lines."""
    query = Query(record.INVOICE, (*record.STATE_FIELDS, record.LINES_QUERY), where=where)
    return salesforce.client().query(query)


def with_lines_said(row: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> Record:
    """A record with its lines as a text, by which they are compared, in an order of their own."""
    kept, currency = kept_of_lines(), row[record.CURRENCY] or ""
    facts = (facts_on_record(one, currency, kept) for one in lines)
    return {**row, record.LINES: said(facts, currency)}


def kept_of_lines() -> Kept:
    """What the org keeps of lines."""
    keeps = partial(salesforce.client().keeps, record.LINE)
    return Kept(
        keys=keeps(record.LOCAL_KEY),
        exact_prices=keeps(record.EXACT_PRICE),
        text=text_lengths(record.LINE).get("Description__c", TEXT_LENGTH),
    )


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of updates, by record.

    Attributes:
        failed: What was not written, or not saved as it was written.
        notes: What the org makes of texts as it saves them, in a sentence.
        unmoved: Fields that were written and are as they were before: the org has its own way.
    """

    failed: Mapping[str, InvoicingError]
    notes: Mapping[str, str]
    unmoved: Mapping[str, frozenset[str]]


def write_changes(updates: Sequence[Update]) -> WriteResult:
    """Write records, and each change on its timeline; then look at what was saved.

    The caller holds the records' leases. Salesforce gets one call for each 200 records, one for
    each 200 changes, and one to look.
    """
    _confirm_proposed(updates)
    writing = [update for update in updates if update.fields]
    entries = {u.row["Id"]: _entry(u) for u in writing if has_news(u.changed)}
    if entries:
        timeline.propose(list(entries.values()), this_attempt())
    failed, lines = _write_lines([update for update in writing if update.lines])
    rows = [
        {"Id": update.row["Id"], **update.fields}
        for update in writing
        if update.row["Id"] not in failed
    ]
    errors = salesforce.client().update_many(record.INVOICE, rows)
    failed |= {rows[row.index]["Id"]: row.error for row in errors}
    saved = check_saved(
        {
            id_: {id_: update.fields} | lines.get(id_, {})
            for update in writing
            if (id_ := update.row["Id"]) not in failed and (update.changed or update.lines)
        }
    )
    unmoved = {
        update.row["Id"]: _unmoved(update, saved.rows[update.row["Id"]])
        for update in writing
        if update.row["Id"] in saved.rows
    }
    happened = [
        entry.key
        for update in writing
        if (entry := entries.get(id_ := update.row["Id"])) and id_ not in failed
        if update.changed.keys() - unmoved.get(id_, ())
    ]
    if entries:
        dropped = [entry.key for entry in entries.values() if entry.key not in happened]
        timeline.confirm(happened, dropped)
        publish(happened)
    return WriteResult({**failed, **saved.errors}, saved.notes, unmoved)


def _unmoved(update: Update, now: Record) -> frozenset[str]:
    """Fields that were to change, and say what they said before."""
    before, there = (with_lines_said(row, record.lines_of(row)) for row in (update.row, now))
    return frozenset(
        name
        for name in update.changed
        if name in before
        and record.comparable(name, before[name]) == record.comparable(name, there[name])
    )


def _write_lines(
    updates: Sequence[Update],
) -> tuple[dict[str, InvoicingError], dict[str, dict[str, Mapping[str, Any]]]]:
    """Change the lines of records, as many in a call as it takes.

    Returns:
        What failed, by record; and what was written of each line of the others.
    """
    failed: dict[str, InvoicingError] = {}
    written: dict[str, dict[str, Mapping[str, Any]]] = {}
    for some in constrained_batches(updates, NODES, GRAPHS, get_len=lambda one: len(one.lines)):
        answers = salesforce.client().write_graphs([update.lines for update in some])
        for update, answer in zip(some, answers, strict=True):
            if isinstance(answer, GraphError):
                failed[update.row["Id"]] = answer.error
            else:
                written[update.row["Id"]] = written_fields(update.lines, answer)
    return failed, written


def written_fields(
    nodes: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """The fields that subrequests wrote, by the ids of what they made or changed."""
    return {
        node["path"].rpartition("/")[2]
        if node["method"] == "PATCH"
        else str(answers[node["referenceId"]]["id"]): node["body"]
        for node in nodes
        if "body" in node
    }


def _confirm_proposed(updates: Sequence[Update]) -> None:
    """Confirm or forget what runs that died had proposed, by what the records say now."""
    rows = {update.row["Id"]: update.row for update in updates}
    by_stripe = {update.stripe_id: update.row for update in updates if update.stripe_id}
    left = timeline.proposed(list(rows), list(by_stripe))
    if not left:
        return
    happened, dropped = [], []
    for entry in left:
        row = rows.get(entry.record_id or "") or by_stripe[entry.stripe_id or ""]
        before = {name: was for name, (was, _) in orjson.loads(entry.changes).items()}
        if record.differences(with_lines_said(row, record.lines_of(row)), before):
            happened.append(entry.key)
            timeline.assign_records({entry.key: row["Id"]})
        else:
            dropped.append(entry.key)
    timeline.confirm(happened, dropped)
    publish(happened)


def _entry(update: Update) -> TimelineEntry:
    total = update.fields.get(record.TOTAL, update.row.get(record.TOTAL))
    said = describe_change(update.changed, update.row.get(record.CURRENCY) or "", total)
    return make_entry(
        "",
        said.what,
        record_id=update.row["Id"],
        stripe_id=update.stripe_id,
        amount=said.amount,
        happened_at=update.happened_at,
        changed=update.changed,
        state=EntryState.PROPOSED,
    )


@step("complete the timelines of invoices")
def complete_timelines() -> None:
    """Find out what runs that died had changed, and copy what is not in Salesforce yet."""
    ids = sorted({entry.record_id for entry in timeline.proposed() if entry.record_id})
    for some in chunked(ids, salesforce.COLLECTION):
        _confirm_proposed_of(some)
    copy_entries(timeline.waiting())


def _confirm_proposed_of(record_ids: Sequence[str]) -> None:
    """Confirm or drop what was proposed for records that are not locked by another run.

    What was proposed for a record that was deleted since is forgotten with it.
    """
    with INVOICE.held_if_free(record_ids) as busy:
        mine = [id_ for id_ in record_ids if id_ not in busy]
        if mine:
            rows = read_states(is_in("Id", mine))
            _confirm_proposed([Update(row, {}) for row in rows])
            gone = set(mine) - {row["Id"] for row in rows}
            timeline.confirm([], [entry.key for entry in timeline.proposed(gone)] if gone else [])

"""Entries of records' timelines: kept in the ledger, copied to Salesforce, shown to people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Required, TypedDict, Unpack

import orjson
from more_itertools import chunked
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import RowError
from invoicing.domain.model import markdown
from invoicing.domain.model.dates import written_moment
from invoicing.domain.model.money import Money
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.timeline_text import SIDE_BY_FLOW, Side, listed
from invoicing.errors import TransientError
from invoicing.ledger import timeline
from invoicing.ledger.models import EntryState, TimelineEntry
from tasks.records.org_facts import text_lengths
from tasks.runtime.artifacts import publish_page
from tasks.runtime.run_name import run_id, run_url
from tasks.runtime.step import step

BULK_THRESHOLD = 2_000
"""From so many entries on, they travel in one Bulk job instead of Collections calls."""


class Facts(TypedDict, total=False):
    """What else there is to tell of an entry."""

    record_id: Required[str | None]
    stripe_id: str | None
    amount: Money | None
    happened_at: datetime | None
    changed: Mapping[str, tuple[Any, Any]] | None
    state: EntryState


def make_entry(key: str, what: str, **facts: Unpack[Facts]) -> TimelineEntry:
    """An entry of this run; see :class:`TimelineEntry`."""
    return TimelineEntry(**entry_values(key, what, **facts))


def entry_values(key: str, what: str, **facts: Unpack[Facts]) -> dict[str, Any]:
    """The columns of an entry of this run, where there are thousands."""
    amount = facts.get("amount")
    return {
        "key": key,
        "record_id": facts["record_id"],
        "stripe_id": facts.get("stripe_id"),
        "happened_at": facts.get("happened_at") or datetime.now(UTC),
        "side": SIDE_BY_FLOW.get(str(flow_run.flow_name), Side.SALESFORCE),
        "what": what,
        "changes": orjson.dumps(dict(facts.get("changed") or {}), default=_as_json).decode(),
        "amount": float(amount.decimal) if amount else None,
        "currency": amount.currency if amount else None,
        "run_id": run_id(),
        "run_url": run_url(),
        "state": facts.get("state", EntryState.HAPPENED),
    }


def _as_json(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


def add_entry(
    key: str,
    record_id: str,
    what: str,
    *,
    stripe_id: str | None = None,
    amount: Money | None = None,
    happened_at: datetime | None = None,
) -> None:
    """Tell on a record's timeline what happened, once for each key (at most 64 characters).

    For acts that have a key of their own: a draft raised or revised, a mail.
    """
    entry = make_entry(
        key,
        what,
        record_id=record_id,
        stripe_id=stripe_id,
        amount=amount,
        happened_at=happened_at,
    )
    add_entries([entry])


def add_entries(entries: Sequence[TimelineEntry]) -> None:
    """Tell what has happened on many timelines, once for each key."""
    timeline.add(entries)
    publish([entry.key for entry in entries])


def publish(keys: Sequence[str]) -> None:
    """Copy entries to Salesforce; what does not get there now, the next poll copies."""
    if keys:
        copy_entries(timeline.waiting(keys=keys))


def copy_entries(entries: Iterable[record.Entry]) -> None:
    """Copy entries to Salesforce, as far as they have a record."""
    for some in chunked((entry for entry in entries if entry.record_id), salesforce.BULK_ROWS):
        _copy(some)


def _copy(entries: Sequence[record.Entry]) -> None:
    client, rows = salesforce.client(), [_fields(entry) for entry in entries]
    write = client.bulk_upsert if len(entries) > BULK_THRESHOLD else client.upsert_many
    try:
        errors: list[RowError] = write(record.EVENT, record.EVENT_KEY, rows)
    except TransientError as error:
        get_run_logger().warning("Timelines will be completed later: %s", error)
        return
    failed = {row.index: row.error for row in errors}
    refused = [i for i, error in failed.items() if not isinstance(error, TransientError)]
    for index in refused:
        get_run_logger().warning("%s is not on a timeline: %s", entries[index].key, failed[index])
    there = [entry.key for index, entry in enumerate(entries) if index not in failed]
    timeline.mark(there, EntryState.PUBLISHED)
    timeline.mark([entries[index].key for index in refused], EntryState.REFUSED)


def _fields(entry: record.Entry) -> dict[str, Any]:
    fields = record.event_fields(entry, listed(orjson.loads(entry.changes)))
    return record.cut(fields, text_lengths(record.EVENT))


@step("show the timeline")
def publish_timeline(record_id: str, name: str) -> None:
    """Attach a record's timeline to the run, for people."""
    rows = [
        (
            written_moment(entry.happened_at),
            entry.side,
            entry.what,
            markdown.link(entry.run_url and "run", entry.run_url),
        )
        for entry in timeline.of_record(record_id)
    ]
    table = markdown.table(("When (UTC)", "From", "What", "By"), rows)
    body = table if rows else "Nothing has happened to it yet."
    publish_page("timeline", f"# {name}\n\n{body}\n", f"What happened to {name}.")

"""The timeline in the ledger: each change of a record once, whatever dies in between."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from more_itertools import chunked
from sqlalchemy import func, update
from sqlmodel import col, delete, select

from invoicing.domain.salesforce.record import Entry
from invoicing.errors import TransientError
from invoicing.ledger.database import (
    execute,
    insert_missing,
    insert_values,
    read_all,
    session,
    update_each,
)
from invoicing.ledger.models import EntryState, Lease, TimelineEntry

CHUNK = 500


def proposed(
    record_ids: Collection[str] | None = None, stripe_ids: Collection[str] = ()
) -> list[TimelineEntry]:
    """Changes that somebody was about to make, and that nobody confirmed yet.

    Args:
        record_ids: Only of these records; of all, unless given.
        stripe_ids: And of records to be, that these Stripe invoices were to get.
    """
    query = select(TimelineEntry).where(TimelineEntry.state == EntryState.PROPOSED)
    if record_ids is not None:
        of_record = col(TimelineEntry.record_id).in_(record_ids)
        query = query.where(of_record | col(TimelineEntry.stripe_id).in_(stripe_ids))
    return read_all(query)


def propose(entries: Sequence[TimelineEntry], owner: str) -> None:
    """Write down changes that are about to be made; those without a key are numbered.

    Args:
        entries: The changes. What was proposed before on these records is confirmed or dropped.
        owner: Holds the leases on the records of all that have no key, or on their Stripe ids.

    Raises:
        TransientError: it lost one of them meanwhile, so what it has read may be old.
    """
    numbered = [entry for entry in entries if not entry.key]
    subjects = {subject for e in numbered for subject in (e.record_id, e.stripe_id) if subject}
    mine = select(Lease.subject).where(Lease.owner == owner, col(Lease.subject).in_(subjects))
    ids = [entry.record_id for entry in numbered]
    last = (
        select(TimelineEntry.record_id, func.max(TimelineEntry.number))
        .where(col(TimelineEntry.record_id).in_(ids))
        .group_by(col(TimelineEntry.record_id))
    )
    with session() as ledger:
        held = set(ledger.exec(mine)) if numbered else set()
        if not all({entry.record_id, entry.stripe_id} & held for entry in numbered):
            raise TransientError(
                "Another run has worked on this invoice meanwhile; it is read again."
            )
        known = dict(ledger.exec(last).all()) if ids else {}
        for entry in numbered:
            entry.number = (known.get(entry.record_id) or 0) + 1
            entry.key = f"{entry.record_id}-{entry.number}"
        insert_missing(ledger, entries)


def confirm(happened: Collection[str], dropped: Collection[str] = ()) -> None:
    """Confirm proposals by their keys, and forget those that came to nothing."""
    mine = (col(TimelineEntry.key).in_(happened), col(TimelineEntry.state) == EntryState.PROPOSED)
    with session() as ledger:
        if happened:
            ledger.execute(update(TimelineEntry).where(*mine).values(state=EntryState.HAPPENED))
        if dropped:
            ledger.execute(delete(TimelineEntry).where(col(TimelineEntry.key).in_(dropped)))


def assign_records(records: Mapping[str, str]) -> None:
    """Note which record entries are of that were proposed before it was there, by their keys."""
    with session() as ledger:
        rows = {key: {"record_id": record_id} for key, record_id in records.items()}
        update_each(ledger, TimelineEntry, "key", rows)


def add(entries: Sequence[TimelineEntry]) -> int:
    """Write down what has happened, once for each key; returns how many entries are new."""
    return add_values([entry.model_dump() for entry in entries])


def add_values(entries: Iterable[Mapping[str, Any]]) -> int:
    """What :func:`add` does, of thousands of entries of which nobody needs the objects."""
    with session() as ledger:
        chunks = chunked(entries, CHUNK)
        return sum(len(insert_values(ledger, TimelineEntry, some)) for some in chunks)


def waiting(keys: Collection[str] | None = None) -> list[Entry]:
    """Entries that happened and are not in Salesforce yet, oldest first, or those of some keys."""
    columns = [getattr(TimelineEntry, name) for name in Entry._fields]
    query = select(*columns).where(TimelineEntry.state == EntryState.HAPPENED)
    if keys is not None:
        query = query.where(col(TimelineEntry.key).in_(keys))
    with session() as ledger:
        rows = ledger.exec(query.order_by(col(TimelineEntry.happened_at)))
        return [Entry(*row) for row in rows]


def mark(keys: Iterable[str], state: EntryState) -> None:
    """Note that entries are in Salesforce, or that it does not take them."""
    change = update(TimelineEntry).where(col(TimelineEntry.key).in_(list(keys)))
    execute(change.values(state=state))


def known(keys: Collection[str]) -> set[str]:
    """Those of some keys whose entries are there."""
    query = select(TimelineEntry.key).where(col(TimelineEntry.key).in_(keys))
    return set(read_all(query))


def of_record(record_id: str) -> list[TimelineEntry]:
    """A record's timeline, oldest first."""
    query = select(TimelineEntry).where(
        TimelineEntry.record_id == record_id, TimelineEntry.state != EntryState.PROPOSED
    )
    order = (col(TimelineEntry.happened_at), col(TimelineEntry.number))
    return read_all(query.order_by(*order))

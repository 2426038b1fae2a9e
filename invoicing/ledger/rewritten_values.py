"""Texts that an org changes before it saves them: what was written, and what it made of that.

Kept until the same is written again and saved as it is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from more_itertools import chunked
from sqlalchemy import func
from sqlmodel import col, delete, select, tuple_

from invoicing.ledger.database import session
from invoicing.ledger.models import OrgChange

CHUNK = 500

Changed = Mapping[str, Mapping[str, tuple[str | None, str | None]]]
"""By the id of a record or line and field: what was written, and what was saved."""


class FieldChanged(NamedTuple):
    """A field that the org changes, and on how many invoices; one of them as an example."""

    field: str
    invoices: int
    written: str | None
    saved: str | None


def remember(looked_at: Iterable[tuple[str, str]], changed: Sequence[OrgChange]) -> None:
    """Remember what was found of fields that were written just now, and nothing else of them.

    Args:
        looked_at: Ids of records or lines, each with a field, each once.
        changed: Those of which something else was saved.
    """
    key = tuple_(col(OrgChange.record_id), col(OrgChange.field))
    with session() as ledger:
        if ledger.exec(select(OrgChange.record_id).limit(1)).first() is not None:
            for some in chunked(looked_at, CHUNK):
                ledger.execute(delete(OrgChange).where(key.in_(some)))
        ledger.add_all(changed)


def of_invoices(record_ids: Collection[str]) -> Changed:
    """What the org changed on some invoices and their lines."""
    found: dict[str, dict[str, tuple[str | None, str | None]]] = {}
    with session() as ledger:
        if ledger.exec(select(OrgChange.record_id).limit(1)).first() is None:
            return found
        for some in chunked(record_ids, CHUNK):
            for one in ledger.exec(select(OrgChange).where(col(OrgChange.invoice_id).in_(some))):
                found.setdefault(one.record_id, {})[one.field] = (one.written, one.saved)
    return found


def by_field(but: Collection[str] = ()) -> list[FieldChanged]:
    """The fields that the org changes, the most frequent first.

    Args:
        but: Fields to leave out.
    """
    invoices = func.count(col(OrgChange.invoice_id).distinct())
    first = func.min(col(OrgChange.record_id))
    query = select(OrgChange.field, invoices, first).where(col(OrgChange.field).not_in(but))
    query = query.group_by(col(OrgChange.field))
    with session() as ledger:
        counted = ledger.exec(query.order_by(invoices.desc(), col(OrgChange.field))).all()
        examples = [ledger.get_one(OrgChange, (id_, field)) for field, _, id_ in counted]
    return [
        FieldChanged(field, count, one.written, one.saved)
        for (field, count, _), one in zip(counted, examples, strict=True)
    ]

"""What an org made of what was written: its flows and triggers may change a record as it is saved.

Texts that it changes are remembered and said; they are no difference from then on. Whatever else
it changes is an error each time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from more_itertools import chunked

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Record
from invoicing.domain.model.wording import label
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query, is_in
from invoicing.errors import InvoicingError, WriteRefused
from invoicing.ledger import rewritten_values
from invoicing.ledger.models import OrgChange

Written = Mapping[str, Mapping[str, Any]]
"""Fields that were written, by the id of the record itself and of its lines."""

OF_LINE = f"{record.LINES}."
"""Before the name of a line's field."""

PRODUCT_OF_LINE = f"{OF_LINE}Product__c"
"""A line's product, which Salesforce empties once the product is deleted."""

WATCHED = frozenset((*record.MIRRORED_FIELDS, record.SENT_AT))
WATCHED_OF_LINES = frozenset(record.LINE_FIELDS) - {"Id", "Position__c"}


@dataclass(frozen=True)
class Saved:
    """What became of some records.

    Attributes:
        rows: As they are now, by id.
        notes: What the org makes of texts, in a sentence, by record.
        errors: What it changed that it must not, by record.
    """

    rows: Mapping[str, Record] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, InvoicingError] = field(default_factory=dict)


def check_saved(written: Mapping[str, Written]) -> Saved:
    """Read records that were written just now, and remember what the org made of them.

    The caller holds their leases; one call for each 200 records.

    Args:
        written: By invoice record, what was written of it and of its lines.
    """
    rows = {
        row["Id"]: row
        for some in chunked(written, salesforce.COLLECTION)
        for row in salesforce.client().query(
            Query(record.INVOICE, (*record.STATE_FIELDS, record.LINES_QUERY), is_in("Id", some))
        )
    }
    return replace(_compared(rows.values(), written.__getitem__, written), rows=rows)


def check_saved_in_bulk(
    record_ids: Sequence[str], written: Callable[[str], Mapping[str, Any]]
) -> Saved:
    """Look at thousands of records of which no lines were written, as :func:`check_saved` does.

    Of the records nothing is kept.

    Args:
        record_ids: The invoice records.
        written: What was written of one of them; worked out again, for it is much to keep.
    """
    fields = ["Id", *sorted(WATCHED)]
    rows = salesforce.client().retrieve(record.INVOICE, record_ids, fields)
    return _compared(rows, lambda id_: {id_: written(id_)}, record_ids)


def _compared(
    rows: Iterable[Record], written: Callable[[str], Written], record_ids: Iterable[str]
) -> Saved:
    """What the org made of what was written, and remember it."""
    notes: dict[str, str] = {}
    errors: dict[str, InvoicingError] = {}
    found: list[OrgChange] = []
    for row in rows:
        changed = _changes(row, written(row["Id"]))
        texts = [one for one in changed if _name(one.field) in record.ORG_MAY_CHANGE]
        wrong = [one for one in changed if _name(one.field) not in record.ORG_MAY_CHANGE]
        found += texts
        if texts:
            notes[row["Id"]] = f"Salesforce changes {'; '.join(map(describe, texts))}."
        if wrong:
            errors[row["Id"]] = WriteRefused(
                f"Salesforce changes {'; '.join(map(describe, wrong))}. A flow or a trigger of "
                "the org does that as the record is saved: have it leave these fields alone."
            )
    looked_at = (
        (id_, _field(id_ == record_id, name))
        for record_id in record_ids
        for id_, fields in written(record_id).items()
        for name in fields
        if name in record.ORG_MAY_CHANGE
    )
    rewritten_values.remember(looked_at, found)
    return Saved(notes=notes, errors=errors)


def _changes(row: Record, written: Written) -> list[OrgChange]:
    """The watched fields of which something else was saved."""
    changed = []
    for part in (row, *record.lines_of(row)):
        own = part is row
        fields = written.get(part["Id"], {})
        watched = WATCHED if own else WATCHED_OF_LINES
        asked = {name: value for name, value in fields.items() if name in watched}
        changed += [
            OrgChange(
                record_id=part["Id"],
                field=_field(own, name),
                invoice_id=row["Id"],
                written=_text(record.comparable(name, wanted)),
                saved=_text(record.comparable(name, saved)),
            )
            for name, (saved, wanted) in record.differences(part, asked).items()
        ]
    return changed


def _field(own: bool, name: str) -> str:
    return name if own else OF_LINE + name


def _name(field_: str) -> str:
    return field_.removeprefix(OF_LINE)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def describe(change: OrgChange | rewritten_values.FieldChanged) -> str:
    """A change as people read it: ``number as it saves it: “1” becomes “US-1”``."""
    return (
        f"{field_label(change.field)} as it saves it: “{change.written or ''}” becomes "
        f"“{change.saved or ''}”"
    )


def field_label(field_: str) -> str:
    """A field as people read it."""
    return ("a line's " if field_.startswith(OF_LINE) else "") + label(_name(field_))


def lines_as_written(
    lines: Iterable[Mapping[str, Any]], changes: rewritten_values.Changed
) -> list[dict[str, Any]]:
    """A record's lines, as they were written where the org saves something else."""
    return [
        record.as_written(
            line, {_name(name): values for name, values in changes.get(line["Id"], {}).items()}
        )
        for line in lines
    ]

"""Default values of new records, by the field mapping: constants, copies, record types, the day."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from invoicing.domain.salesforce.field_mapping import ORG_PREFIX, Names, NewValue, value_at
from invoicing.domain.salesforce.record import INVOICE

SOURCES = {"Account": "Account__c", "Opportunity": "Opportunity__c"}
"""Objects that a new invoice can copy from, and the field of it that names the record."""

Parents = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Records to copy from, by object and id."""


def copied_fields(names: Names) -> dict[str, list[str]]:
    """Our paths of the fields that new invoices copy, by the object that they start at."""
    found: dict[str, list[str]] = {}
    for value in names.of(INVOICE).mapping.new.values():
        if isinstance(value, NewValue) and value.source:
            start, _, path = value.source.partition(".")
            found.setdefault(start, []).append(names.our_path(start, path))
    return found


def with_default_values(
    names: Names,
    sobject: str,
    body: Mapping[str, Any],
    parents: Parents,
    record_types: Mapping[str, str],
    today: date,
) -> dict[str, Any]:
    """The fields of a new record with those that the field mapping adds.

    Args:
        names: The org's names.
        sobject: One of our objects.
        body: Our fields.
        parents: The records to copy from.
        record_types: The ids of the object's record types, by their developer names.
        today: The business's date.
    """
    filled = dict(body)
    for name, value in names.of(sobject).mapping.new.items():
        if not isinstance(value, NewValue):
            found: Any = value
        elif value.today:
            found = today.isoformat()
        elif value.record_type:
            found = record_types.get(value.record_type)
        else:
            start, _, path = value.source.partition(".")
            parent = parents.get(start, {}).get(str(body.get(SOURCES[start])))
            found = value_at(parent, names.our_path(start, path))
            if found is None:
                continue
        filled[ORG_PREFIX + name] = found
    return filled

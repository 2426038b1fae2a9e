"""Default values of new records, by the field mapping: constants, copies, record types, the day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from invoicing.domain.salesforce.field_mapping import ORG_PREFIX, Names, NewValue, value_at

SOURCES = {"Account": "Account__c", "Opportunity": "Opportunity__c"}
"""Objects that a new invoice can copy from, and the field of it that names the record."""

Parents = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Records to copy from, by object and id."""


@dataclass(frozen=True)
class DefaultValues:
    """Fills new records as the field mapping says."""

    names: Names

    def wanted(self, sobject: str) -> Mapping[str, NewValue | str | bool | int | float]:
        """What new records of one of our objects get, by the org's fields."""
        return self.names.of(sobject).mapping.new

    def sources(self, sobject: str) -> dict[str, list[str]]:
        """Our paths of the fields that are copied, by the object that they start at."""
        found: dict[str, list[str]] = {}
        for value in self.wanted(sobject).values():
            if isinstance(value, NewValue) and value.source:
                start, _, path = value.source.partition(".")
                found.setdefault(start, []).append(self.names.our_path(start, path))
        return found

    def parents(self, bodies: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, set[str]]:
        """Ids of the records that new ones, as object and fields, copy from; by object."""
        return {
            start: {str(body[of]) for sobject, body in bodies if body.get(of)}
            for start, of in SOURCES.items()
            if any(start in self.sources(sobject) for sobject, _ in bodies)
        }

    def filled(
        self,
        sobject: str,
        body: Mapping[str, Any],
        parents: Parents,
        record_type: Callable[[str], str | None],
        today: date,
    ) -> dict[str, Any]:
        """The fields of a new record with those that the field mapping adds.

        Args:
            sobject: One of our objects.
            body: Our fields.
            parents: The records to copy from.
            record_type: The id of a record type, by its developer name.
            today: The business's date.
        """
        more: dict[str, Any] = {}
        for name, value in self.wanted(sobject).items():
            if not isinstance(value, NewValue):
                more[name] = value
            elif value.today:
                more[name] = today.isoformat()
            elif value.record_type:
                more[name] = record_type(value.record_type)
            else:
                start, _, path = value.source.partition(".")
                parent = parents.get(start, {}).get(str(body.get(SOURCES[start])))
                found = value_at(parent, self.names.our_path(start, path))
                if found is not None:
                    more[name] = found
        return {**body, **{ORG_PREFIX + name: value for name, value in more.items()}}

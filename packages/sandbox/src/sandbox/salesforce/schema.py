"""The org's objects and fields, and the properties that decide how values behave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

OnDelete = Literal["cascade", "restrict", "clear"]
Scalar = str | float | bool | int | None

CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "KWD", "ISK")
"""ISO codes of the org's active currencies; the first is the corporate one."""

METADATA_TYPE = "__mdt"
"""Ends the names of custom metadata types."""

NUMERIC = frozenset({"double", "currency", "percent", "int"})


@dataclass(frozen=True, slots=True)
class Summary:
    """What a roll-up makes of a master's details: ``operation`` is count, sum, min or max."""

    operation: str
    child: str
    reference: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """What must not be so when a record is saved, and what is said then, beside which field."""

    name: str
    formula: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field, with the properties that decide how values are checked and stored.

    ``type`` is the API's word (``string``, ``double``, ``reference`` …), not the
    metadata's. ``length`` counts characters, ``precision`` and ``scale`` digits. ``granted_as``
    is what a permission set calls it: an address for each of its parts, nothing for what everybody
    sees who sees the object.
    """

    name: str
    type: str
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    default: Scalar = None
    values: tuple[str, ...] = ()
    restricted: bool = False
    to: tuple[str, ...] = ()
    relationship: str | None = None
    children: str | None = None
    children_label: str = ""
    on_delete: OnDelete | None = None
    master: bool = False
    auto_number: str | None = None
    read_only: bool = False
    fixed: bool = False
    help: str = ""
    formula: str = ""
    blank_as_zero: bool = False
    summary: Summary | None = None
    granted_as: str = ""

    @property
    def calculated(self) -> bool:
        """Whether the org works it out, and nobody writes it."""
        return bool(self.formula or self.summary)

    @property
    def custom(self) -> bool:
        """Whether the field belongs to the package rather than the platform."""
        return self.name.endswith("__c")

    @property
    def createable(self) -> bool:
        """Whether a create request may set it."""
        return not (self.read_only or self.auto_number or self.calculated)

    @property
    def updateable(self) -> bool:
        """Whether an update request may set it."""
        return self.createable and not self.fixed

    @property
    def filterable(self) -> bool:
        """Whether SOQL may filter, sort and group by it; long text areas may not."""
        return not (self.type == "textarea" and self.length > 255)

    @property
    def binary(self) -> bool:
        """Whether values are compared case by case."""
        return self.case_sensitive or self.type in {"id", "reference", "date", "datetime", "time"}


@dataclass(frozen=True, slots=True)
class ChildRelationship:
    """A reference seen from the record it points at."""

    name: str | None
    child: str
    field: Field


@dataclass(frozen=True, kw_only=True)
class SObject:
    """One object: its fields by name and what may be done with its records.

    ``follows`` are the objects that lend it their permissions, where it has none of its own;
    ``record_types`` are its record types, by developer name; ``refused`` is what the user may not
    do, of create, update and delete.
    """

    name: str
    prefix: str
    label: str
    plural: str
    fields: Mapping[str, Field]
    undeletable: bool = False
    mergeable: bool = False
    follows: tuple[str, ...] = ()
    record_types: Mapping[str, str] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    rules: tuple[ValidationRule, ...] = ()

    @cached_property
    def _by_lower_name(self) -> dict[str, Field]:
        return {name.lower(): field for name, field in self.fields.items()}

    @cached_property
    def _by_relationship(self) -> dict[str, Field]:
        return {f.relationship.lower(): f for f in self.fields.values() if f.relationship}

    @property
    def custom(self) -> bool:
        """Whether the package brings the object."""
        return self.name.endswith(("__c", METADATA_TYPE))

    @cached_property
    def name_field(self) -> Field | None:
        """The field shown as the record's name, where there is one."""
        return self.fields.get("Name")

    def find(self, name: str) -> Field | None:
        """The field of this name, letter case aside."""
        return self._by_lower_name.get(name.lower())

    def find_relationship(self, name: str) -> Field | None:
        """The reference field behind a relationship name such as ``Account__r``."""
        return self._by_relationship.get(name.lower())

    @cached_property
    def required(self) -> tuple[Field, ...]:
        """Fields a create request must fill."""
        return tuple(f for f in self.fields.values() if f.required and f.createable)

    @cached_property
    def creatable_fields(self) -> dict[str, Field]:
        """Fields that a create request may set, by name."""
        return {f.name: f for f in self._plain if f.createable}

    @cached_property
    def updatable_fields(self) -> dict[str, Field]:
        """Fields that an update request may set, by name."""
        return {f.name: f for f in self._plain if f.updateable}

    @property
    def _plain(self) -> Iterator[Field]:
        """Fields whose names are not those of relationships as well."""
        taken = self._by_relationship.keys() | {"id"}
        return (f for f in self.fields.values() if f.name.lower() not in taken)

    @cached_property
    def locking(self) -> tuple[Field, ...]:
        """References whose parents a write may lock: masters, and those that cannot be cleared."""
        lasting = {"cascade", "restrict"}
        return tuple(f for f in self.fields.values() if f.master or f.on_delete in lasting)

    @cached_property
    def formulas(self) -> tuple[Field, ...]:
        """Fields that follow from others of the same record."""
        return tuple(f for f in self.fields.values() if f.formula)

    @cached_property
    def roll_ups(self) -> tuple[Field, ...]:
        """Fields that follow from the record's details."""
        return tuple(f for f in self.fields.values() if f.summary)

    @cached_property
    def unique(self) -> tuple[Field, ...]:
        """Fields whose values may occur once among records that are not deleted."""
        return tuple(f for f in self.fields.values() if f.unique)


@dataclass(frozen=True)
class Schema:
    """All objects of the org."""

    objects: Mapping[str, SObject]
    _lower: dict[str, SObject] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lower", {n.lower(): o for n, o in self.objects.items()})

    def __iter__(self) -> Iterator[SObject]:
        return iter(self.objects.values())

    def find(self, name: str) -> SObject | None:
        """The object of this name, letter case aside."""
        return self._lower.get(name.lower())

    @cached_property
    def _children(self) -> dict[str, tuple[ChildRelationship, ...]]:
        found: dict[str, list[ChildRelationship]] = {name: [] for name in self.objects}
        for child in self.objects.values():
            for f in child.fields.values():
                for parent in set(f.to) & found.keys():
                    found[parent].append(ChildRelationship(f.children, child.name, f))
        return {name: tuple(children) for name, children in found.items()}

    def children(self, name: str) -> tuple[ChildRelationship, ...]:
        """Every reference that points at the object."""
        return self._children[name]

    def find_children(self, parent: str, relationship: str) -> ChildRelationship | None:
        """The child relationship of this name, letter case aside."""
        wanted = relationship.lower()
        for child in self.children(parent):
            if child.name and child.name.lower() == wanted:
                return child
        return None

    @cached_property
    def by_prefix(self) -> dict[str, SObject]:
        """Objects by the first three characters of their records' ids."""
        return {o.prefix: o for o in self.objects.values()}

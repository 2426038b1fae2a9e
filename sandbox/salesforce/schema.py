"""The org's objects and fields: one definition, read from files at start.

Standard objects are described in ``standard_objects.toml``; custom objects and custom
fields on standard objects are read from Salesforce source metadata (SFDX layout), so a
field added to the package exists here with no change of code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from sandbox.salesforce.ids import BASE62

OnDelete = Literal["cascade", "restrict", "clear"]
Scalar = str | float | bool | int | None

CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "KWD", "ISK")
"""ISO codes of the org's active currencies; the first is the corporate one."""

NUMERIC = frozenset({"double", "currency", "percent", "int"})
_TEXT_LENGTHS = {"Email": 80, "Phone": 40, "Url": 255, "TextArea": 255, "Picklist": 255}
_TYPES = {
    "Text": "string", "TextArea": "textarea", "LongTextArea": "textarea", "Html": "textarea",
    "Email": "email", "Phone": "phone", "Url": "url", "Number": "double", "Currency": "currency",
    "Percent": "percent", "Checkbox": "boolean", "Date": "date", "DateTime": "datetime",
    "Time": "time", "Picklist": "picklist", "MultiselectPicklist": "multipicklist",
    "Lookup": "reference", "MasterDetail": "reference", "AutoNumber": "string",
    "EncryptedText": "encryptedstring",
}  # fmt: skip
_CONSTRAINTS: dict[str, OnDelete] = {
    "Cascade": "cascade",
    "Restrict": "restrict",
    "SetNull": "clear",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field, with the properties that decide how values are checked and stored.

    ``type`` is the API's word (``string``, ``double``, ``reference`` …), not the
    metadata's. ``length`` counts characters, ``precision`` and ``scale`` digits.
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
    on_delete: OnDelete | None = None
    master: bool = False
    auto_number: str | None = None
    read_only: bool = False
    fixed: bool = False
    help: str = ""

    @property
    def custom(self) -> bool:
        """Whether the field belongs to the package rather than the platform."""
        return self.name.endswith("__c")

    @property
    def createable(self) -> bool:
        """Whether a create request may set it."""
        return not (self.read_only or self.auto_number)

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
    """One object: its fields by name and what may be done with its records."""

    name: str
    prefix: str
    label: str
    plural: str
    fields: Mapping[str, Field]
    undeletable: bool = False
    mergeable: bool = False

    @cached_property
    def _by_lower_name(self) -> dict[str, Field]:
        return {name.lower(): field for name, field in self.fields.items()}

    @cached_property
    def _by_relationship(self) -> dict[str, Field]:
        return {f.relationship.lower(): f for f in self.fields.values() if f.relationship}

    @property
    def custom(self) -> bool:
        """Whether the package brings the object."""
        return self.name.endswith("__c")

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
                for parent in f.to:
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


def load_schema(metadata: Path, prefixes: Mapping[str, str] | None = None) -> Schema:
    """Read the standard objects and the package's metadata.

    Args:
        metadata: The SFDX folder that contains ``objects/``.
        prefixes: Id prefixes that custom objects had when their data was stored.

    Raises:
        ValueError: The metadata names a field type or an object nobody here knows.
    """
    standard = tomllib.loads(
        Path(__file__).with_name("standard_objects.toml").read_text(encoding="utf-8")
    )
    folders = {f.name: f for f in sorted((metadata / "objects").glob("*")) if f.is_dir()}
    extra = {name: _custom_fields(folder) for name, folder in folders.items()}
    objects = {
        name: _standard_object(name, spec, extra.pop(name, [])) for name, spec in standard.items()
    }
    known = dict(prefixes or {})
    for name, fields in extra.items():
        prefix = known.setdefault(name, _free_prefix(known.values()))
        objects[name] = _custom_object(name, prefix, folders[name], fields)
    schema = Schema(objects)
    _refuse_unknown_targets(schema)
    return schema


def _refuse_unknown_targets(schema: Schema) -> None:
    for sobject in schema:
        for f in sobject.fields.values():
            unknown = [target for target in f.to if target not in schema.objects]
            if unknown:
                raise ValueError(f"{sobject.name}.{f.name} refers to {unknown}, which is not there")


def _free_prefix(taken: Iterable[str]) -> str:
    used = set(taken)
    return next(
        p for n in range(62 * 62) if (p := f"a{BASE62[n // 62]}{BASE62[n % 62]}") not in used
    )


def _system_fields(*, owned: bool, currency: bool, mergeable: bool) -> list[Field]:
    user = {"type": "reference", "to": ("User",), "read_only": True}
    fields = [
        Field(name="Id", type="id", length=18, read_only=True),
        Field(name="IsDeleted", type="boolean", label="Deleted", read_only=True, default=False),
        Field(name="CreatedDate", type="datetime", read_only=True),
        Field(name="CreatedById", relationship="CreatedBy", **user),  # type: ignore[arg-type]
        Field(name="LastModifiedDate", type="datetime", read_only=True),
        Field(name="LastModifiedById", relationship="LastModifiedBy", **user),  # type: ignore[arg-type]
        Field(name="SystemModstamp", type="datetime", read_only=True),
    ]
    if owned:
        fields.append(Field(name="OwnerId", type="reference", to=("User",), relationship="Owner"))
    if currency:
        fields.append(
            Field(
                name="CurrencyIsoCode",
                type="picklist",
                label="Currency ISO Code",
                length=3,
                values=CURRENCIES,
                restricted=True,
                default=CURRENCIES[0],
            )
        )
    if mergeable:
        fields.append(
            Field(name="MasterRecordId", type="reference", to=(), length=18, read_only=True)
        )
    return fields


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)


def _finished(fields: Iterable[Field]) -> dict[str, Field]:
    return {
        f.name: f if f.label else Field(**{**_as_dict(f), "label": _spaced(f.name)}) for f in fields
    }


def _as_dict(f: Field) -> dict[str, Any]:
    return {name: getattr(f, name) for name in Field.__slots__}


def _standard_object(name: str, spec: dict[str, Any], extra: list[Field]) -> SObject:
    mergeable = spec.get("mergeable", False)
    fields = _system_fields(
        owned=spec.get("owned", False), currency=spec.get("currency", False), mergeable=mergeable
    )
    fields += [_standard_field(n, dict(s)) for n, s in spec["fields"].items()]
    return SObject(
        name=name,
        prefix=spec["prefix"],
        label=spec["label"],
        plural=spec["plural"],
        fields=_finished([*fields, *extra]),
        undeletable=spec.get("undeletable", False),
        mergeable=mergeable,
    )


def _standard_field(name: str, spec: dict[str, Any]) -> Field:
    for key in ("to", "values"):
        if key in spec:
            spec[key] = tuple(spec[key])
    if spec["type"] == "boolean":
        spec.setdefault("default", False)
    return Field(name=name, **spec)


class _Metadata:
    """One metadata file, read by element name."""

    def __init__(self, element: ET.Element) -> None:
        self._element = element

    @classmethod
    def read(cls, path: Path) -> _Metadata:
        root = ET.parse(path).getroot()  # noqa: S314  our own repository's files
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return cls(root)

    def text(self, path: str, default: str = "") -> str:
        return self._element.findtext(path, default)

    def number(self, path: str) -> int:
        return int(self.text(path, "0"))

    def flag(self, path: str) -> bool:
        return self.text(path) == "true"

    def all(self, path: str) -> list[_Metadata]:
        return [_Metadata(e) for e in self._element.iterfind(path)]


def _custom_fields(folder: Path) -> list[Field]:
    return [
        _custom_field(_Metadata.read(path)) for path in sorted(folder.glob("fields/*-meta.xml"))
    ]


def _custom_field(meta: _Metadata) -> Field:
    kind = meta.text("type")
    name = meta.text("fullName")
    if kind not in _TYPES:
        raise ValueError(f"{name}: metadata type {kind!r} is not supported by the sandbox")
    master = kind == "MasterDetail"
    picked = meta.all("valueSet/valueSetDefinition/value")
    chosen = [value.text("fullName") for value in picked if value.flag("default")]
    return Field(
        name=name,
        type=_TYPES[kind],
        label=meta.text("label"),
        length=meta.number("length")
        or _TEXT_LENGTHS.get(kind, 18 if meta.text("referenceTo") else 0),
        precision=meta.number("precision"),
        scale=meta.number("scale"),
        required=meta.flag("required") or master,
        unique=meta.flag("unique"),
        external_id=meta.flag("externalId"),
        case_sensitive=meta.flag("caseSensitive"),
        default=_default(kind, meta.text("defaultValue"), chosen),
        values=tuple(value.text("fullName") for value in picked),
        restricted=meta.flag("valueSet/restricted"),
        to=tuple(t.text(".") for t in meta.all("referenceTo")),
        relationship=name[:-1] + "r" if meta.text("referenceTo") else None,
        children=_child_relationship(meta),
        on_delete="cascade" if master else _on_delete(meta),
        master=master,
        fixed=master and not meta.flag("reparentableMasterDetail"),
        auto_number=meta.text("displayFormat") or None,
        help=meta.text("inlineHelpText"),
    )


def _default(kind: str, formula: str, chosen: list[str]) -> Scalar:
    if kind == "Checkbox":
        return formula == "true"
    if chosen:
        return chosen[0]
    if not formula:
        return None
    return float(formula) if _TYPES[kind] in NUMERIC else formula.strip("\"'")


def _child_relationship(meta: _Metadata) -> str | None:
    name = meta.text("relationshipName")
    return f"{name}__r" if name else None


def _on_delete(meta: _Metadata) -> OnDelete | None:
    if not meta.text("referenceTo"):
        return None
    return _CONSTRAINTS[meta.text("deleteConstraint", "SetNull")]


def _custom_object(name: str, prefix: str, folder: Path, fields: list[Field]) -> SObject:
    meta = _Metadata.read(folder / f"{name}.object-meta.xml")
    named = Field(
        name="Name",
        type="string",
        label=meta.text("nameField/label"),
        length=80,
        required=meta.text("nameField/type") == "Text",
        auto_number=meta.text("nameField/displayFormat") or None,
    )
    owned = not any(f.master for f in fields)
    system = _system_fields(owned=owned, currency=True, mergeable=False)
    return SObject(
        name=name,
        prefix=prefix,
        label=meta.text("label"),
        plural=meta.text("pluralLabel"),
        fields=_finished([*system, named, *fields]),
    )

"""Where the schema comes from: one definition, read from files at start.

Standard objects are described in ``standard_objects.toml``; custom objects and custom
fields on standard objects are read from Salesforce source metadata (SFDX layout), so a
field added to the package exists here with no change of code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from sandbox.salesforce.formula import Unreadable, read_formula
from sandbox.salesforce.ids import BASE62, make_id
from sandbox.salesforce.metadata_file import Part
from sandbox.salesforce.schema import (
    CURRENCIES,
    METADATA_TYPE,
    NUMERIC,
    Field,
    OnDelete,
    Scalar,
    Schema,
    SObject,
    Summary,
    ValidationRule,
)

_TEXT_LENGTHS = {"Email": 80, "Phone": 40, "Url": 255, "TextArea": 255, "Picklist": 255}
_TYPES = {
    "Text": "string", "TextArea": "textarea", "LongTextArea": "textarea", "Html": "textarea",
    "Email": "email", "Phone": "phone", "Url": "url", "Number": "double", "Currency": "currency",
    "Percent": "percent", "Checkbox": "boolean", "Date": "date", "DateTime": "datetime",
    "Time": "time", "Picklist": "picklist", "MultiselectPicklist": "multipicklist",
    "Lookup": "reference", "MasterDetail": "reference", "AutoNumber": "string",
    "EncryptedText": "encryptedstring",
}  # fmt: skip
RECORD_TYPE = "012"
NEVER_HELD = frozenset({"Group", "Product2", "Profile", "RecordType", "User"})
"""Objects whose deletion no lookup of a custom field can hold back, or follow.

Sources: https://suscosolutions.com/salesforce-relationships-gotcha (of products); for the sentence,
and for the others, the deploy logs of public projects.
"""
_CONSTRAINTS: dict[str, OnDelete] = {
    "Cascade": "cascade",
    "Restrict": "restrict",
    "SetNull": "clear",
}


def load_schema(
    metadata: Path | None,
    prefixes: Mapping[str, str] | None = None,
    *,
    over: Sequence[Path] = (),
) -> Schema:
    """Read the standard objects and the metadata of a package.

    Args:
        metadata: The SFDX folder that contains ``objects/``; without it, the standard ones only.
        prefixes: Id prefixes that custom objects had when their data was stored.
        over: Further folders, whose files replace those of the ones before.

    Raises:
        ValueError: The metadata names a field type or an object nobody here knows.
    """
    standard = tomllib.loads(
        Path(__file__).with_name("standard_objects.toml").read_text(encoding="utf-8")
    )
    folders: dict[str, list[Path]] = {}
    for own in ([metadata] if metadata else []) + list(over):
        for folder in sorted((own / "objects").glob("*")):
            if folder.is_dir():
                folders.setdefault(folder.name, []).append(folder)
    extra = {name: _custom_fields(several) for name, several in folders.items()}
    objects: dict[str, SObject] = {
        name: replace(
            _standard_object(name, spec, extra.pop(name, [])), rules=_rules(folders.get(name, []))
        )
        for name, spec in standard.items()
    }
    known = dict(prefixes or {})
    for name, fields in extra.items():
        of_metadata = name.endswith(METADATA_TYPE)
        prefix = known.setdefault(name, _free_prefix(known.values(), "m" if of_metadata else "a"))
        make = _metadata_type if of_metadata else _custom_object
        objects[name] = make(name, prefix, folders[name], fields)
    numbers = count(1)
    for name, several in folders.items():
        types = {path.name.partition(".")[0] for path in _files(several, "recordTypes/*")}
        if types:
            ids = {type_: make_id(RECORD_TYPE, next(numbers)) for type_ in sorted(types)}
            objects[name] = _with_record_types(objects[name], ids)
    schema = Schema({name: _with_summaries(sobject, objects) for name, sobject in objects.items()})
    _refuse_unknown_targets(schema)
    for sobject in schema:
        _refuse_unknown_formulas(sobject)
        _refuse_unknown_rules(sobject, schema)
    return schema


def _with_record_types(sobject: SObject, types: Mapping[str, str]) -> SObject:
    """The object with record types, of which the first is its default."""
    which = Field(
        name="RecordTypeId",
        type="reference",
        label="Record Type ID",
        length=18,
        to=("RecordType",),
        relationship="RecordType",
        default=next(iter(types.values())),
    )
    fields = {**sobject.fields, which.name: which}
    return replace(sobject, fields=fields, record_types=types)


def of_one_currency(schema: Schema) -> Schema:
    """The same objects in an org of a single currency, where no record says which.

    Sources: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/
    object_reference/sforce_api_objects_currencytype.htm (absent there), and the same guide on
    CurrencyIsoCode (for multi-currency orgs only).
    """
    gone = {"CurrencyIsoCode", "DefaultCurrencyIsoCode"}
    return Schema(
        {
            sobject.name: replace(
                sobject, fields={n: f for n, f in sobject.fields.items() if n not in gone}
            )
            for sobject in schema
            if sobject.name != "CurrencyType"
        }
    )


def _refuse_unknown_targets(schema: Schema) -> None:
    for sobject in schema:
        for f in sobject.fields.values():
            unknown = [target for target in f.to if target not in schema.objects]
            if unknown:
                raise ValueError(f"{sobject.name}.{f.name} refers to {unknown}, which is not there")
            held = NEVER_HELD.intersection(f.to) if f.on_delete in {"cascade", "restrict"} else ()
            if f.custom and held:
                raise ValueError(
                    f"{sobject.name}.{f.name}: Cannot add a lookup relationship child with cascade "
                    f"or restrict options to {', '.join(held)}"
                )


def _refuse_unknown_formulas(sobject: SObject) -> None:
    """Formulas of a record's own stored fields only: what can be rolled up."""
    for f in sobject.formulas:
        where = f"{sobject.name}.{f.name}"
        try:
            names = read_formula(f.formula).names
        except Unreadable as error:
            raise ValueError(f"{where}: its formula cannot be read: {error}") from None
        for name in sorted(names):
            of = sobject.fields.get(name)
            if of is None or of.calculated:
                raise ValueError(
                    f"{where}: its formula refers to {name}, no stored field of its own"
                )


def _refuse_unknown_rules(sobject: SObject, schema: Schema) -> None:
    """Rules of fields of a record or of those that it refers to, and of who is asking."""
    for rule in sobject.rules:
        try:
            names = read_formula(rule.formula).names
        except Unreadable as error:
            where = f"{sobject.name}.{rule.name}"
            raise ValueError(f"{where}: its formula cannot be read: {error}") from None
        for name in sorted(names):
            if not name.startswith(("$Permission.", "$User.")) and not _leads(
                sobject, name, schema
            ):
                raise ValueError(f"{sobject.name}.{rule.name}: there is no field {name}")


def _leads(sobject: SObject, path: str, schema: Schema) -> bool:
    *steps, last = path.split(".")
    at: SObject | None = sobject
    for step in steps:
        way = at.find_relationship(step) if at else None
        at = schema.objects.get(way.to[0]) if way else None
    return at is not None and last in at.fields


def _with_summaries(sobject: SObject, objects: Mapping[str, SObject]) -> SObject:
    """The object with the types of its roll-ups, which are those of what they sum up."""
    fields = {f.name: _summary_field(sobject, f, objects) for f in sobject.fields.values()}
    return replace(sobject, fields=fields)


def _summary_field(sobject: SObject, f: Field, objects: Mapping[str, SObject]) -> Field:
    if f.summary is None:
        return f
    where, asked = f"{sobject.name}.{f.name}", f.summary
    child = objects.get(asked.child)
    reference = child.fields.get(asked.reference) if child else None
    if (
        child is None
        or reference is None
        or not reference.master
        or reference.to != (sobject.name,)
    ):
        raise ValueError(f"{where}: {asked.child}.{asked.reference} is no master-detail to it")
    if asked.operation == "count":
        return replace(f, type="double", precision=18)
    of = child.fields.get(asked.field)
    if of is None or of.type not in {"double", "percent"} or of.summary:
        raise ValueError(f"{where}: {asked.child}.{asked.field} is no number that can be summed up")
    return replace(f, type=of.type, precision=18, scale=of.scale)


def _free_prefix(taken: Iterable[str], first: str) -> str:
    used = set(taken)
    return next(
        p for n in range(62 * 62) if (p := f"{first}{BASE62[n // 62]}{BASE62[n % 62]}") not in used
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
    return re.sub(r" Id$", " ID", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name))


def _finished(fields: Iterable[Field]) -> dict[str, Field]:
    return {f.name: f if f.label else replace(f, label=_spaced(f.name)) for f in fields}


def _standard_object(name: str, spec: dict[str, Any], extra: list[Field]) -> SObject:
    mergeable = spec.get("mergeable", False)
    fields = _system_fields(
        owned=spec.get("owned", False), currency=spec.get("currency", False), mergeable=mergeable
    )
    granted = spec.get("granted", [])
    fields += [_standard_field(n, dict(s), granted) for n, s in spec["fields"].items()]
    return SObject(
        name=name,
        prefix=spec["prefix"],
        label=spec["label"],
        plural=spec["plural"],
        fields=_finished([*fields, *extra]),
        undeletable=spec.get("undeletable", False),
        mergeable=mergeable,
        follows=tuple(spec.get("follows", ())),
    )


def _standard_field(name: str, spec: dict[str, Any], granted: list[str]) -> Field:
    names = (name, f"{_address_of(name)}Address")
    spec["granted_as"] = next((one for one in names if one in granted), "")
    for key in ("to", "values"):
        if key in spec:
            spec[key] = tuple(spec[key])
    if spec["type"] == "boolean":
        spec.setdefault("default", False)
    return Field(name=name, **spec)


def _address_of(name: str) -> str:
    """The compound address whose part a field is: ``Billing`` of ``BillingCity``."""
    for part in ("Street", "City", "State", "StateCode", "PostalCode", "Country", "CountryCode"):
        if name.endswith(part):
            return name.removesuffix(part)
    return name


def metadata_texts(path: Path, *names: str) -> list[str]:
    """What a metadata file says under some names."""
    read = Part.read(path)
    return [read.text(name) for name in names]


def read_notification_types(folders: Sequence[Path]) -> dict[str, str]:
    """The labels of the custom notifications that a package brings, by their names."""
    return _labels(folders, "notificationtypes", "customNotifTypeName", "masterLabel")


def read_groups(folders: Sequence[Path]) -> dict[str, str]:
    """The labels of the public groups that a package brings, by their names."""
    return _labels(folders, "groups", "fullName", "name")


def _labels(folders: Sequence[Path], directory: str, name: str, label: str) -> dict[str, str]:
    paths = _files(folders, f"{directory}/*-meta.xml")
    return dict(metadata_texts(path, name, label) for path in paths)


def _files(folders: Sequence[Path], pattern: str) -> list[Path]:
    """The files of an object by name; what is in a later folder replaces what is in another."""
    found = {path.name: path for folder in folders for path in sorted(folder.glob(pattern))}
    return [found[name] for name in sorted(found)]


def _custom_fields(folders: Sequence[Path]) -> list[Field]:
    return [_custom_field(Part.read(path)) for path in _files(folders, "fields/*-meta.xml")]


def _rules(folders: Sequence[Path]) -> tuple[ValidationRule, ...]:
    """The validation rules of an object that are switched on."""
    files = _files(folders, "validationRules/*-meta.xml")
    return tuple(
        ValidationRule(
            part.text("fullName"),
            part.text("errorConditionFormula"),
            part.text("errorMessage"),
            part.text("errorDisplayField"),
        )
        for part in map(Part.read, files)
        if part.flag("active")
    )


def _custom_field(meta: Part) -> Field:
    kind = meta.text("type")
    name = meta.text("fullName")
    if kind == "Summary":
        return _summary(meta)
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
        children_label=meta.text("relationshipLabel"),
        on_delete="cascade" if master else _on_delete(meta),
        master=master,
        fixed=master and not meta.flag("reparentableMasterDetail"),
        auto_number=meta.text("displayFormat") or None,
        help=meta.text("inlineHelpText"),
        formula=meta.text("formula"),
        blank_as_zero=meta.text("formulaTreatBlanksAs") == "BlankAsZero",
        granted_as="" if master or meta.flag("required") else name,
    )


def _summary(meta: Part) -> Field:
    name = meta.text("fullName")
    if meta.all("summaryFilterItems"):
        raise ValueError(f"{name}: filters of roll-ups are not supported by the sandbox")
    child, _, reference = meta.text("summaryForeignKey").partition(".")
    of = meta.text("summarizedField").rpartition(".")[2]
    summary = Summary(meta.text("summaryOperation"), child, reference, of)
    label, told = meta.text("label"), meta.text("inlineHelpText")
    return Field(name=name, type="double", label=label, help=told, summary=summary, granted_as=name)


def _default(kind: str, formula: str, chosen: list[str]) -> Scalar:
    if kind == "Checkbox":
        return formula == "true"
    if chosen:
        return chosen[0]
    if not formula:
        return None
    return float(formula) if _TYPES[kind] in NUMERIC else formula.strip("\"'")


def _child_relationship(meta: Part) -> str | None:
    name = meta.text("relationshipName")
    return f"{name}__r" if name else None


def _on_delete(meta: Part) -> OnDelete | None:
    if not meta.text("referenceTo"):
        return None
    return _CONSTRAINTS[meta.text("deleteConstraint", "SetNull")]


def _custom_object(name: str, prefix: str, folders: Sequence[Path], fields: list[Field]) -> SObject:
    paths = _files(folders, f"{name}.object-meta.xml")
    if not paths:
        raise ValueError(f"{name}: there is no such object, only parts of it")
    meta = Part.read(paths[-1])
    named = Field(
        name="Name",
        type="string",
        label=meta.text("nameField/label"),
        length=80,
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
        rules=_rules(folders),
    )


def _metadata_type(name: str, prefix: str, folders: Sequence[Path], fields: list[Field]) -> SObject:
    """A custom metadata type: whoever may read it sees all of it, and nobody writes it as data.

    Source: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/
    object_reference/sforce_api_objects_custommetadatatype__mdt.htm
    """
    meta = Part.read(_files(folders, f"{name}.object-meta.xml")[-1])
    kept = {"Id", "IsDeleted", "SystemModstamp"}
    system = _system_fields(owned=False, currency=False, mergeable=False)
    named = ("DeveloperName", "MasterLabel", "Label", "QualifiedApiName", "NamespacePrefix")
    texts = [Field(name=text, type="string", length=80) for text in (*named, "Language")]
    return SObject(
        name=name,
        prefix=prefix,
        label=meta.text("label"),
        plural=meta.text("pluralLabel"),
        fields=_finished(
            replace(field, read_only=True, granted_as="")
            for field in [*(one for one in system if one.name in kept), *texts, *fields]
        ),
        refused=frozenset(["create", "update", "delete"]),
    )

"""Whether the default values of new records fit what the org says of its fields."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from invoicing.domain.model.money import decimals
from invoicing.domain.model.record_ids import looks_like_id
from invoicing.domain.model.wording import nearest
from invoicing.domain.salesforce.default_values import SOURCES
from invoicing.domain.salesforce.field_mapping import Names, NewValue
from invoicing.domain.salesforce.record import INVOICE

TEXTS = frozenset(
    ["string", "textarea", "email", "url", "phone", "picklist", "combobox", "encryptedstring"]
)
NUMBERS = frozenset(["double", "currency", "percent", "int", "long"])

Lookup = Callable[[str, str], Mapping[str, Any] | str]
"""Finds an object's field at the end of a path in the org's names, or says why there is none."""


def default_value_mistakes(
    ours: str, names: Names, found: Mapping[str, Any], at: Lookup
) -> Iterator[str]:
    """Everything in which the values of new records do not fit.

    Args:
        ours: One of our objects.
        names: The org's names.
        found: The org's describe of the object.
        at: Finds a field by its path.
    """
    of = names.of(ours)
    fields: dict[str, Mapping[str, Any]] = {field["name"]: field for field in found["fields"]}
    taken = {of.fields.get(name, name): name for name in of.schema.fields}
    for name, value in of.mapping.new.items():
        where = f"{found['name']}.{name} of new records"
        field = fields.get(name)
        if field is None:
            yield f"{where}: there is no such field, or it is hidden from us{nearest(name, fields)}"
        elif not field["createable"]:
            yield f"{where} cannot be written: it is computed, or read-only for the integration."
        elif name in taken:
            yield f"{where} is filled already, by our {taken[name]}."
        elif isinstance(value, NewValue):
            yield from _dynamic(ours, where, field, value, found, at)
        else:
            yield from _constant(where, field, value)


def _dynamic(
    ours: str,
    where: str,
    field: Mapping[str, Any],
    value: NewValue,
    found: Mapping[str, Any],
    at: Lookup,
) -> Iterator[str]:
    if [bool(value.source), bool(value.record_type), value.today].count(True) != 1:
        yield f"{where}: say one of from, record_type and today."
    elif value.today and field["type"] not in ("date", "datetime"):
        yield f"{where} is of type {field['type']}, which takes no day."
    elif value.record_type:
        types = [t["developerName"] for t in found["recordTypeInfos"] if t["available"]]
        if value.record_type not in types:
            yield (
                f"{where}: there is no record type {value.record_type!r} for us"
                f"{nearest(value.record_type, types)}"
            )
    elif value.source:
        yield from _copied(ours, where, field, value.source, at)


def _copied(
    ours: str, where: str, field: Mapping[str, Any], source: str, at: Lookup
) -> Iterator[str]:
    start, _, path = source.partition(".")
    if ours != INVOICE or start not in SOURCES or not path:
        yield f"{where}: only invoices copy, from Account.… or Opportunity.…; not from {source!r}."
        return
    there = at(start, path)
    if isinstance(there, str):
        yield f"{where}: {there}"
        return
    kind, theirs = field["type"], there["type"]
    alike = kind == theirs or {kind, theirs} <= NUMBERS or (kind in TEXTS and theirs in TEXTS)
    if not alike:
        yield f"{where} is of type {kind}, and {source} of type {theirs}."
    elif kind == "reference" and not {*field["referenceTo"]} & {*there["referenceTo"]}:
        yield f"{where} points at {', '.join(field['referenceTo'])}, and {source} does not."
    elif kind in TEXTS - {"picklist"} and field["length"] < there["length"]:
        yield f"{where} holds {field['length']} characters, and {source} {there['length']}."


def _constant(where: str, field: Mapping[str, Any], value: str | bool | float) -> Iterator[str]:
    kind = field["type"]
    fits = {
        bool: kind == "boolean",
        int: kind in NUMBERS,
        float: kind in NUMBERS,
        str: kind in TEXTS | {"date", "reference", "multipicklist"},
    }[type(value)]
    if not fits:
        yield f"{where} is of type {kind}, which does not take {value!r}."
    elif kind == "picklist" and field["restrictedPicklist"]:
        offered = [one["value"] for one in field["picklistValues"] if one["active"]]
        if value not in offered:
            yield f"{where} offers no value {value!r}{nearest(str(value), offered)}"
    elif kind == "reference" and not looks_like_id(str(value)):
        yield f"{where} takes the id of a record, and {value!r} is none."
    elif kind in NUMBERS and not _holds(field, value):
        yield (
            f"{where} keeps {field['precision'] - field['scale']} digits and {field['scale']} "
            f"decimals, and {value!r} has more."
        )
    elif kind == "date" and not _is_date(str(value)):
        yield f"{where} takes a date such as 2027-01-31, and {value!r} is none."
    elif kind in TEXTS - {"picklist"} and len(str(value)) > field["length"]:
        yield f"{where} holds {field['length']} characters, and {value!r} has more."


def _holds(field: Mapping[str, Any], value: Any) -> bool:
    """Whether a number stays what it is; of whole numbers the org tells no precision."""
    digits, scale = field["precision"] - field["scale"], field["scale"]
    number = Decimal(str(value))
    return not field["precision"] or (decimals(number) <= scale and abs(number) < 10**digits)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

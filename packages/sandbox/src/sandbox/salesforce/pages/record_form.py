"""Forms for records: what people type becomes values, mistakes are said beside their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.salesforce import lookup_search
from sandbox.salesforce.org import Org
from sandbox.salesforce.pages.record_page import Placed, Section
from sandbox.salesforce.schema import NUMERIC, Field
from sandbox.salesforce.screen_flows.screen import SEARCH
from sandbox.salesforce.store import Row
from sandbox.salesforce.values import as_input, day_of, typed


def editable(sections: Iterable[Section]) -> list[Placed]:
    """The fields of a form that people may fill in."""
    return [
        placed
        for section in sections
        for column in section.columns
        for placed in column
        if not placed.read_only
    ]


def held(field: Field, stored: Any) -> str:
    """A stored value as an input holds it."""
    return as_input(typed(field, stored))


def read(
    org: Org, sections: Iterable[Section], row: Row, given: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a form changes in a record, and what is wrong with it, by field.

    Args:
        org: Where lookups look.
        sections: The fields of the form.
        row: The record as it is; empty for a new one.
        given: What the form holds.
    """
    values: dict[str, Any] = {}
    mistakes: dict[str, str] = {}
    for placed in editable(sections):
        field = placed.field
        try:
            value = _value(org, field, given)
        except ValueError as error:
            mistakes[field.name] = str(error)
            continue
        if placed.required and value is None:
            mistakes[field.name] = "Complete this field."
        elif _is_changed(field, row.get(field.name), value):
            values[field.name] = value
    return values, mistakes


def _is_changed(field: Field, stored: Any, value: Any) -> bool:
    if field.type == "date":
        return bool(stored != value)
    return held(field, stored) != ("true" if value is True else str(value or ""))


def _value(org: Org, field: Field, given: Mapping[str, str]) -> Any:
    text = given.get(field.name, "").replace("\r\n", "\n").strip()
    if field.type == "boolean":
        return field.name in given
    if field.to:
        row = lookup_search.chosen(
            org, org.sobject(field.to[0]), text, given.get(field.name + SEARCH, "")
        )
        return row and row["Id"]
    if not text:
        return None
    if field.type in NUMERIC:
        return _number(text)
    if field.type == "date":
        return day_of(text).isoformat()
    return f"{text}:00Z" if field.type == "datetime" and len(text) == 16 else text


def _number(text: str) -> str:
    try:
        number = Decimal(text.replace(",", "").removesuffix("%").strip())
    except InvalidOperation:
        raise ValueError("Enter a valid number.") from None
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain

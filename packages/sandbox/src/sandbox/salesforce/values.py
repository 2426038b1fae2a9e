"""Field values: from JSON to the database and back, under Salesforce's rules.

Texts are trimmed and empty ones are null, numbers are rounded to the field's scale,
date-times keep whole seconds, picklists that are restricted refuse what they do not list.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sandbox.salesforce.errors import SalesforceError, json_error
from sandbox.salesforce.ids import normalize
from sandbox.salesforce.schema import NUMERIC, Field

STAMP = "%Y-%m-%dT%H:%M:%S.000+0000"
"""How date-times are stored and answered: UTC, whole seconds."""

_DAYS = ("%d %b %Y", "%Y-%m-%d")
_EMAIL = re.compile(r"[^@\s,;<>()\[\]\"]+@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,}")


def stamp(instant: datetime) -> str:
    """A date-time as Salesforce writes it."""
    return instant.astimezone(UTC).strftime(STAMP)


def to_stored(field: Field, value: Any) -> Any:
    """Check one value and give it its stored form.

    Raises:
        SalesforceError: The value is not one the field takes.
    """
    if value is None or value == "":
        return _empty(field)
    if field.type in NUMERIC:
        return _number(field, value)
    if field.type == "boolean":
        return _boolean(field, value)
    if field.type in {"date", "datetime", "time"}:
        return _moment(field, value)
    if not isinstance(value, str):
        if isinstance(value, bool | int | float):
            value = str(value).lower() if isinstance(value, bool) else str(value)
        else:
            raise _unreadable("string", value)
    if field.type in {"reference", "id"}:
        return _reference(field, value)
    return _text(field, value)


def to_json(field: Field, value: Any) -> Any:
    """A stored value as the API answers it."""
    if field.type == "boolean":
        return bool(value)
    return value


def _empty(field: Field) -> Any:
    if field.type == "boolean":
        raise SalesforceError(
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            f"{field.label}: value not of required type: ",
            [field.name],
        )
    return None


def _unreadable(kind: str, value: Any) -> SalesforceError:
    token = {dict: "START_OBJECT", list: "START_ARRAY", bool: "VALUE_TRUE"}.get(
        type(value), "VALUE_STRING"
    )
    return json_error(
        f"Cannot deserialize instance of {kind} from {token} value {value} "
        "or request may be missing a required field"
    )


def _number(field: Field, value: Any) -> float | int:
    kind = "int" if field.type == "int" else field.type
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _unreadable(kind, value)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _unreadable(kind, value) from None
    if not number.is_finite() or number.adjusted() >= field.precision - field.scale:
        raise _out_of_range(field, value)
    rounded = number.quantize(Decimal(1).scaleb(-field.scale), ROUND_HALF_UP)
    if rounded and rounded.adjusted() >= field.precision - field.scale:
        raise _out_of_range(field, value)
    return int(rounded) if field.type == "int" else float(rounded)


def _out_of_range(field: Field, value: Any) -> SalesforceError:
    return SalesforceError(
        "NUMBER_OUTSIDE_VALID_RANGE",
        f"{field.label}: value outside of valid range on numeric field: {value}",
        [field.name],
    )


def _boolean(_: Field, value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return int(value.lower() == "true")
    raise _unreadable("boolean", value)


def _moment(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _unreadable(field.type, value)
    try:
        if field.type == "date":
            return date.fromisoformat(value[:10]).isoformat()
        if field.type == "time":
            return time.fromisoformat(value.rstrip("Z")).isoformat("milliseconds") + "Z"
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise _unreadable(field.type, value) from None
    if "T" not in value:
        raise _unreadable(field.type, value)
    return stamp(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def _reference(field: Field, value: str) -> str:
    try:
        return normalize(value)
    except SalesforceError:
        raise SalesforceError(
            "MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", [field.name]
        ) from None


def _text(field: Field, value: str) -> str | None:
    value = value.strip()
    if not value:
        return None
    if field.restricted and not _listed(field, value):
        raise SalesforceError(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            f"{field.label}: bad value for restricted picklist field: {value}",
            [field.name],
        )
    if field.length and len(value) > field.length:
        raise SalesforceError(
            "STRING_TOO_LONG",
            f"{field.label}: data value too large: {value} (max length={field.length})",
            [field.name],
        )
    if field.type == "email" and not _EMAIL.fullmatch(value):
        raise SalesforceError(
            "INVALID_EMAIL_ADDRESS",
            f"{field.label}: invalid email address: {value}",
            [field.name],
        )
    return value


def _listed(field: Field, value: str) -> bool:
    chosen = value.split(";") if field.type == "multipicklist" else [value]
    return all(one in field.values for one in chosen)


def typed(field: Field, stored: Any) -> Any:
    """A stored value as formulas and flows have it: exact numbers, dates, yes and no."""
    if stored is None:
        return None
    if field.type in NUMERIC:
        return Decimal(repr(stored))
    match field.type:
        case "boolean":
            return bool(stored)
        case "date":
            return date.fromisoformat(stored)
        case "datetime":
            return datetime.fromisoformat(stored)
    return stored


def day_of(text: str) -> date:
    """A day as people write it, 31 Dec 2026, or as programs do.

    Source: https://developer.salesforce.com/docs/platform/lightning-component-reference/guide/lightning-input.html
    (an input of the type date holds the day as the user's locale writes it, and takes it so).

    Raises:
        ValueError: It is none; the message is for people.
    """
    for written in _DAYS:
        with suppress(ValueError):
            return datetime.strptime(text, written).date()
    raise ValueError("Your entry does not match the allowed format 31 Dec 2026.")


def as_text(value: Any) -> str:
    """A value inside a text: numbers without needless zeros, days as people write them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | int | float):
        text = f"{Decimal(str(value)):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return f"{as_text(value.date())}, {value:%H:%M} UTC"
    if isinstance(value, date):
        return f"{value.day} {value:%b %Y}"
    return str(value)


def as_input(value: Any) -> str:
    """A value, as formulas and flows have it, the way an input of a form holds it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M}"
    if isinstance(value, bool):
        return "true" if value else ""
    return as_text(value)

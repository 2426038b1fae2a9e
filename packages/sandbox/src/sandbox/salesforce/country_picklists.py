"""A profile: an org in which countries and states are picked from lists.

The name stays in ``BillingCountry``, and ``BillingCountryCode`` beside it says the code. Either may
be written, and the other follows; what is on no list is refused. Source: Salesforce Help,
"Integration Values for State and Country Picklists", "State and Country Picklist Field Syntax".
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.schema import Field, Schema, SObject
from sandbox.salesforce.store import Row

COUNTRIES = {
    "AT": "Austria", "CH": "Switzerland", "DE": "Germany", "FR": "France", "GB": "United Kingdom",
    "JP": "Japan", "NL": "Netherlands", "US": "United States",
}  # fmt: skip
STATES = {"AZ": "Arizona", "CA": "California", "NY": "New York", "OR": "Oregon", "TX": "Texas"}
LISTS = {"Country": COUNTRIES, "State": STATES}


def with_country_picklists(schema: Schema) -> Schema:
    """The org with codes beside the names of countries and states."""
    return Schema({sobject.name: _with_codes(sobject) for sobject in schema})


def _with_codes(sobject: SObject) -> SObject:
    codes = {
        f"{f.name}Code": Field(
            name=f"{f.name}Code",
            type="picklist",
            label=f"{f.label} Code",
            length=10,
            values=tuple(LISTS[_kind(f)]),
            restricted=True,
            granted_as=f.granted_as,
        )
        for f in sobject.fields.values()
        if _kind(f) and f.granted_as.endswith("Address")
    }
    return replace(sobject, fields={**sobject.fields, **codes})


def _kind(field: Field) -> str:
    return next((word for word in LISTS if field.name.endswith(word)), "")


def completed(sobject: SObject, values: Row) -> Row:
    """What is written, with the name of each code and the code of each name.

    Raises:
        SalesforceError: FIELD_INTEGRITY_EXCEPTION, for a name that is on no list.
    """
    more: Row = {}
    for name, value in values.items():
        if f"{name.removesuffix('Code')}Code" not in sobject.fields:
            continue
        kind = next((word for word in LISTS if name.endswith((word, f"{word}Code"))), "")
        if not kind:
            continue
        if name.endswith("Code"):
            more[name.removesuffix("Code")] = LISTS[kind].get(value or "")
        elif f"{name}Code" not in values:
            more[f"{name}Code"] = _code(sobject.fields[name], LISTS[kind], value)
    return values | more


def _code(field: Field, known: dict[str, str], value: str | None) -> str | None:
    if value is None:
        return None
    for code, name in known.items():
        if name.lower() == value.lower():
            return code
    raise SalesforceError(
        "FIELD_INTEGRITY_EXCEPTION",
        f"There's a problem with this value, even though it may appear correct. Please pick one "
        f"from the list of valid ones.: {field.label}",
        [field.name],
    )

"""List views: which records of an object are shown, with which columns.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_listview.htm
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.salesforce.metadata_file import Part
from sandbox.salesforce.org import Org
from sandbox.salesforce.package import COLUMNS
from sandbox.salesforce.pages.presentation import list_columns
from sandbox.salesforce.schema import NUMERIC, Field, SObject
from sandbox.salesforce.soql.to_sql import translate
from sandbox.salesforce.store import Row

ROWS = 100
"""Records that a list shows."""

OPERATIONS = {
    "equals": "= {}",
    "notEqual": "!= {}",
    "lessThan": "< {}",
    "greaterThan": "> {}",
    "lessOrEqual": "<= {}",
    "greaterOrEqual": ">= {}",
    "contains": "LIKE {}",
    "startsWith": "LIKE {}",
}
"""What filters may ask, as SOQL says it."""

_PATTERNS = {"contains": "%{}%", "startsWith": "{}%"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d.*")


@dataclass(frozen=True)
class Listed:
    """A list as a page shows it: its views by name, the chosen one, its columns and records."""

    views: dict[str, str]
    chosen: str
    columns: list[Field]
    rows: list[Row]
    more: bool


def list_of(org: Org, sobject: SObject, name: str) -> Listed | None:
    """A list of an object's records; None where there is no view of this name.

    Args:
        org: Whose records.
        sobject: Of which object, as whoever is asking sees it.
        name: The view's. Empty: the object's first, or all records where it has no view.
    """
    views = org.package.list_views(sobject.name)
    labels = {name: view.text("label") for name, view in views.items()}
    if not views:
        labels = {"All": f"All {sobject.plural}"}
    chosen = name or next(iter(labels))
    if chosen not in labels:
        return None
    view = views.get(chosen)
    named = [COLUMNS.get(column, column) for column in view.texts("columns")] if view else []
    columns = [
        sobject.fields[column] for column in named if column in sobject.fields
    ] or list_columns(sobject)
    order = "Name" if sobject.name_field else "Id"
    filtered = org.sobject(sobject.name)
    where = f" WHERE {condition}" if view and (condition := condition_of(filtered, view)) else ""
    query = translate(
        org,
        f"SELECT Id FROM {sobject.name}{where} ORDER BY {order} LIMIT {ROWS + 1}",  # noqa: S608
    )
    found = org.store.run(query.sql(), query.parameters).fetchall()
    ids = [row[query.plan.id_column] for row in found]
    rows = [row for one in ids[:ROWS] if (row := org.store.get(sobject, one))]
    return Listed(labels, chosen, columns, rows, len(ids) > ROWS)


def condition_of(sobject: SObject, view: Part) -> str:
    """The filters of a view as a condition in SOQL."""
    conditions = [_condition(sobject, part) for part in view.all("filters")]
    logic = view.text("booleanFilter") or " AND ".join(
        str(n) for n in range(1, len(conditions) + 1)
    )
    return re.sub(r"\d+", lambda found: conditions[int(found[0]) - 1], logic)


def _condition(sobject: SObject, part: Part) -> str:
    """One filter; several values separated by commas are alternatives."""
    name, operation = part.text("field"), part.text("operation")
    field = sobject.fields[COLUMNS.get(name, name)]
    values = part.text("value").split(",")
    asked = [
        f"{field.name} {OPERATIONS[operation].format(_literal(field, value, operation))}"
        for value in values
    ]
    return f"({(' AND ' if operation == 'notEqual' else ' OR ').join(asked)})"


def _literal(field: Field, value: str, operation: str) -> str:
    value = value.strip()
    if not value:
        return "NULL"
    if field.type == "boolean":
        return "TRUE" if value in {"1", "true", "True"} else "FALSE"
    if field.type in NUMERIC or (field.type in {"date", "datetime"} and not _DATE.match(value)):
        return value
    if field.type in {"date", "datetime"}:
        return value
    text = _PATTERNS.get(operation, "{}").format(value)
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

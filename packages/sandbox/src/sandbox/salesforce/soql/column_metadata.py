"""What a query selects: the query resource's answer to ``columns=true``.

No reference describes it. Its form is what clients read: Salesforce's own command line
(@salesforce/plugin-data, ``retrieveColumns``) and the types that others keep of it
(``QueryColumnsSfdc`` of jetstreamapp/jetstream).
"""

from __future__ import annotations

from typing import Any

from sandbox.salesforce.schema import Field
from sandbox.salesforce.soql.to_sql import Plan, Query

Columns = dict[str, Any]

_NUMBERS = {"currency": "Double", "double": "Double", "percent": "Double", "int": "Integer"}
_OTHERS = {
    "boolean": "Boolean",
    "date": "Date",
    "datetime": "Datetime",
    "time": "Time",
    "id": "Id",
    "reference": "Id",
}


def describe_columns(query: Query) -> Columns:
    """The columns of a query, those of parents and children within the one that joins them."""
    return {
        "columnMetadata": [] if query.count_only else _columns(query),
        "entityName": query.sobject.name,
        "groupBy": bool(query.grouping),
        "idSelected": "Id" in query.plan.values,
        "keyPrefix": query.sobject.prefix,
    }


def _columns(query: Query, plan: Plan | None = None) -> list[Columns]:
    plan = plan or query.plan
    found = []
    for name in plan.order:
        if name in plan.values:
            found.append(_value(query, plan, name))
        elif name in plan.parents:
            key = plan.sobject.find_relationship(name)
            parent = plan.parents[name]
            joined = _columns(query, parent)
            found.append(_column(name, parent.sobject.name, key=key, joined=joined))
        else:
            inner = plan.children[name].query
            joined = _columns(inner)
            found.append(_column(name, inner.sobject.name, joined=joined, aggregate=True))
    return found


def _value(query: Query, plan: Plan, name: str) -> Columns:
    kind = query.columns[plan.values[name][0]].kind
    field = plan.sobject.fields.get(name)
    apex = _NUMBERS.get(kind) or _OTHERS.get(kind) or "String"
    return _column(name, apex, field=field, aggregate=query.aggregate and field is None)


def _column(
    name: str,
    apex: str,
    *,
    field: Field | None = None,
    key: Field | None = None,
    joined: list[Columns] | None = None,
    aggregate: bool = False,
) -> Columns:
    return {
        "aggregate": aggregate,
        "apexType": apex,
        "booleanType": apex == "Boolean",
        "columnName": name,
        "custom": field is not None and field.custom,
        "displayName": name,
        "foreignKeyName": key.name if key else None,
        "insertable": field is not None and field.createable,
        "joinColumns": joined or [],
        "numberType": apex in {"Double", "Integer"},
        "textType": apex == "String" and not joined,
        "updatable": field is not None and field.updateable,
    }

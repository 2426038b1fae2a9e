"""What the org works out by itself: formula fields, and roll-up summaries on masters.

Both are worked out when a record is written and kept with it, so that queries find, sort and add
them up as any other field. A formula here refers to its own record's fields only, as one that is
rolled up must.
Source: https://help.salesforce.com/s/articleView?id=platform.fields_about_roll_up_summary_fields.htm
"""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.salesforce.formula import WorkedOutWrong, read_formula
from sandbox.salesforce.schema import NUMERIC, Field, Schema, SObject
from sandbox.salesforce.store import Row, Store, quoted
from sandbox.salesforce.values import to_stored


def formulas(sobject: SObject, row: Mapping[str, Any]) -> Row:
    """The values of a record's formula fields; None where Salesforce would show an error."""
    return {field.name: _worked_out(field, row) for field in sobject.formulas}


def _worked_out(field: Field, row: Mapping[str, Any]) -> Any:
    formula = read_formula(field.formula)
    values = {name: row.get(name) for name in formula.names}
    if field.blank_as_zero:
        values = {name: 0 if value is None else value for name, value in values.items()}
    try:
        value = formula.worked_out(values)
    except WorkedOutWrong:
        return None
    return to_stored(field, str(value) if field.type in NUMERIC and value is not None else value)


def totals(store: Store, fields: list[Field], record_id: str) -> Row:
    """What roll-ups of a master come to."""
    columns = ", ".join(_total(field, "?1") for field in fields)
    found = store.run(f"SELECT {columns}", (record_id,)).fetchone()
    return dict(zip([field.name for field in fields], found, strict=True))


def _total(field: Field, parent: str) -> str:
    summary = field.summary
    assert summary is not None  # noqa: S101
    counted = "COUNT(*)"
    if summary.operation != "count":
        worked_out = f"{summary.operation.upper()}({quoted(summary.field)})"
        counted = f"COALESCE(ROUND({worked_out}, {field.scale}), 0)"
    return (
        f"(SELECT {counted} FROM {quoted(summary.child)} "
        f"WHERE {quoted(summary.reference)} = {parent} AND IsDeleted = 0)"
    )


def recalculate(store: Store, schema: Schema, names: Iterable[str] | None = None) -> None:
    """Work out all formula fields and roll-ups of some objects anew, or of all."""
    chosen = list(schema) if names is None else [schema.objects[name] for name in names]
    for sobject in chosen:
        last = ""
        while sobject.formulas and (rows := _some_after(store, sobject, last)):
            last = rows[-1]["Id"]
            columns = ", ".join(f"{quoted(field.name)} = ?" for field in sobject.formulas)
            store.connection.executemany(
                f"UPDATE {quoted(sobject.name)} SET {columns} WHERE Id = ?",
                [(*formulas(sobject, row).values(), row["Id"]) for row in rows],
            )
    for sobject in chosen:
        for field in sobject.roll_ups:
            total = _total(field, f"{quoted(sobject.name)}.Id")
            store.run(f"UPDATE {quoted(sobject.name)} SET {quoted(field.name)} = {total}")


def _some_after(store: Store, sobject: SObject, last: str) -> list[Row]:
    return store.where(sobject, "Id > ? ORDER BY Id LIMIT 10000", (last,))

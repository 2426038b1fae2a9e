"""Create, change and delete single records, as Salesforce's save does it.

Every function is a transaction of its own; inside another it is a part that can fail alone.
"""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce import (
    computed,
    country_picklists,
    person_accounts,
    roll_ups,
    standard_rules,
    validation_rules,
)
from sandbox.salesforce.errors import SalesforceError, deleted, json_error, not_found
from sandbox.salesforce.ids import normalize
from sandbox.salesforce.org import DATA_PATH, Org
from sandbox.salesforce.record_triggered_flows import changed_before_save
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.store import Row, quoted
from sandbox.salesforce.values import to_stored

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a create, an update or an upsert."""

    id: str
    created: bool


class MultipleMatches(Exception):
    """An external id that is not unique names several records."""

    def __init__(self, sobject: SObject, ids: list[str]) -> None:
        super().__init__(f"{len(ids)} records of {sobject.name}")
        self.ids = ids
        self.urls = [f"{DATA_PATH}/sobjects/{sobject.name}/{one}" for one in ids]


def create(org: Org, sobject: SObject, body: Body) -> str:
    """Create a record and return its id.

    Raises:
        SalesforceError: The body is not a record that may be saved.
    """
    refuse_without_right(sobject, "create")
    with org.store.transaction():
        values = _checked(org, sobject, body, creating=True)
        sobject = org.sobject(sobject.name)
        row = _defaults(org, sobject) | values
        row |= person_accounts.named(row) if sobject.name == "Account" else {}
        missing = [f.name for f in sobject.required if row.get(f.name) is None]
        if missing:
            raise _missing(missing)
        record_id = org.store.next_id(sobject)
        if sobject.custom and sobject.name_field and not sobject.name_field.auto_number:
            row["Name"] = row.get("Name") or record_id
        org.rules.check_locks(sobject, row, creating=True)
        changed = org.rules.changes(sobject, row, creating=True)
        changed |= changed_before_save(org, sobject, row | changed, None)
        values, row = values | changed, row | changed
        org.rules.check(sobject, row, creating=True)
        for key in _unique_keys(sobject, values):
            org.locks.take_key(key)
        org.locks.take(locked_parents(sobject, row, values))
        refuse_duplicates(org, sobject, values, None)
        row = {"Id": record_id} | row | stamps(org, creating=True)
        standard_rules.check(org, sobject, row)
        row |= _auto_numbers(org, sobject) | standard_rules.derived(org, sobject, row)
        row |= computed.formulas(sobject, row)
        validation_rules.check(org, sobject, row, None)
        org.store.insert(sobject, row)
        org.changes.tell("CREATE", sobject, org.user_id, str(row["Id"]), row, {})
        standard_rules.carry_over(org, sobject, row)
        roll_ups.roll_up(org, sobject, row)
        return str(row["Id"])


def update(org: Org, sobject: SObject, record_id: str, body: Body) -> str:
    """Change a record and return its id.

    Raises:
        SalesforceError: There is no such record, or the body may not be saved.
    """
    refuse_without_right(sobject, "update")
    with org.store.transaction():
        current = existing(org, sobject, record_id)
        values = _checked(org, sobject, body, creating=False)
        sobject = org.sobject(sobject.name)
        emptied = [f.name for f in sobject.required if f.name in values and values[f.name] is None]
        if emptied:
            raise _missing(emptied)
        org.rules.check_locks(sobject, current)
        values |= org.rules.changes(sobject, current | values, creating=False)
        values |= changed_before_save(org, sobject, current | values, current)
        org.rules.check(sobject, current | values, creating=False)
        org.locks.take([current["Id"], *locked_parents(sobject, current | values, values)])
        refuse_duplicates(org, sobject, values, current["Id"])
        row = current | values
        values |= standard_rules.derived(org, sobject, row) | stamps(org, creating=False)
        values |= computed.formulas(sobject, row)
        validation_rules.check(org, sobject, current | values, current)
        org.store.update(sobject, current["Id"], values)
        org.changes.tell("UPDATE", sobject, org.user_id, current["Id"], row, values)
        standard_rules.carry_over(org, sobject, row)
        roll_ups.roll_up(org, sobject, current, row)
        return str(current["Id"])


def refuse_without_right(sobject: SObject, right: str) -> None:
    """Pass where the user may do this with records of the object.

    A deletion is refused in other words than the rest.
    Source: the GrantTests of https://github.com/kerryland/stuntbyte-sftools, which take a user of
    a real org each right; reports have that code with the words of creating and changing.

    Raises:
        SalesforceError: CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY or INSUFFICIENT_ACCESS_OR_READONLY.
    """
    if right not in sobject.refused:
        return
    if right == "delete":
        raise SalesforceError(
            "INSUFFICIENT_ACCESS_OR_READONLY",
            "insufficient access rights on object id",
            [],
            status=403,
        )
    done = "inserted" if right == "create" else "updated"
    raise SalesforceError(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        f"entity type cannot be {done}: {sobject.label}",
        [],
    )


def upsert(org: Org, sobject: SObject, key: Field, value: Any, body: Body) -> Saved:
    """Change the record an external id names, or create it.

    Raises:
        SalesforceError: The body may not be saved.
        MultipleMatches: The external id names several records.
    """
    if key.name == "Id":
        return Saved(update(org, sobject, str(value), body), created=False)
    for unique in _unique_keys(sobject, {key.name: to_stored(key, value)}):
        org.locks.await_key(unique)
    match = match_external_id(org, sobject, key, value)
    if match is None:
        return Saved(create(org, sobject, {**body, key.name: value}), created=True)
    return Saved(update(org, sobject, match, body), created=False)


def match_external_id(org: Org, sobject: SObject, key: Field, value: Any) -> str | None:
    """The id of the live record an external id names.

    Raises:
        MultipleMatches: It names several.
    """
    condition = f"{quoted(key.name)} = ? AND IsDeleted = 0"
    rows = org.store.where(sobject, condition, (to_stored(key, value),))
    if len(rows) > 1:
        raise MultipleMatches(sobject, [row["Id"] for row in rows])
    return str(rows[0]["Id"]) if rows else None


def external_id_field(sobject: SObject, name: str) -> Field:
    """The external id field (or Id) of this name.

    Raises:
        SalesforceError: NOT_FOUND where the object has none.
    """
    found = sobject.find(name)
    if found is None or not (found.external_id or found.name == "Id"):
        raise not_found(f"Provided external ID field does not exist or is not accessible: {name}")
    return found


def existing(org: Org, sobject: SObject, record_id: str) -> Row:
    """A live record by its id.

    Raises:
        SalesforceError: The id is none of this object's, unknown, or deleted.
    """
    record_id = normalize(record_id)
    if record_id[:3] != sobject.prefix:
        raise SalesforceError(
            "MALFORMED_ID", f"{sobject.label} ID: id value of incorrect type: {record_id}", ["Id"]
        )
    row = org.store.get(sobject, record_id)
    if row is None:
        raise SalesforceError(
            "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [], status=404
        )
    if row["IsDeleted"]:
        raise deleted()
    return row


def _checked(org: Org, sobject: SObject, body: Body, *, creating: bool) -> Row:
    values: Row = {}
    writable = sobject.creatable_fields if creating else sobject.updatable_fields
    for name, raw in body.items():
        if name == "attributes":
            continue
        field = writable.get(name)
        if field is None:
            relation = sobject.find_relationship(name)
            if relation is not None and isinstance(raw, Mapping | None):
                values[relation.name] = _referenced(org, relation, raw)
                continue
            field = _writable(sobject, name, creating=creating)
        values[field.name] = to_stored(field, raw)
        if field.to and values[field.name] is not None:
            _check_reference(org, field, values[field.name])
    return country_picklists.completed(sobject, values)


def _writable(sobject: SObject, name: str, *, creating: bool) -> Field:
    field = sobject.find(name)
    if field is None:
        raise SalesforceError(
            "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}"
        )
    if field.name == "Id":
        if creating:
            raise SalesforceError(
                "INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ["Id"]
            )
        raise SalesforceError(
            "INVALID_FIELD", "The Id field should not be specified in the sobject data."
        )
    if not (field.createable if creating else field.updateable):
        raise SalesforceError(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: {field.name}. Please check the security settings of "
            "this field and verify that it is read/write for your profile or permission set.",
            [field.name],
        )
    return field


def _referenced(org: Org, relation: Field, keys: Body | None) -> str | None:
    """The parent a nested object names by an external id (or Id)."""
    if keys is None:
        return None
    named = {key: value for key, value in keys.items() if key != "attributes"}
    if len(named) != 1:
        raise json_error(f"{relation.relationship}: name the record by exactly one field")
    parent = org.seen.objects[relation.to[0]]
    ((key, value),) = named.items()
    record_id = match_external_id(org, parent, external_id_field(parent, key), value)
    if record_id is None:
        raise SalesforceError(
            "INVALID_FIELD",
            f"Foreign key external ID: {value} not found for field {key} in entity {parent.name}",
            [],
        )
    return record_id


def _check_reference(org: Org, field: Field, record_id: str) -> None:
    parent = org.schema.by_prefix.get(record_id[:3])
    if parent is None or parent.name not in field.to:
        raise SalesforceError(
            "FIELD_INTEGRITY_EXCEPTION",
            f"{field.label}: id value of incorrect type: {record_id}",
            [field.name],
        )
    gone = org.store.one(f"SELECT IsDeleted FROM {quoted(parent.name)} WHERE Id = ?", (record_id,))
    if gone is None:
        raise SalesforceError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [])
    if gone:
        raise SalesforceError("ENTITY_IS_DELETED", "entity is deleted", [field.name])


def _missing(names: list[str]) -> SalesforceError:
    return SalesforceError(
        "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(names)}]", names
    )


def refuse_duplicates(org: Org, sobject: SObject, values: Row, own_id: str | None) -> None:
    """Pass where no other live record has one of these unique values.

    Raises:
        SalesforceError: DUPLICATE_VALUE.
    """
    for field in sobject.unique:
        value = values.get(field.name)
        if value is None:
            continue
        other = org.store.one(
            f"SELECT Id FROM {quoted(sobject.name)} "
            f"WHERE {quoted(field.name)} = ? AND IsDeleted = 0 AND Id IS NOT ?",
            (value, own_id),
        )
        if other is not None:
            raise SalesforceError(
                "DUPLICATE_VALUE",
                f"duplicate value found: {field.name} duplicates value on record "
                f"with id: {other[:15]}",
                [],
            )


def _unique_keys(sobject: SObject, values: Row) -> list[str]:
    """Names for the unique values among a record's, to lock them by."""
    return [
        f"{sobject.name}.{field.name}={values[field.name]}"
        for field in sobject.unique
        if values.get(field.name) is not None
    ]


def locked_parents(sobject: SObject, row: Row, written: Row) -> list[str]:
    """The parents a write locks too.

    A master is locked by every write to its details; another parent only where the reference is
    written and the parent cannot just be cleared (Salesforce, "Record Locking Cheat Sheet").
    """
    return [
        row[field.name]
        for field in sobject.locking
        if row.get(field.name) and (field.master or field.name in written)
    ]


def _defaults(org: Org, sobject: SObject) -> Row:
    row = {f.name: f.default for f in sobject.fields.values() if f.default is not None}
    if "OwnerId" in sobject.fields:
        row["OwnerId"] = org.user_id
    return row


def stamps(org: Org, *, creating: bool) -> Row:
    """The audit fields that a write sets."""
    now = org.now()
    changed = {
        "LastModifiedDate": now,
        "LastModifiedById": org.user_id,
        "SystemModstamp": now,
    }
    return {"CreatedDate": now, "CreatedById": org.user_id, **changed} if creating else changed


def _auto_numbers(org: Org, sobject: SObject) -> Row:
    return {
        f.name: auto_number(f.auto_number, org.store.next_number(f"{sobject.name}.{f.name}"))
        for f in sobject.fields.values()
        if f.auto_number
    }


def auto_number(display_format: str, number: int) -> str:
    """A number in a display format such as ``INV-{0000}``."""
    before, _, rest = display_format.partition("{")
    zeros, _, after = rest.partition("}")
    return f"{before}{number:0{len(zeros)}d}{after}"

"""Delete and undelete: the recycle bin, and what hangs on a record."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from sandbox.salesforce import roll_ups
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.ids import normalize
from sandbox.salesforce.org import Org
from sandbox.salesforce.record_triggered_flows import run_before_delete
from sandbox.salesforce.records import (
    existing,
    locked_parents,
    refuse_duplicates,
    refuse_without_right,
    stamps,
)
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import Row, quoted


def delete(org: Org, sobject: SObject, record_id: str) -> str:
    """Put a record, and all that hangs on it, into the recycle bin; return its id.

    Raises:
        SalesforceError: There is no such record, others hold it back, or a flow refuses it.
    """
    refuse_without_right(sobject, "delete")
    sobject = org.sobject(sobject.name)
    with org.store.transaction():
        row = existing(org, sobject, record_id)
        if sobject.undeletable:
            raise SalesforceError(
                "INSUFFICIENT_ACCESS_OR_READONLY",
                f"{sobject.plural} cannot be deleted",
                [],
                status=403,
            )
        org.rules.check_locks(sobject, row)
        org.locks.take([row["Id"], *locked_parents(sobject, row, {})])
        run_before_delete(org, sobject, row)
        _bin(org, sobject, row)
        return str(row["Id"])


def _bin(org: Org, sobject: SObject, row: Row) -> None:
    gone = {"IsDeleted": 1} | stamps(org, creating=False)
    org.store.update(sobject, row["Id"], gone)
    org.changes.tell("DELETE", sobject, org.user_id, row["Id"], row, {})
    roll_ups.roll_up(org, sobject, row)
    for relation in org.schema.children(sobject.name):
        if relation.field.on_delete is None:
            continue
        child = org.sobject(relation.child)
        condition = f"{quoted(relation.field.name)} = ? AND IsDeleted = 0"
        for record in org.store.where(child, condition, (row["Id"],)):
            match relation.field.on_delete:
                case "cascade":
                    _bin(org, child, record)
                case "clear":
                    changes = {relation.field.name: None} | stamps(org, creating=False)
                    org.store.update(child, record["Id"], changes)
                    org.changes.tell("UPDATE", child, org.user_id, record["Id"], record, changes)
                case "restrict":
                    raise _held_back(row, child, record)


def _held_back(row: Row, child: SObject, record: Row) -> SalesforceError:
    return SalesforceError(
        "DELETE_FAILED",
        f"Your attempt to delete {row.get('Name') or row['Id']} could not be completed because it "
        f"is associated with the following {child.plural.lower()}.: {record.get('Name')}\n",
        [],
    )


def undelete(org: Org, sobject: SObject, record_id: str) -> None:
    """Take a record, and what was deleted with it, out of the recycle bin.

    Raises:
        SalesforceError: The record does not lie there, or its unique values are taken.
    """
    with org.store.transaction():
        row = org.store.get(sobject, normalize(record_id))
        if row is None or not row["IsDeleted"] or row.get("MasterRecordId"):
            raise SalesforceError("UNDELETE_FAILED", "Entity is not in the recycle bin", [])
        kept = {f.name: row[f.name] for f in sobject.unique}
        refuse_duplicates(org, sobject, kept, row["Id"])
        org.store.update(sobject, row["Id"], {"IsDeleted": 0} | stamps(org, creating=False))
        org.changes.tell("UNDELETE", sobject, org.user_id, row["Id"], row, {})
        roll_ups.roll_up(org, sobject, row)
        for relation in org.schema.children(sobject.name):
            if relation.field.on_delete == "cascade":
                child = org.sobject(relation.child)
                condition = f"{quoted(relation.field.name)} = ? AND IsDeleted = 1"
                for record in org.store.where(child, condition, (row["Id"],)):
                    undelete(org, child, record["Id"])


def empty_recycle_bin(org: Org) -> int:
    """Remove deleted records for good and return how many there were."""
    with org.store.transaction():
        return sum(
            org.store.run(f"DELETE FROM {quoted(o.name)} WHERE IsDeleted = 1").rowcount
            for o in org.schema
        )

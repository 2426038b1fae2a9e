"""Merge: what hung on several records hangs on one of them; the others are in the recycle bin."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.org import Org
from sandbox.salesforce.records import (
    existing,
    stamps,
)
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import quoted


def merge(org: Org, sobject: SObject, master_id: str, losers: list[str]) -> None:
    """Merge up to two records into a master.

    Their children move to the master; they go to the recycle bin and remember the master in
    ``MasterRecordId``. The master keeps its own field values.

    Raises:
        SalesforceError: The object does not merge, or a record is not there.
    """
    if not sobject.mergeable or not 1 <= len(losers) <= 2:
        raise SalesforceError("INVALID_OPERATION", "merge takes one or two records", [])
    with org.store.transaction():
        master = existing(org, sobject, master_id)
        for loser_id in losers:
            loser = existing(org, sobject, loser_id)
            if loser["Id"] == master["Id"]:
                raise SalesforceError("INVALID_OPERATION", "a record cannot merge with itself", [])
            _reparent(org, sobject, loser["Id"], master["Id"])
            gone = {"IsDeleted": 1, "MasterRecordId": master["Id"]}
            org.store.update(sobject, loser["Id"], gone | stamps(org, creating=False))
        org.store.update(sobject, master["Id"], stamps(org, creating=False))


def _reparent(org: Org, sobject: SObject, loser: str, master: str) -> None:
    audit = stamps(org, creating=False)
    assignments = ", ".join(f"{quoted(name)} = ?" for name in audit)
    for relation in org.schema.children(sobject.name):
        column = quoted(relation.field.name)
        org.store.run(
            f"UPDATE {quoted(relation.child)} SET {column} = ?, {assignments} "
            f"WHERE {column} = ? AND IsDeleted = 0",
            (master, *audit.values(), loser),
        )

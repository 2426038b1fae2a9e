"""The user permissions of whoever asks, as a query finds them.

Source: Object Reference, "UserPermissionAccess": whether the session of an API user has access to a
feature, to be queried by everybody, without View Setup and Configuration too, from version 41.0.
"""

from __future__ import annotations

from sandbox.salesforce.org import Org

OBJECT = "UserPermissionAccess"
PREFIX = "Permissions"


def show(org: Org) -> None:
    """Let queries find what whoever is asking may do, in one record."""
    table = org.sobject(OBJECT)
    named = [name for name in table.fields if name.startswith(PREFIX)]
    has = {name: int(org.has_permission(name.removeprefix(PREFIX))) for name in named}
    with org.store.transaction():
        for row in org.store.where(table, "1 = 1", []):
            org.store.purge(table, row["Id"])
        own = {"Id": org.store.next_id(table), "IsDeleted": 0, "SystemModstamp": org.now()}
        org.store.insert(table, own | has)

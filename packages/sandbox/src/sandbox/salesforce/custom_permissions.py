"""The custom permissions of whoever asks, as a query finds them.

Source: Object Reference, "UserSetupEntityAccess": the enabled custom permissions of the running
user, to be queried by everybody, without View Setup and Configuration too, from version 48.0.
"""

from __future__ import annotations

from sandbox.salesforce.org import Org

OBJECT = "UserSetupEntityAccess"


def show(org: Org) -> None:
    """Let queries find the custom permissions of whoever is asking, and no others."""
    table = org.sobject(OBJECT)
    with org.store.transaction():
        for row in org.store.where(table, "1 = 1", []):
            org.store.purge(table, row["Id"])
        for name in sorted(org.custom_permissions):
            own = {"Id": org.store.next_id(table), "IsDeleted": 0, "SystemModstamp": org.now()}
            named = {"DeveloperName": name, "NamespacePrefix": org.namespace or None}
            org.store.insert(table, own | named)

"""Custom metadata: records that are deployed or edited in Setup, and read like any others.

Nobody creates, changes or deletes them through the data API. A deploy writes those whose files it
brings, whatever they said, and leaves the others. An org that is opened with a package has it
deployed; what the Metadata API deploys here, unlike there, leaves records that are there already.
Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/
meta_custommetadata.htm; https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/
object_reference/sforce_api_objects_custommetadatatype__mdt.htm
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import METADATA_TYPE
from sandbox.salesforce.values import to_stored


def deploy(org: Org, *, again: bool = False) -> None:
    """Write the records whose files the org's package brings.

    Args:
        org: Where.
        again: Those that the org has already, too.
    """
    for name, part in org.package.custom_metadata.items():
        values = {value.text("field"): value.text("value") or None for value in part.all("values")}
        if again or _find(org, name) is None:
            save(org, name, values, part.text("label"))


def save(org: Org, name: str, values: Mapping[str, Any], label: str = "") -> None:
    """Write a record as an administrator does in Setup, or a deploy.

    Args:
        org: Where.
        name: Such as ``Invoicing_Setting.Default``.
        values: Of the type's own fields.
        label: What people call it.

    Raises:
        KeyError: There is no such type or field.
        SalesforceError: A value is none that its field holds.
    """
    kind, _, record = name.partition(".")
    sobject = org.sobject(kind + METADATA_TYPE)
    row = {field: to_stored(sobject.fields[field], value) for field, value in values.items()}
    row |= {"SystemModstamp": org.now()}
    with org.store.transaction():
        there = _find(org, name)
        if there is not None:
            org.store.update(sobject, there, row)
            return
        said = label or record.replace("_", " ")
        named = dict.fromkeys(("DeveloperName", "QualifiedApiName"), record)
        named |= dict.fromkeys(("Label", "MasterLabel"), said)
        own = {"Id": org.store.next_id(sobject), "IsDeleted": 0, "Language": "en_US"}
        org.store.insert(sobject, own | named | row)


def _find(org: Org, name: str) -> str | None:
    kind, _, record = name.partition(".")
    rows = org.store.where(org.sobject(kind + METADATA_TYPE), "DeveloperName = ?", [record])
    return str(rows[0]["Id"]) if rows else None

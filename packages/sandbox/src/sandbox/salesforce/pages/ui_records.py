"""Records as Lightning Data Service reads them for components: the fields that are asked for.

Source: https://developer.salesforce.com/docs/atlas.en-us.uiapi.meta/uiapi/ui_api_responses_record.htm
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.salesforce.errors import SalesforceError, not_found
from sandbox.salesforce.ids import is_id, normalize
from sandbox.salesforce.org import Org
from sandbox.salesforce.values import to_json


def ui_record(org: Org, record_id: str, fields: Sequence[str]) -> dict[str, Any]:
    """Return a record as whoever asks may see it.

    Args:
        org: Whose record it is.
        record_id: Of 15 or 18 characters.
        fields: Names such as ``Account.Phone``.

    Raises:
        SalesforceError: There is no such record, or no such field for whoever asks.
    """
    prefix = org.schema.by_prefix.get(record_id[:3]) if is_id(record_id) else None
    sobject = org.seen.find(prefix.name) if prefix else None
    row = org.store.get(sobject, normalize(record_id)) if sobject else None
    if sobject is None or row is None or row["IsDeleted"]:
        raise not_found()
    shown = {}
    for asked in fields:
        of, _, name = asked.partition(".")
        field = sobject.find(name) if of == sobject.name else None
        if field is None:
            raise SalesforceError("INVALID_FIELD", f"No such column '{asked}' on {sobject.name}.")
        shown[field.name] = {"displayValue": None, "value": to_json(field, row[field.name])}
    return {
        "apiName": sobject.name,
        "fields": shown,
        "id": row["Id"],
        "lastModifiedDate": row["LastModifiedDate"],
        "systemModstamp": row["SystemModstamp"],
    }

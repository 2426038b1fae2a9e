"""Records found by what people type into a lookup."""

from __future__ import annotations

from sandbox.salesforce.ids import is_id, normalize
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import Row

OFFERED = 20
NOTHING_CHOSEN = "Select an option from the picklist or remove the search term."


def search(org: Org, sobject: SObject, text: str) -> list[Row]:
    """The first records whose name has a text in it, by name."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    condition = "Name LIKE ? ESCAPE '\\' AND IsDeleted = 0 ORDER BY Name LIMIT ?"
    return org.store.where(sobject, condition, [pattern, OFFERED])


def chosen(org: Org, sobject: SObject, record_id: str, text: str) -> Row | None:
    """The record that a lookup holds; None where it is empty.

    Args:
        org: Whose records.
        sobject: Of which object.
        record_id: The id of what was chosen from the list.
        text: What stands in its input: a whole name does where nothing was chosen.

    Raises:
        ValueError: Nothing or too much is meant; the message is for people.
    """
    rows: list[Row] = []
    if record_id:
        rows = [org.store.get(sobject, normalize(record_id)) or {}] if is_id(record_id) else []
        rows = [row for row in rows if row and not row["IsDeleted"]]
    elif text.strip():
        condition = "Name = ? AND IsDeleted = 0 LIMIT 2"
        rows = org.store.where(sobject, condition, [text.strip()])
    else:
        return None
    if len(rows) != 1:
        raise ValueError(NOTHING_CHOSEN)
    return rows[0]

"""Records written one by one, and in collections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypedDict

from more_itertools import chunked

from invoicing.connectors.salesforce.connection import Connection, Record
from invoicing.connectors.salesforce.errors import by_code, shown
from invoicing.errors import InvoicingError

COLLECTION = 200
"""The most records of one Collections call."""


class _RowResult(TypedDict):
    """How one record of a collection was written."""

    success: bool
    errors: list[Record]


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of a collection was not written."""

    index: int
    error: InvoicingError


class Records(Connection):
    """What is written to an org record by record."""

    def update(self, sobject: str, record_id: str, fields: Mapping[str, Any]) -> None:
        """Set fields of one record."""
        path = f"sobjects/{self.own_object(sobject)}/{record_id}"
        self._call(self._writing(sobject), path, object, "PATCH", self._fields(sobject, fields))

    def delete(self, sobject: str, record_id: str) -> None:
        """Delete one record with its details; NotFound if there is none."""
        path = f"sobjects/{self.own_object(sobject)}/{record_id}"
        self._call(f"delete the {shown(self.own_object(sobject))}", path, object, "DELETE")

    def update_many(self, sobject: str, records: Sequence[Mapping[str, Any]]) -> list[RowError]:
        """Set fields of many records; each carries its ``Id``. Returns the rows that failed."""
        return self._collections("composite/sobjects", sobject, records)

    def upsert_many(
        self, sobject: str, external_id: str, records: Sequence[Mapping[str, Any]]
    ) -> list[RowError]:
        """Create or update many records by an external id. Returns the rows that failed.

        Nothing is written, and nothing fails, where the org does without the object.
        """
        key = self._external_id(sobject, external_id)
        if key is None:
            return []
        path = f"composite/sobjects/{self.own_object(sobject)}/{key}"
        return self._collections(path, sobject, records, racing=True)

    def _collections(
        self,
        path: str,
        sobject: str,
        records: Sequence[Mapping[str, Any]],
        *,
        racing: bool = False,
    ) -> list[RowError]:
        failed: list[RowError] = []
        doing = self._writing(sobject)
        for start, some in zip(count(step=COLLECTION), chunked(records, COLLECTION), strict=False):
            rows = [
                {"attributes": {"type": self.own_object(sobject)}, **self._fields(sobject, record)}
                for record in some
            ]
            body = {"allOrNone": False, "records": rows}
            results = self._call("write records", path, list[_RowResult], "PATCH", body)
            failed += [
                RowError(
                    start + i, by_code(doing, 200, result["errors"], writing=True, racing=racing)
                )
                for i, result in enumerate(results)
                if not result["success"]
            ]
        return failed

"""Records that a query finds, one call at a time or in bulk."""

import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NotRequired, TypedDict

from more_itertools import chunked

from invoicing.connectors.salesforce.connection import Connection, Record
from invoicing.connectors.salesforce.errors import translated_errors
from invoicing.domain.salesforce.queries import Query
from invoicing.errors import TransientError
from invoicing.typed_answers import convert

BULK_PART = 10_000
"""Rows in a part of a Bulk query's results: a trade of memory against calls."""

RETRIEVED = 1_000
"""Records that one call gives by their ids; Salesforce gives up to 2,000."""


class _Page(TypedDict):
    """A part of what a query finds."""

    done: bool
    records: list[Record]
    totalSize: int
    nextRecordsUrl: NotRequired[str]


class Queries(Connection):
    """What is read of an org."""

    def query(self, query: Query, *, deleted: bool = False) -> list[Record]:
        """All records that a query finds, each with all of its children.

        Args:
            query: The query.
            deleted: Find those in the recycle bin, and those that were merged away, as well.

        A batch may end anywhere, and children count: a list of children that was cut names its
        rest, which is fetched here.
        Source: REST API Developer Guide, "Query Options Header" (child objects count, and no size
        is guaranteed); SOQL and SOSL Reference, "Change the Batch Size in Queries"

        Raises:
            TransientError: fewer children came than were announced.
        """
        soql = query.build(self._names).soql
        with translated_errors("read records"):
            found = self._whole(self._client.query(soql, include_deleted=deleted))["records"]
            for record in found:
                for value in record.values():
                    if isinstance(value, dict) and "records" in value:
                        value["records"] = self._whole(value)["records"]
        return [self._names.record(row) for row in found] if self._renames else found

    def aggregate(self, query: Query) -> list[Decimal]:
        """The numbers of a query of aggregates, in the order asked; 0 where there are no rows.

        Source: SOQL and SOSL Reference, "GROUP BY", on aliases (expr0, expr1, …)
        """
        soql = query.build(self._names).soql
        with translated_errors("add up records"):
            [row] = self._whole(self._client.query(soql))["records"]
        return [Decimal(str(row[f"expr{at}"] or 0)) for at, _ in enumerate(query.fields)]

    def _whole(self, answer: object) -> _Page:
        """A first page with the records of those after it: as many as it announces."""
        page = last = convert(answer, _Page)
        while not last["done"]:
            following = last.get("nextRecordsUrl")
            if not following:
                raise TransientError("Salesforce's answer does not say where it goes on.")
            more = self._client.query_more(following, identifier_is_url=True)
            last = convert(more, _Page)
            page["records"] += last["records"]
        came, announced = len(page["records"]), page["totalSize"]
        if came != announced:
            raise TransientError(f"Salesforce gave {came} of {announced} records; ask again.")
        return page

    def retrieve(self, sobject: str, ids: Sequence[str], fields: Sequence[str]) -> Iterator[Record]:
        """The records of some ids, as far as they are there, with the fields that the org keeps.

        Source: REST API Developer Guide, "Get Records With a Request Body Using sObject
        Collections"
        """
        path = f"composite/sobjects/{self.own_object(sobject)}"
        kept = list(filter(None, (self.own_field(sobject, name) for name in fields)))
        for some in chunked(ids, RETRIEVED):
            body = {"ids": some, "fields": kept}
            found = self._call(
                "read records", path, list[Record | None], "POST", body, reading=True
            )
            for row in filter(None, found):
                yield self._names.record(row) if self._renames else row

    def bulk_query(self, query: Query) -> Iterator[list[str]]:
        """The rows of a large query one by one, values as CSV text in the query's order.

        Bulk API 2.0 query: one job, read in parts, of which one is in memory at a time. What
        the org does not keep is an empty text.
        """
        asked = query.build(self._names)
        with self._client.renewed(), translated_errors("read records in bulk"):
            sobject = getattr(self._client.bulk2, "query")  # noqa: B009  (any name will do)
            for part in sobject.query(asked.soql, max_records=BULK_PART, wait=0.2):
                # StringIO takes four bytes for each character.
                rows = csv.reader(io.TextIOWrapper(io.BytesIO(part.encode()), "utf-8", newline=""))
                next(rows, None)
                yield from map(asked.row, rows) if self._renames else rows

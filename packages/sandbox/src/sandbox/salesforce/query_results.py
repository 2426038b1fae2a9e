"""Running queries: records from rows, pages, and locators for the pages to come.

A batch has a size in records, and child records count: a list of children that no longer fits says
``done: false`` with a ``nextRecordsUrl`` of its own, and the batch ends there. Queries that select
two or more long texts get 200. Sources: REST API Developer Guide, "Query Options Header"; SOQL and
SOSL Reference, "Change the Batch Size in Queries"; and as others met it,
https://github.com/simple-salesforce/simple-salesforce/issues/311 (499 of 1,200 children) and
https://github.com/jsforce/jsforce/pull/1752 (199 of 257).
"""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.org import DATA_PATH, Org
from sandbox.salesforce.soql.to_sql import Children, Plan, Query, translate

Record = dict[str, Any]
Rows = list[tuple[Any, ...]]

PAGE_SIZE = 2_000
"""Rows a page, at most and by default."""
MIN_PAGE_SIZE = 200
LONG_TEXTS = 2
"""How many long texts a query selects for its batches to be small."""
_OPEN_CURSORS = 100


class Batches:
    """How many records a batch has: as many as asked for, or a random few, for tests.

    Salesforce promises no size, so a client has to bear any.
    """

    def __init__(self) -> None:
        self._largest: int | None = None
        self._random = Random()  # noqa: S311  repeatable on purpose

    def configure(self, largest: int | None, seed: int = 1) -> None:
        """Make batches of random sizes up to a largest; None for those of Salesforce."""
        self._largest, self._random = largest, Random(seed)  # noqa: S311

    def size(self, query: Query, asked: int) -> int:
        """The size of the next batch of a query."""
        if query.aggregate:
            return asked
        if self._largest is not None:
            return self._random.randint(1, self._largest)
        return min(asked, MIN_PAGE_SIZE) if _long_texts(query) >= LONG_TEXTS else asked


def _long_texts(query: Query) -> int:
    """How many long text areas a query selects, its children's counted."""
    own = sum(column.long_text for column in query.columns if column.heading)
    return own + sum(_long_texts(each.query) for each in query.plan.children.values())


class _Snapshot:
    """The rows of a query, set aside so that later pages show the same moment."""

    def __init__(self, org: Org, name: str, query: Query) -> None:
        self._org = org
        self._table = f'temp."{name}"'
        self.query = query
        columns = ", ".join(f"{column.sql} AS c{n}" for n, column in enumerate(query.columns))
        org.store.run(f'CREATE TEMP TABLE "{name}" AS {query.sql(columns)}', query.parameters)
        self.total = int(org.store.one(f"SELECT COUNT(*) FROM {self._table}"))

    def page(self, start: int, size: int) -> Rows:
        return self._org.store.all(
            f"SELECT * FROM {self._table} WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (start, size),
        )

    def drop(self) -> None:
        self._org.store.run(f"DROP TABLE IF EXISTS {self._table}")


class Cursors:
    """The query resource: first pages, and the pages after them."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self.batches = Batches()
        self._open: OrderedDict[str, Callable[[int], Record]] = OrderedDict()
        self._snapshots: dict[str, _Snapshot] = {}

    def clear(self) -> None:
        """Forget every locator, and make batches as Salesforce does."""
        self.batches.configure(None)
        for snapshot in self._snapshots.values():
            snapshot.drop()
        self._open.clear()
        self._snapshots.clear()

    def query(self, soql: str, *, all_rows: bool = False, size: int = PAGE_SIZE) -> Record:
        """The first page of a query's answer.

        Raises:
            SalesforceError: The query is malformed, or names what is not there.
        """
        query = translate(self._org, soql, all_rows=all_rows)
        cursor = self._org.store.run(query.sql(), query.parameters)
        if query.count_only:
            return {"totalSize": cursor.fetchone()[0], "done": True, "records": []}
        batch = self.batches.size(query, size)
        rows = cursor.fetchmany(batch + 1)
        cursor.close()
        if len(rows) <= batch:
            records = self._records(query, rows, batch, size)
            if len(records) == len(rows):
                return _page(records, len(rows))
        if query.aggregate:
            raise SalesforceError(
                "EXCEEDED_ID_LIMIT",
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results "
                "to a single batch",
            )
        return self._first_page(query, batch, size)

    def more(self, locator: str) -> Record:
        """The page a locator names.

        Raises:
            SalesforceError: INVALID_QUERY_LOCATOR.
        """
        name, _, start = locator.partition("-")
        if name not in self._open or not start.isdigit():
            raise SalesforceError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._open[name](int(start))

    def _first_page(self, query: Query, batch: int, size: int) -> Record:
        name = self._name()
        snapshot = _Snapshot(self._org, name, query)
        self._snapshots[name] = snapshot

        def page(start: int, room: int) -> Record:
            records = self._records(query, snapshot.page(start, room), room, size)
            return _page(records, snapshot.total, name, start + len(records))

        self._keep(name, lambda start: page(start, self.batches.size(query, size)))
        return page(0, batch)

    def _name(self) -> str:
        return make_id("0r8", self._org.store.next_number("cursor"))

    def _keep(self, name: str, page: Callable[[int], Record]) -> None:
        self._open[name] = page
        while len(self._open) > _OPEN_CURSORS:
            oldest, _ = self._open.popitem(last=False)
            if oldest in self._snapshots:
                self._snapshots.pop(oldest).drop()

    def _records(self, query: Query, rows: Rows, room: int, size: int) -> list[Record]:
        """As many records of these rows as have room, children counted; one at least.

        Args:
            query: The query.
            rows: Its rows, from the first that is due.
            room: How many records the batch takes.
            size: The size that was asked for, of the batches that children may need beside it.
        """
        if query.aggregate:
            return [_aggregate_record(query.plan, row) for row in rows]
        if not query.plan.children:
            return [_record(query.plan, row) for row in rows[:room]]
        ids = [row[0] for row in rows]
        found = {
            name: self._children_of(ids, children) for name, children in query.plan.children.items()
        }
        records: list[Record] = []
        for row in rows:
            if records and room <= 1:
                break
            record = _record(query.plan, row)
            room -= 1
            for name, children in query.plan.children.items():
                own = found[name].get(row[0], [])
                shown = min(len(own), max(room, 1))
                record[name] = self._child_page(children.query, own, shown, size) if own else None
                room -= shown
            records.append(record)
        return records

    def _children_of(self, ids: Sequence[str], children: Children) -> dict[str, Rows]:
        """The rows of child records by their parents' ids."""
        rows = self._org.store.all(
            children.sql(), {**children.query.parameters, "parents": json.dumps(ids)}
        )
        by_parent: dict[str, Rows] = {}
        for row in rows:
            by_parent.setdefault(row[-2], []).append(row)
        return by_parent

    def _child_page(self, query: Query, rows: Rows, shown: int, size: int) -> Record:
        """The first children of a record; the others by a locator."""
        if len(rows) == shown:
            return _page([_record(query.plan, row) for row in rows], len(rows))
        name = self._name()

        def page(start: int, room: int) -> Record:
            records = [_record(query.plan, row) for row in rows[start : start + room]]
            return _page(records, len(rows), name, start + len(records))

        self._keep(name, lambda start: page(start, self.batches.size(query, size)))
        return page(0, shown)


def _page(records: list[Record], total: int, name: str = "", end: int = 0) -> Record:
    page: Record = {"totalSize": total, "done": not name or end >= total}
    if not page["done"]:
        page["nextRecordsUrl"] = f"{DATA_PATH}/query/{name}-{end}"
    page["records"] = records
    return page


def attributes(sobject: str, record_id: str) -> dict[str, str]:
    """The ``attributes`` of a record."""
    return {"type": sobject, "url": f"{DATA_PATH}/sobjects/{sobject}/{record_id}"}


def _record(plan: Plan, row: tuple[Any, ...]) -> Record:
    record: Record = {"attributes": attributes(plan.sobject.name, row[plan.id_column])}
    for name in plan.order:
        if name in plan.values:
            position, boolean = plan.values[name]
            record[name] = bool(row[position]) if boolean else row[position]
        elif name in plan.parents:
            parent = plan.parents[name]
            record[name] = None if row[parent.id_column] is None else _record(parent, row)
    return record


def _aggregate_record(plan: Plan, row: tuple[Any, ...]) -> Record:
    record: Record = {"attributes": {"type": "AggregateResult"}}
    for name, (position, boolean) in plan.values.items():
        record[name] = bool(row[position]) if boolean else row[position]
    return record

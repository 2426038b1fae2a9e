"""Running queries: records from rows, pages, and locators for the pages to come."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.org import DATA_PATH, Org
from sandbox.salesforce.query import Children, Plan, Query, translate

Record = dict[str, Any]
Rows = list[tuple[Any, ...]]

PAGE_SIZE = 2_000
"""Rows a page, at most and by default."""
MIN_PAGE_SIZE = 200
_OPEN_CURSORS = 100


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
        self._open: OrderedDict[str, Callable[[int], Record]] = OrderedDict()
        self._snapshots: dict[str, _Snapshot] = {}

    def clear(self) -> None:
        """Forget every locator."""
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
        rows = cursor.fetchmany(size + 1)
        if len(rows) <= size:
            return _page(self._records(query, rows, size), len(rows))
        cursor.close()
        if query.aggregate:
            raise SalesforceError(
                "EXCEEDED_ID_LIMIT",
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results "
                "to a single batch",
            )
        return self._first_page(query, size)

    def more(self, locator: str) -> Record:
        """The page a locator names.

        Raises:
            SalesforceError: INVALID_QUERY_LOCATOR.
        """
        name, _, start = locator.partition("-")
        if name not in self._open or not start.isdigit():
            raise SalesforceError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._open[name](int(start))

    def _first_page(self, query: Query, size: int) -> Record:
        name = self._name()
        snapshot = _Snapshot(self._org, name, query)
        self._snapshots[name] = snapshot

        def page(start: int) -> Record:
            records = self._records(query, snapshot.page(start, size), size)
            return _page(records, snapshot.total, name, start + len(records))

        self._keep(name, page)
        return page(0)

    def _name(self) -> str:
        return make_id("0r8", self._org.store.next_number("cursor"))

    def _keep(self, name: str, page: Callable[[int], Record]) -> None:
        self._open[name] = page
        while len(self._open) > _OPEN_CURSORS:
            oldest, _ = self._open.popitem(last=False)
            if oldest in self._snapshots:
                self._snapshots.pop(oldest).drop()

    def _records(self, query: Query, rows: Rows, size: int) -> list[Record]:
        if query.aggregate:
            return [_aggregate_record(query.plan, row) for row in rows]
        records = [_record(query.plan, row) for row in rows]
        for name, children in query.plan.children.items():
            self._attach(records, [row[0] for row in rows], name, children, size)
        return records

    def _attach(
        self, records: list[Record], ids: list[str], name: str, children: Children, size: int
    ) -> None:
        rows = self._org.store.all(
            children.sql(), {**children.query.parameters, "parents": json.dumps(ids)}
        )
        by_parent: dict[str, Rows] = {}
        for row in rows:
            by_parent.setdefault(row[-2], []).append(row)
        for record, parent in zip(records, ids, strict=True):
            found = by_parent.get(parent)
            record[name] = self._child_page(children.query, found, size) if found else None

    def _child_page(self, query: Query, rows: Rows, size: int) -> Record:
        if len(rows) <= size:
            return _page([_record(query.plan, row) for row in rows], len(rows))
        name = self._name()

        def page(start: int) -> Record:
            records = [_record(query.plan, row) for row in rows[start : start + size]]
            return _page(records, len(rows), name, start + len(records))

        self._keep(name, page)
        return page(0)


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

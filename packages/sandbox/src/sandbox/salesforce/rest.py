"""The REST resources below ``/services/data/v67.0``, except Composite and Bulk."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.salesforce import custom_permissions, deletion, records, user_permissions
from sandbox.salesforce.describe import (
    describe_global,
    describe_layouts,
    describe_sobject,
    object_summary,
)
from sandbox.salesforce.errors import SalesforceError, not_found
from sandbox.salesforce.http import Answer, Call, Handler
from sandbox.salesforce.ids import normalize
from sandbox.salesforce.limits import Usage
from sandbox.salesforce.org import DATA_PATH, Org
from sandbox.salesforce.query_results import MIN_PAGE_SIZE, PAGE_SIZE, Cursors, attributes
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.soql.column_metadata import describe_columns
from sandbox.salesforce.soql.to_sql import translate
from sandbox.salesforce.store import Row, quoted
from sandbox.salesforce.values import stamp, to_json, to_stored


class Rest:
    """The handlers of plain REST; ``table`` lists them."""

    def __init__(self, org: Org, cursors: Cursors, usage: Usage, identity_url: str) -> None:
        self._org = org
        self._identity_url = identity_url
        self._cursors = cursors
        self._usage = usage

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler; the first match wins."""
        return [
            ("GET HEAD", "/", self._resources),
            ("GET", "/limits", self._limits),
            ("GET", "/query", self._query),
            ("GET", "/queryAll", self._query_all),
            ("GET", "/query/{locator}", self._query_more),
            ("GET", "/queryAll/{locator}", self._query_more),
            ("GET", "/sobjects", self._describe_global),
            ("GET", "/sobjects/{name}", self._object_info),
            ("POST", "/sobjects/{name}", self._create),
            ("GET", "/sobjects/{name}/describe", self._describe),
            ("GET", "/sobjects/{name}/describe/layouts", self._layouts),
            ("GET", "/sobjects/{name}/describe/layouts/{record_type}", self._layouts),
            ("GET", "/sobjects/{name}/deleted", self._deleted),
            ("GET", "/sobjects/{name}/updated", self._updated),
            ("GET HEAD", "/sobjects/{name}/{record_id}", self._read),
            ("PATCH", "/sobjects/{name}/{record_id}", self._update),
            ("DELETE", "/sobjects/{name}/{record_id}", self._delete),
            ("GET HEAD", "/sobjects/{name}/{key}/{value:path}", self._read_by_key),
            ("PATCH POST", "/sobjects/{name}/{key}/{value:path}", self._upsert),
            ("DELETE", "/sobjects/{name}/{key}/{value:path}", self._delete_by_key),
        ]

    # -- about the org

    def _resources(self, _: Call) -> Answer:
        names = ("sobjects", "query", "queryAll", "composite", "jobs", "limits")
        paths = {name: f"{DATA_PATH}/{name}" for name in names}
        return Answer(body=paths | {"identity": self._identity_url})

    def _limits(self, _: Call) -> Answer:
        if not self._org.has_permission("ViewSetup"):
            raise SalesforceError(
                "INSUFFICIENT_ACCESS", "insufficient access rights on resource", status=403
            )
        return Answer(body=self._usage.as_limits())

    def _describe_global(self, _: Call) -> Answer:
        return Answer(body=describe_global(self._org.seen))

    def _object_info(self, _: Call, name: str) -> Answer:
        sobject = self._sobject(name)
        recent = self._org.store.where(
            sobject, "IsDeleted = 0 ORDER BY SystemModstamp DESC LIMIT 5", ()
        )
        return Answer(
            body={
                "objectDescribe": object_summary(sobject),
                "recentItems": [
                    {"attributes": attributes(sobject.name, row["Id"]), "Id": row["Id"]}
                    | ({"Name": row["Name"]} if sobject.name_field else {})
                    for row in recent
                ],
            }
        )

    def _describe(self, _: Call, name: str) -> Answer:
        return Answer(body=describe_sobject(self._org.seen, self._sobject(name)))

    def _layouts(self, _: Call, name: str, **_record_type: str) -> Answer:
        return Answer(body=describe_layouts(self._sobject(name)))

    # -- queries

    def _query(self, call: Call) -> Answer:
        return self._run(call, all_rows=False)

    def _query_all(self, call: Call) -> Answer:
        return self._run(call, all_rows=True)

    def _run(self, call: Call, *, all_rows: bool) -> Answer:
        soql = call.params.get("q")
        if not soql:
            raise SalesforceError("MALFORMED_QUERY", "A query string has to be specified")
        for own in (custom_permissions, user_permissions):
            if own.OBJECT.lower() in soql.lower():
                own.show(self._org)
        if call.params.get("columns") == "true":
            return Answer(body=describe_columns(translate(self._org, soql, all_rows=all_rows)))
        size = _page_size(call.headers.get("sforce-query-options", ""))
        return Answer(body=self._cursors.query(soql, all_rows=all_rows, size=size))

    def _query_more(self, _: Call, locator: str) -> Answer:
        return Answer(body=self._cursors.more(locator))

    # -- single records

    def _create(self, call: Call, name: str) -> Answer:
        record_id = records.create(self._org, self._sobject(name), call.mapping())
        return Answer(
            201,
            {"id": record_id, "success": True, "errors": []},
            {"Location": f"{DATA_PATH}/sobjects/{name}/{record_id}"},
        )

    def _read(self, call: Call, name: str, record_id: str) -> Answer:
        sobject = self._sobject(name)
        row = self._org.store.get(sobject, _path_id(record_id))
        if row is None or row["IsDeleted"]:
            raise not_found()
        return self._record(call, sobject, row)

    def _update(self, call: Call, name: str, record_id: str) -> Answer:
        records.update(self._org, self._sobject(name), _path_id(record_id), call.mapping())
        return Answer(204)

    def _delete(self, _: Call, name: str, record_id: str) -> Answer:
        deletion.delete(self._org, self._sobject(name), _path_id(record_id))
        return Answer(204)

    def _read_by_key(self, call: Call, name: str, key: str, value: str) -> Answer:
        sobject = self._sobject(name)
        record_id = self._matching(sobject, key, value)
        return self._read(call, sobject.name, record_id)

    def _delete_by_key(self, _: Call, name: str, key: str, value: str) -> Answer:
        sobject = self._sobject(name)
        deletion.delete(self._org, sobject, self._matching(sobject, key, value))
        return Answer(204)

    def _upsert(self, call: Call, name: str, key: str, value: str) -> Answer:
        sobject = self._sobject(name)
        field = records.external_id_field(sobject, key)
        body = call.mapping()
        if any(given.lower() == field.name.lower() for given in body):
            raise SalesforceError(
                "INVALID_FIELD",
                f"The {field.name} field should not be specified in the sobject data.",
            )
        saved = records.upsert(self._org, sobject, field, value, body)
        return Answer(
            201 if saved.created else 200,
            {"id": saved.id, "success": True, "errors": [], "created": saved.created},
        )

    def _matching(self, sobject: SObject, key: str, value: str) -> str:
        field = records.external_id_field(sobject, key)
        record_id = records.match_external_id(self._org, sobject, field, value)
        if record_id is None:
            raise not_found()
        return record_id

    def _record(self, call: Call, sobject: SObject, row: Row) -> Answer:
        names = call.params.get("fields")
        fields = asked_fields(sobject, names.split(",")) if names else sobject.fields.values()
        return Answer(body=as_record(sobject, row, fields))

    # -- changes in a span of time

    def _deleted(self, call: Call, name: str) -> Answer:
        sobject = self._sobject(name)
        start, end = self._span(call)
        rows = self._changed(sobject, "IsDeleted = 1", start, end)
        return Answer(
            body={
                "deletedRecords": [{"id": row[0], "deletedDate": row[1]} for row in rows],
                "earliestDateAvailable": self._days_ago(30),
                "latestDateCovered": end,
            }
        )

    def _updated(self, call: Call, name: str) -> Answer:
        sobject = self._sobject(name)
        start, end = self._span(call)
        rows = self._changed(sobject, "IsDeleted = 0", start, end)
        return Answer(body={"ids": [row[0] for row in rows], "latestDateCovered": end})

    def _changed(self, sobject: SObject, which: str, start: str, end: str) -> list[Any]:
        return self._org.store.all(
            f"SELECT Id, SystemModstamp FROM {quoted(sobject.name)} "
            f"WHERE {which} AND SystemModstamp >= ? AND SystemModstamp <= ?",
            (start, end),
        )

    def _span(self, call: Call) -> tuple[str, str]:
        moment = Field(name="start", type="datetime")
        try:
            start, end = (str(to_stored(moment, call.params[name])) for name in ("start", "end"))
        except KeyError as missing:
            raise SalesforceError(
                "MISSING_ARGUMENT", f"Missing required argument: {missing.args[0]}"
            ) from None
        if start >= end:
            raise SalesforceError("INVALID_REPLICATION_DATE", "startDate must be before endDate")
        if start < self._days_ago(30):
            raise SalesforceError(
                "INVALID_REPLICATION_DATE", "startDate cannot be more than 30 days ago"
            )
        return start, end

    def _days_ago(self, days: int) -> str:
        moment: datetime = self._org.clock.instant() - timedelta(days=days)
        return stamp(moment)

    def _sobject(self, name: str) -> SObject:
        return find_sobject(self._org, name)


def find_sobject(org: Org, name: str) -> SObject:
    """The object a path names.

    Raises:
        SalesforceError: NOT_FOUND.
    """
    sobject = org.seen.find(name)
    if sobject is None:
        raise not_found()
    return sobject


def _path_id(text: str) -> str:
    """The record id in a path; what cannot be one is taken for an external id field's name."""
    if len(text) not in {15, 18}:
        raise not_found(f"Provided external ID field does not exist or is not accessible: {text}")
    return normalize(text)


def asked_fields(sobject: SObject, names: list[str]) -> list[Field]:
    """The fields a client asks for by name.

    Raises:
        SalesforceError: INVALID_FIELD where the object lacks one.
    """
    fields = []
    for name in names:
        field = sobject.find(name.strip())
        if field is None:
            raise SalesforceError(
                "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}"
            )
        fields.append(field)
    return fields


def as_record(sobject: SObject, row: Row, fields: Any) -> Mapping[str, Any]:
    """A stored row as the API answers a record."""
    record: dict[str, Any] = {"attributes": attributes(sobject.name, row["Id"])}
    return record | {f.name: to_json(f, row[f.name]) for f in fields}


def _page_size(options: str) -> int:
    name, _, value = options.partition("=")
    if name.strip().lower() != "batchsize" or not value.strip().isdigit():
        return PAGE_SIZE
    return min(max(int(value), MIN_PAGE_SIZE), PAGE_SIZE)

"""Bulk API 2.0 query jobs: a snapshot as CSV, read in parts."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.errors import SalesforceError, not_found
from sandbox.salesforce.http import Answer, Call, Handler
from sandbox.salesforce.ids import make_id, normalize
from sandbox.salesforce.org import API_VERSION, Org
from sandbox.salesforce.soql.to_sql import Column, Query, translate

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
RESULT_RECORDS = 50_000
"""Records a part of the results, where the client does not say."""


def csv_format(order: Mapping[str, Any]) -> tuple[str, str]:
    """The names of the column delimiter and line ending that a job's order asks for.

    Raises:
        SalesforceError: INVALIDJOB.
    """
    delimiter = str(order.get("columnDelimiter") or "COMMA")
    ending = str(order.get("lineEnding") or "LF")
    if delimiter not in DELIMITERS or ending not in LINE_ENDINGS:
        raise SalesforceError("INVALIDJOB", "Unknown columnDelimiter or lineEnding")
    return delimiter, ending


@dataclass
class QueryJob:
    """One query job; its lines lie in a temporary table of the same name."""

    id: str
    operation: str
    object: str
    created: str
    delimiter: str
    line_ending: str
    heading: str
    count: int
    state: str = "UploadComplete"
    polls: int = 0

    def as_json(self, user_id: str) -> dict[str, Any]:
        """The job as the API shows it."""
        return {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "createdById": user_id,
            "createdDate": self.created,
            "systemModstamp": self.created,
            "state": self.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(API_VERSION),
            "lineEnding": self.line_ending,
            "columnDelimiter": self.delimiter,
        }


class BulkQuery:
    """``jobs/query``."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._jobs: dict[str, QueryJob] = {}
        self.pending_polls = 0
        """How often a new job is asked for before it has completed."""

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler."""
        return [
            ("POST", "/jobs/query", self._create),
            ("GET", "/jobs/query", self._list),
            ("GET", "/jobs/query/{job_id}", self._get),
            ("PATCH", "/jobs/query/{job_id}", self._abort),
            ("DELETE", "/jobs/query/{job_id}", self._delete),
            ("GET", "/jobs/query/{job_id}/results", self._results),
        ]

    def clear(self) -> None:
        """Forget every job."""
        for job in self._jobs.values():
            self._drop(job)
        self._jobs.clear()
        self.pending_polls = 0

    def _create(self, call: Call) -> Answer:
        body = call.mapping()
        operation = str(body.get("operation"))
        if operation not in {"query", "queryAll"}:
            raise SalesforceError("INVALIDJOB", f"Unsupported operation: {operation}")
        delimiter, ending = csv_format(body)
        query = translate(self._org, str(body.get("query")), all_rows=operation == "queryAll")
        if query.plan.children or query.aggregate:
            raise SalesforceError(
                "INVALIDJOB", "Aggregate and nested queries are not supported in the Bulk API"
            )
        job = self._snapshot(query, operation, delimiter, ending)
        self._jobs[job.id] = job
        return Answer(body=job.as_json(self._org.user_id))

    def _snapshot(self, query: Query, operation: str, delimiter: str, ending: str) -> QueryJob:
        job_id = make_id("750", self._org.store.next_number("job"))
        shown = [column for column in query.columns if column.heading]
        mark = DELIMITERS[delimiter]
        line = f" || '{mark}' || ".join(_csv_value(column) for column in shown)
        self._org.store.run(
            f'CREATE TEMP TABLE "{job_id}" AS {query.sql(f"{line} AS line")}', query.parameters
        )
        return QueryJob(
            id=job_id,
            operation=operation,
            object=query.sobject.name,
            created=self._org.now(),
            delimiter=delimiter,
            line_ending=ending,
            heading=mark.join(f'"{column.heading}"' for column in shown),
            count=int(self._org.store.one(f'SELECT COUNT(*) FROM temp."{job_id}"')),
        )

    def _list(self, _: Call) -> Answer:
        jobs = [job.as_json(self._org.user_id) for job in self._jobs.values()]
        return Answer(body={"done": True, "nextRecordsUrl": None, "records": jobs})

    def _get(self, _: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        if job.state in {"UploadComplete", "InProgress"}:
            job.state = "JobComplete" if job.polls >= self.pending_polls else "InProgress"
            job.polls += 1
        progress = {"retries": 0, "totalProcessingTime": 0, "isPkChunkingSupported": True}
        return Answer(
            body=job.as_json(self._org.user_id) | {"numberRecordsProcessed": job.count} | progress
        )

    def _abort(self, call: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        if call.mapping().get("state") != "Aborted" or job.state == "JobComplete":
            raise SalesforceError("INVALIDJOBSTATE", "The job cannot change to this state")
        job.state = "Aborted"
        return Answer(body=job.as_json(self._org.user_id))

    def _delete(self, _: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        self._drop(job)
        del self._jobs[job.id]
        return Answer(204)

    def _results(self, call: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        if job.state != "JobComplete":
            raise SalesforceError("INVALIDJOBSTATE", "The job has not completed")
        start = _position(call.params.get("locator"))
        wanted = call.params.get("maxRecords", "")
        size = int(wanted) if wanted.isdecimal() and int(wanted) else RESULT_RECORDS
        rows = self._org.store.all(
            f'SELECT line FROM temp."{job.id}" WHERE rowid > ? ORDER BY rowid LIMIT ?',
            (start, size),
        )
        end = start + len(rows)
        ending = LINE_ENDINGS[job.line_ending]
        text = ending.join([job.heading, *(row[0] for row in rows), ""])
        return Answer(
            body=text.encode(),
            headers={
                "Content-Type": "text/csv",
                "Sforce-Locator": "null" if end >= job.count else _locator(end),
                "Sforce-NumberOfRecords": str(len(rows)),
            },
        )

    def _job(self, job_id: str) -> QueryJob:
        try:
            return self._jobs[normalize(job_id)]
        except KeyError:
            raise not_found() from None

    def _drop(self, job: QueryJob) -> None:
        self._org.store.run(f'DROP TABLE IF EXISTS temp."{job.id}"')


def _csv_value(column: Column) -> str:
    """SQL that writes one value quoted, as Bulk results are; the database is faster at it."""
    sql = column.sql
    if column.kind == "boolean":
        return f"CASE {sql} WHEN 1 THEN '\"true\"' ELSE '\"false\"' END"
    if column.kind in {"double", "currency", "percent"}:
        plain = f"{sql} = 0 OR ABS({sql}) BETWEEN 1e-3 AND 9999999"
        sql = f"CASE WHEN {plain} THEN CAST({sql} AS TEXT) ELSE java_double({sql}) END"
        return f"'\"' || CASE WHEN {column.sql} IS NULL THEN '' ELSE {sql} END || '\"'"
    return f"'\"' || COALESCE(replace({sql}, '\"', '\"\"'), '') || '\"'"


def _locator(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _position(locator: str | None) -> int:
    if not locator:
        return 0
    try:
        return int(base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)))
    except (ValueError, binascii.Error):
        raise SalesforceError("INVALIDLOCATOR", "invalid locator") from None

"""Bulk API 2.0 ingest jobs: rows from CSV, saved in chunks, each row with its own result."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.salesforce import deletion, records
from sandbox.salesforce.bulk_query import DELIMITERS, LINE_ENDINGS, csv_format
from sandbox.salesforce.errors import SalesforceError, not_found
from sandbox.salesforce.http import Answer, Call, Handler
from sandbox.salesforce.ids import make_id, normalize
from sandbox.salesforce.org import API_VERSION, Org
from sandbox.salesforce.records import MultipleMatches, Saved
from sandbox.salesforce.schema import Field, SObject

MAX_CONTENT = 150_000_000
"""Bytes of CSV a job takes."""
BATCH_ROWS = 10_000
"""Rows a batch; the batches of a job run side by side."""
CHUNK_ROWS = 200
"""Rows that share one transaction."""
OPERATIONS = {"insert", "update", "upsert", "delete", "hardDelete"}
NULL = "#N/A"

CsvRow = dict[str, str]


@dataclass
class IngestJob:
    """One ingest job, its rows and what became of them."""

    id: str
    operation: str
    sobject: SObject
    key: Field | None
    created: str
    delimiter: str
    line_ending: str
    state: str = "Open"
    error: str | None = None
    content: bytes | None = None
    heading: list[str] = field(default_factory=list)
    successful: list[list[str]] = field(default_factory=list)
    failed: list[list[str]] = field(default_factory=list)
    unprocessed: list[list[str]] = field(default_factory=list)
    work: asyncio.Task[None] | None = None
    polls: int = 0

    def as_json(self, user_id: str) -> dict[str, Any]:
        """The job as the API shows it."""
        shown = {
            "id": self.id,
            "operation": self.operation,
            "object": self.sobject.name,
            "createdById": user_id,
            "createdDate": self.created,
            "systemModstamp": self.created,
            "state": self.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(API_VERSION),
            "contentUrl": f"services/data/v{API_VERSION}/jobs/ingest/{self.id}/batches",
            "lineEnding": self.line_ending,
            "columnDelimiter": self.delimiter,
            "jobType": "V2Ingest",
            "assignmentRuleId": None,
        }
        if self.key is not None:
            shown["externalIdFieldName"] = self.key.name
        return shown

    def progress(self) -> dict[str, Any]:
        """How far it has come."""
        shown = {
            "numberRecordsProcessed": len(self.successful) + len(self.failed),
            "numberRecordsFailed": len(self.failed),
            "retries": 0,
            "totalProcessingTime": 0,
            "apiActiveProcessingTime": 0,
            "apexProcessingTime": 0,
        }
        return shown | ({"errorMessage": self.error} if self.error else {})

    def csv(self, heading: list[str], rows: Iterable[list[str]]) -> bytes:
        """Rows as results are written: every value quoted."""
        out = io.StringIO()
        writer = csv.writer(
            out,
            delimiter=DELIMITERS[self.delimiter],
            lineterminator=LINE_ENDINGS[self.line_ending],
            quoting=csv.QUOTE_ALL,
        )
        writer.writerow(heading)
        writer.writerows(rows)
        return out.getvalue().encode()


class BulkIngest:
    """``jobs/ingest``."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._jobs: dict[str, IngestJob] = {}
        self.pending_polls = 0

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler."""
        return [
            ("POST", "/jobs/ingest", self._create),
            ("GET", "/jobs/ingest", self._list),
            ("GET", "/jobs/ingest/{job_id}", self._get),
            ("PATCH", "/jobs/ingest/{job_id}", self._close),
            ("DELETE", "/jobs/ingest/{job_id}", self._delete),
            ("PUT", "/jobs/ingest/{job_id}/batches", self._upload),
            ("GET", "/jobs/ingest/{job_id}/{results}", self._results),
        ]

    def clear(self) -> None:
        """Forget every job, running ones too."""
        for job in self._jobs.values():
            if job.work is not None:
                job.work.cancel()
        self._jobs.clear()
        self.pending_polls = 0

    # -- resources

    def _create(self, call: Call) -> Answer:
        body = call.mapping()
        operation = str(body.get("operation"))
        if operation not in OPERATIONS:
            raise SalesforceError("INVALIDJOB", f"Unsupported operation: {operation}")
        sobject = self._org.seen.find(str(body.get("object")))
        if sobject is None:
            raise SalesforceError("INVALIDENTITY", f"Unable to find object: {body.get('object')}")
        delimiter, ending = csv_format(body)
        key = None
        if operation == "upsert":
            name = body.get("externalIdFieldName")
            if not name:
                raise SalesforceError("INVALIDJOB", "externalIdFieldName is required for upsert")
            key = records.external_id_field(sobject, str(name))
        job_id = make_id("750", self._org.store.next_number("job"))
        job = IngestJob(job_id, operation, sobject, key, self._org.now(), delimiter, ending)
        self._jobs[job_id] = job
        return Answer(body=job.as_json(self._org.user_id))

    def _list(self, _: Call) -> Answer:
        jobs = [job.as_json(self._org.user_id) for job in self._jobs.values()]
        return Answer(body={"done": True, "nextRecordsUrl": None, "records": jobs})

    def _get(self, _: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        shown = job.as_json(self._org.user_id) | job.progress()
        if job.state == "JobComplete" and job.polls < self.pending_polls:
            shown["state"] = "InProgress"
        job.polls += 1
        return Answer(body=shown)

    def _upload(self, call: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        if job.state != "Open" or job.content is not None:
            raise SalesforceError("INVALIDJOBSTATE", "Data was already uploaded for this job")
        if len(call.content) > MAX_CONTENT:
            raise SalesforceError("EXCEEDED_MAX_SIZE_REQUEST", "Maximum size is 150 MB", status=413)
        job.content = call.content
        return Answer(201)

    def _close(self, call: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        wanted = str(call.mapping().get("state"))
        if wanted not in {"UploadComplete", "Aborted"} or job.state != "Open":
            raise SalesforceError(
                "INVALIDJOBSTATE", f"A job in state {job.state} cannot become {wanted}"
            )
        job.state = wanted
        if wanted == "UploadComplete":
            job.work = asyncio.get_running_loop().create_task(self._process(job))
        return Answer(body=job.as_json(self._org.user_id))

    def _delete(self, _: Call, job_id: str) -> Answer:
        job = self._job(job_id)
        if job.state not in {"JobComplete", "Failed", "Aborted"}:
            raise SalesforceError("INVALIDJOBSTATE", "The job is still under way")
        del self._jobs[job.id]
        return Answer(204)

    def _results(self, _: Call, job_id: str, results: str) -> Answer:
        job = self._job(job_id)
        match results.lower():
            case "successfulresults":
                content = job.csv(["sf__Id", "sf__Created", *job.heading], job.successful)
            case "failedresults":
                content = job.csv(["sf__Id", "sf__Error", *job.heading], job.failed)
            case "unprocessedrecords":
                content = job.csv(job.heading, job.unprocessed)
            case _:
                raise not_found()
        return Answer(body=content, headers={"Content-Type": "text/csv"})

    def _job(self, job_id: str) -> IngestJob:
        try:
            return self._jobs[normalize(job_id)]
        except KeyError:
            raise not_found() from None

    # -- work

    async def _process(self, job: IngestJob) -> None:
        job.state = "InProgress"
        rows = self._read(job)
        if job.error is not None:
            job.state, job.unprocessed = "Failed", rows
            return
        batches = [rows[n : n + BATCH_ROWS] for n in range(0, len(rows), BATCH_ROWS)]
        await asyncio.gather(*(self._batch(job, batch) for batch in batches))
        job.state = "JobComplete"

    def _read(self, job: IngestJob) -> list[list[str]]:
        """The rows of a job's CSV; a bad heading fails the job."""
        text = (job.content or b"").decode("utf-8-sig")
        job.content = None
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter])
        rows = [row for row in reader if row]
        if not rows:
            job.error = "InvalidBatch : No data was uploaded"
            return []
        job.heading = rows.pop(0)
        for name in job.heading:
            column, _, inner = name.partition(".")
            found = job.sobject.find_relationship(column) if inner else job.sobject.find(column)
            if found is None:
                job.error = f"InvalidBatch : Field name not found : {name}"
        return rows

    async def _batch(self, job: IngestJob, rows: list[list[str]]) -> None:
        for start in range(0, len(rows), CHUNK_ROWS):
            chunk = rows[start : start + CHUNK_ROWS]
            successful, failed = await self._org.locks.run(
                self._org.store, partial(self._chunk, job, chunk)
            )
            job.successful += successful
            job.failed += failed
            await asyncio.sleep(0)

    def _chunk(
        self, job: IngestJob, rows: list[list[str]]
    ) -> tuple[list[list[str]], list[list[str]]]:
        successful, failed = [], []
        for row in rows:
            values = dict(zip(job.heading, row, strict=False))
            try:
                saved = self._save(job, values)
                successful.append([saved.id, str(saved.created).lower(), *row])
            except SalesforceError as error:
                failed.append([_own_id(values), _described(error), *row])
            except MultipleMatches as several:
                message = f"DUPLICATE_EXTERNAL_ID:more than one record found: {several.ids}:--"
                failed.append(["", message, *row])
        return successful, failed

    def _save(self, job: IngestJob, values: CsvRow) -> Saved:
        own = next((name for name in values if name.lower() == "id"), None)
        record_id = values.pop(own) if own else ""
        body = _body(values)
        match job.operation:
            case "insert":
                return Saved(records.create(self._org, job.sobject, body), created=True)
            case "update":
                return Saved(records.update(self._org, job.sobject, record_id, body), created=False)
            case "upsert" if job.key is not None and job.key.name != "Id":
                value = values.get(job.key.name)
                if not value:
                    raise SalesforceError("MISSING_ARGUMENT", f"{job.key.name} not specified", [])
                body.pop(job.key.name)
                return records.upsert(self._org, job.sobject, job.key, value, body)
            case "upsert" if not record_id:
                return Saved(records.create(self._org, job.sobject, body), created=True)
            case "upsert":
                return Saved(records.update(self._org, job.sobject, record_id, body), created=False)
            case operation:
                deletion.delete(self._org, job.sobject, record_id)
                if operation == "hardDelete":
                    self._org.store.purge(job.sobject, normalize(record_id))
                return Saved(normalize(record_id), created=False)


def _body(values: CsvRow) -> dict[str, Any]:
    """A CSV row as a record: empty values are left alone, ``#N/A`` means null."""
    body: dict[str, Any] = {}
    for name, value in values.items():
        if value == "":
            continue
        given = None if value == NULL else value
        column, _, inner = name.partition(".")
        body[column] = {inner: given} if inner else given
    return body


def _own_id(values: CsvRow) -> str:
    return next((value for name, value in values.items() if name.lower() == "id"), "")


def _described(error: SalesforceError) -> str:
    return f"{error.code}:{error.message}:{', '.join(error.fields or [])} --"

"""Many records or many requests in one call: Collections, Composite, Composite Graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from sandbox.salesforce import deletion, records
from sandbox.salesforce.errors import SalesforceError, json_error
from sandbox.salesforce.http import Answer, Call, Handler
from sandbox.salesforce.ids import is_id, normalize
from sandbox.salesforce.org import Org
from sandbox.salesforce.records import MultipleMatches
from sandbox.salesforce.rest import as_record, asked_fields, find_sobject
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import Row

MAX_RECORDS = 200
MAX_RETRIEVED = 2_000
MAX_SUBREQUESTS = 25
MAX_GRAPHS = 75
MAX_NODES = 500

_REFERENCE = re.compile(r"@\{([^}]+)\}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_ROLLED_BACK = SalesforceError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone "
    "header",
    [],
)
_HALTED = SalesforceError(
    "PROCESSING_HALTED",
    "The transaction was rolled back since another operation in the same transaction failed.",
)

Result = dict[str, Any]
Save = Callable[[], Result]


class _RollBack(Exception):
    """Undo the transaction that is under way."""


class Collections:
    """``composite/sobjects``: up to 200 records in one call, each with its own result."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler."""
        return [
            ("POST", "/composite/sobjects", self._create),
            ("PATCH", "/composite/sobjects", self._update),
            ("DELETE", "/composite/sobjects", self._delete),
            ("GET", "/composite/sobjects/{name}", self._retrieve_by_url),
            ("POST", "/composite/sobjects/{name}", self._retrieve_by_body),
            ("PATCH", "/composite/sobjects/{name}/{key}", self._upsert),
        ]

    def _create(self, call: Call) -> Answer:
        def save(body: dict[str, Any]) -> Result:
            return _saved(records.create(self._org, self._type_of(body), body))

        return self._each(call, save)

    def _update(self, call: Call) -> Answer:
        def save(body: dict[str, Any]) -> Result:
            body = dict(body)
            record_id = next((body.pop(k) for k in list(body) if k.lower() == "id"), None)
            if record_id is None:
                raise SalesforceError("MISSING_ARGUMENT", "Id not specified in an update call", [])
            return _saved(records.update(self._org, self._type_of(body), record_id, body))

        return self._each(call, save)

    def _upsert(self, call: Call, name: str, key: str) -> Answer:
        sobject = find_sobject(self._org, name)
        field = records.external_id_field(sobject, key)
        rows, _ = _collection(call)
        repeated = _repeated(row.get(field.name) for row in rows)

        def save(body: dict[str, Any]) -> Result:
            body = dict(body)
            value = body.pop(field.name, None)
            if value in repeated:
                raise SalesforceError(
                    "DUPLICATE_VALUE", f"Duplicate external id specified: {value}", [field.name]
                )
            if value is None and field.name == "Id":
                return _saved(records.create(self._org, sobject, body)) | {"created": True}
            if value is None:
                raise SalesforceError("MISSING_ARGUMENT", f"{field.name} not specified", [])
            try:
                saved = records.upsert(self._org, sobject, field, value, body)
            except MultipleMatches as several:
                raise SalesforceError(
                    "DUPLICATE_EXTERNAL_ID",
                    f"{field.name}: more than one record found for external id field: "
                    f"{several.ids}",
                    [field.name],
                ) from None
            return _saved(saved.id) | {"created": saved.created}

        return self._each(call, save)

    def _delete(self, call: Call) -> Answer:
        ids = _split(call.params.get("ids", ""))
        all_or_none = call.params.get("allOrNone", "false").lower() == "true"
        _refuse_over(len(ids), MAX_RECORDS)

        def save(record_id: str) -> Result:
            sobject = self._org.schema.by_prefix.get(record_id[:3])
            if not is_id(record_id) or sobject is None:
                raise SalesforceError("MALFORMED_ID", f"malformed id {record_id}", [])
            return _saved(deletion.delete(self._org, sobject, record_id))

        return self._all([partial(save, one) for one in ids], all_or_none)

    def _retrieve_by_url(self, call: Call, name: str) -> Answer:
        ids, fields = (_split(call.params.get(key, "")) for key in ("ids", "fields"))
        return self._retrieve(name, ids, fields)

    def _retrieve_by_body(self, call: Call, name: str) -> Answer:
        body = call.mapping()
        return self._retrieve(name, body.get("ids", []), body.get("fields", []))

    def _retrieve(self, name: str, ids: list[str], names: list[str]) -> Answer:
        sobject = find_sobject(self._org, name)
        fields = asked_fields(sobject, names)
        _refuse_over(len(ids), MAX_RETRIEVED)
        found = [self._stored(sobject, one) for one in ids]
        return Answer(
            body=[
                None if row is None or row["IsDeleted"] else as_record(sobject, row, fields)
                for row in found
            ]
        )

    def _stored(self, sobject: SObject, record_id: str) -> Row | None:
        return self._org.store.get(sobject, normalize(record_id)) if is_id(record_id) else None

    def _type_of(self, body: Mapping[str, Any]) -> SObject:
        attributes = body.get("attributes")
        name = attributes.get("type") if isinstance(attributes, Mapping) else None
        sobject = self._org.schema.find(name) if isinstance(name, str) else None
        if sobject is None:
            raise SalesforceError("INVALID_TYPE", f"sObject type '{name}' is not supported.", [])
        return sobject

    def _each(self, call: Call, save: Callable[[dict[str, Any]], Result]) -> Answer:
        rows, all_or_none = _collection(call)
        return self._all([partial(save, row) for row in rows], all_or_none)

    def _all(self, saves: Iterable[Save], all_or_none: bool) -> Answer:
        results: list[Result] = []
        try:
            with self._org.store.transaction():
                results = [_result(save) for save in saves]
                if all_or_none and not all(result["success"] for result in results):
                    raise _RollBack
        except _RollBack:
            results = [_rolled_back(r) if r["success"] else r for r in results]
        return Answer(body=results)


def _saved(record_id: str) -> Result:
    return {"id": record_id, "success": True, "errors": []}


def _result(save: Save) -> Result:
    try:
        return save()
    except SalesforceError as error:
        if error.code == "JSON_PARSER_ERROR":
            raise
        return {"success": False, "errors": [error.as_row_error()]}


def _rolled_back(result: Result) -> Result:
    undone: Result = {"success": False, "errors": [_ROLLED_BACK.as_row_error()]}
    return undone if result.get("created") else {"id": result["id"], **undone}


def _repeated(values: Iterable[Any]) -> set[Any]:
    seen: set[Any] = set()
    return {v for v in values if v is not None and (v in seen or seen.add(v))}  # type: ignore[func-returns-value]


def _collection(call: Call) -> tuple[list[dict[str, Any]], bool]:
    body = call.mapping()
    rows = body.get("records")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise json_error("records: a list of records is expected")
    _refuse_over(len(rows), MAX_RECORDS)
    return rows, body.get("allOrNone") is True


def _refuse_over(count: int, most: int) -> None:
    if count > most:
        raise SalesforceError(
            "EXCEEDED_ID_LIMIT",
            f"record limit reached. cannot submit more than {most} records in this call",
        )


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class Composite:
    """``composite`` and ``composite/graph``: requests that may refer to earlier ones."""

    def __init__(self, org: Org, answer: Callable[[Call], Answer]) -> None:
        self._org = org
        self._answer = answer

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler."""
        return [
            ("POST", "/composite", self._composite),
            ("POST", "/composite/graph", self._graphs),
        ]

    def _composite(self, call: Call) -> Answer:
        body = call.mapping()
        requests = _subrequests(body)
        if len(requests) > MAX_SUBREQUESTS:
            raise _too_many("subrequests", MAX_SUBREQUESTS)
        all_or_none = body.get("allOrNone") is True
        answers, _ = self._run(requests, all_or_none)
        return Answer(body={"compositeResponse": answers})

    def _graphs(self, call: Call) -> Answer:
        graphs = call.mapping().get("graphs")
        if not isinstance(graphs, list):
            raise json_error("graphs: a list is expected")
        nodes = [_subrequests(graph) for graph in graphs]
        if len(graphs) > MAX_GRAPHS:
            raise _too_many("graphs", MAX_GRAPHS)
        if sum(map(len, nodes)) > MAX_NODES:
            raise _too_many("nodes", MAX_NODES)
        answers = []
        for graph, requests in zip(graphs, nodes, strict=True):
            responses, succeeded = self._run(requests, all_or_none=True)
            answers.append(
                {
                    "graphId": graph.get("graphId"),
                    "graphResponse": {"compositeResponse": responses},
                    "isSuccessful": succeeded,
                }
            )
        return Answer(body={"graphs": answers})

    def _run(self, requests: list[dict[str, Any]], all_or_none: bool) -> tuple[list[Result], bool]:
        answers: list[Result] = []
        known: dict[str, Any] = {}
        failed: int | None = None
        try:
            with self._org.store.transaction():
                for position, request in enumerate(requests):
                    answer = self._one(request, known)
                    answers.append(answer)
                    if answer["httpStatusCode"] < 400:
                        known[request["referenceId"]] = answer["body"]
                    elif all_or_none:
                        failed = position
                        raise _RollBack
        except _RollBack:
            answers = [
                answers[failed] if position == failed else _response(request, _halted())
                for position, request in enumerate(requests)
            ]
        return answers, failed is None

    def _one(self, request: dict[str, Any], known: dict[str, Any]) -> Result:
        try:
            with self._org.store.transaction():
                answer = self._answer(_call(request, known))
        except SalesforceError as error:
            answer = Answer(error.status, error.as_response())
        return _response(request, answer)


def _halted() -> Answer:
    return Answer(400, _HALTED.as_response())


def _too_many(what: str, most: int) -> SalesforceError:
    return SalesforceError("LIMIT_EXCEEDED", f"The request has more than {most} {what}.")


def _subrequests(body: Any) -> list[dict[str, Any]]:
    requests = body.get("compositeRequest") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not requests:
        raise json_error("compositeRequest: a list of subrequests is expected")
    seen = set()
    for request in requests:
        missing = {"method", "url", "referenceId"} - set(request)
        if missing:
            raise json_error(f"subrequest lacks {', '.join(sorted(missing))}")
        if request["referenceId"] in seen:
            raise json_error(f"Duplicate referenceId: {request['referenceId']}")
        seen.add(request["referenceId"])
    return requests


def _response(request: dict[str, Any], answer: Answer) -> Result:
    return {
        "body": answer.body,
        "httpHeaders": dict(answer.headers),
        "httpStatusCode": answer.status,
        "referenceId": request["referenceId"],
    }


def _call(request: dict[str, Any], known: dict[str, Any]) -> Call:
    url = urlsplit(str(_resolved(request["url"], known)))
    root, version, *rest = url.path.removeprefix("/services/").split("/")
    if root != "data" or not version.startswith("v") or not rest:
        raise SalesforceError("NOT_FOUND", "The requested resource does not exist", status=404)
    body = request.get("body")
    return Call(
        method=str(request["method"]).upper(),
        path=unquote("/" + "/".join(rest)),
        params=dict(parse_qsl(url.query)),
        headers={str(k).lower(): str(v) for k, v in request.get("httpHeaders", {}).items()},
        content=b"" if body is None else orjson.dumps(_resolved(body, known)),
    )


def _resolved(value: Any, known: dict[str, Any]) -> Any:
    """A value with every ``@{reference.path}`` replaced by what it refers to."""
    if isinstance(value, dict):
        return {key: _resolved(one, known) for key, one in value.items()}
    if isinstance(value, list):
        return [_resolved(one, known) for one in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _look_up(whole[1], known)
    return _REFERENCE.sub(lambda match: str(_look_up(match[1], known)), value)


def _look_up(path: str, known: dict[str, Any]) -> Any:
    current: Any = known
    for name, index in _STEP.findall(path):
        try:
            current = current[int(index)] if index else current[name]
        except (KeyError, IndexError, TypeError):
            reference = path.partition(".")[0]
            raise SalesforceError(
                "PROCESSING_HALTED",
                f"Invalid reference specified. No value for {path} found in {reference}",
            ) from None
    return current

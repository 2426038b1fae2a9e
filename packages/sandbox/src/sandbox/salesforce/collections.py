"""``composite/sobjects``: up to 200 records in one call, each with its own result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

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

_ROLLED_BACK = SalesforceError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone "
    "header",
    [],
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
        repeated = _repeated(_scalar(row.get(field.name)) for row in rows)

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
            sobject = self._org.seen.by_prefix.get(record_id[:3])
            if not is_id(record_id) or sobject is None:
                raise SalesforceError("MALFORMED_ID", f"malformed id {record_id}", [])
            return _saved(deletion.delete(self._org, sobject, record_id))

        return self._all([partial(save, one) for one in ids], all_or_none)

    def _retrieve_by_url(self, call: Call, name: str) -> Answer:
        ids, fields = (_split(call.params.get(key, "")) for key in ("ids", "fields"))
        return self._retrieve(name, ids, fields)

    def _retrieve_by_body(self, call: Call, name: str) -> Answer:
        body = call.mapping()
        return self._retrieve(name, _strings(body, "ids"), _strings(body, "fields"))

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
        sobject = self._org.seen.find(name) if isinstance(name, str) else None
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
            results = [_rolled_back() if r["success"] else r for r in results]
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


def _rolled_back() -> Result:
    return {"success": False, "errors": [_ROLLED_BACK.as_row_error()]}


def _scalar(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise json_error("an external id is a single value")
    return value


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


def _strings(body: Mapping[str, Any], name: str) -> list[str]:
    values = body.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise json_error(f"{name}: a list of strings is expected")
    return values


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]

"""Change Data Capture: what happens to records of chosen objects, kept for three days as events.

An event is part of the transaction that it tells of: what is rolled back was never told.
Sources: Change Data Capture Developer Guide, "Change Event Header Fields" and "Change Event Message
Structure"; Pub/Sub API guide, "Event Deserialization Considerations" (bitmap fields).
"""

# ruff: noqa: S608  what stands in the text are question marks

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from sandbox.common.clock import Clock
from sandbox.salesforce.schema import NUMERIC, Field, Schema, SObject
from sandbox.salesforce.schema_loader import metadata_texts
from sandbox.salesforce.store import Row, Store

RETENTION_SECONDS = 72 * 3_600
STANDARD_CHANNEL = "ChangeEvents"
ORIGIN = "com/salesforce/api/rest/67.0"

_NOT_TOLD = frozenset(["Id", "IsDeleted", "SystemModstamp"])
_HEADER_FIELDS: list[dict[str, Any]] = [
    {"name": "entityName", "type": "string"},
    {"name": "recordIds", "type": {"type": "array", "items": "string"}},
    {
        "name": "changeType",
        "type": {
            "type": "enum",
            "name": "ChangeType",
            "symbols": [
                *("CREATE", "UPDATE", "DELETE", "UNDELETE", "GAP_CREATE", "GAP_UPDATE"),
                *("GAP_DELETE", "GAP_UNDELETE", "GAP_OVERFLOW", "SNAPSHOT"),
            ],
        },
    },
    {"name": "changeOrigin", "type": "string"},
    {"name": "transactionKey", "type": "string"},
    {"name": "sequenceNumber", "type": "int"},
    {"name": "commitTimestamp", "type": "long"},
    {"name": "commitNumber", "type": "long"},
    {"name": "commitUser", "type": "string"},
    {"name": "nulledFields", "type": {"type": "array", "items": "string"}},
    {"name": "diffFields", "type": {"type": "array", "items": "string"}},
    {"name": "changedFields", "type": {"type": "array", "items": "string"}},
]


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One event: its place in the stream, when it was committed, what it says."""

    number: int
    at: float
    sobject: str
    content: dict[str, Any]


def change_event_name(sobject: str) -> str:
    """The event of an object: ``Thing__c`` has ``Thing__ChangeEvent``."""
    return f"{sobject.removesuffix('c') if sobject.endswith('__c') else sobject}ChangeEvent"


def read_channels(folders: Sequence[Path], schema: Schema) -> dict[str, frozenset[str]]:
    """The topics that can be subscribed to, and the objects whose changes each carries.

    Raises:
        ValueError: a member is of an object that is not there.
    """
    by_event = {change_event_name(sobject.name): sobject.name for sobject in schema}
    found: dict[str, set[str]] = {}
    members = (folder.glob("platformEventChannelMembers/*-meta.xml") for folder in folders)
    for path in sorted(path for several in members for path in several):
        channel, entity = metadata_texts(path, "eventChannel", "selectedEntity")
        sobject = by_event.get(entity)
        if sobject is None:
            raise ValueError(f"{channel}: {entity} is of no object that is there")
        topics = [f"/data/{channel}"]
        topics += [f"/data/{entity}"] if channel == STANDARD_CHANNEL else []
        for topic in topics:
            found.setdefault(topic, set()).add(sobject)
    return {topic: frozenset(sobjects) for topic, sobjects in found.items()}


class Changes:
    """The stream of change events of an org.

    Args:
        store: Where they are kept, with the records.
        clock: The org's.
        channels: By topic: the objects whose changes it carries.
    """

    def __init__(self, store: Store, clock: Clock, channels: Mapping[str, frozenset[str]]) -> None:
        self.use_channels(channels)
        self._store, self._clock = store, clock
        self._waiting: list[Callable[[], None]] = []
        store.run(
            "CREATE TABLE IF NOT EXISTS _change (number INTEGER PRIMARY KEY AUTOINCREMENT, "
            "at REAL, sobject TEXT, content TEXT)"
        )
        store.on_commit = self._committed

    def use_channels(self, channels: Mapping[str, frozenset[str]]) -> None:
        """Tell of what these channels carry, from now on."""
        self.channels = dict(channels)
        self._selected = frozenset().union(*self.channels.values())

    def tell(
        self, kind: str, sobject: SObject, user: str, record_id: str, row: Row, changed: Row
    ) -> None:
        """Note a change that is part of the transaction under way.

        Args:
            kind: CREATE, UPDATE, DELETE or UNDELETE.
            sobject: The record's object.
            user: Who changes it.
            record_id: The record.
            row: What it is like afterwards.
            changed: The fields of an update.
        """
        if sobject.name not in self._selected:
            return
        told = told_fields(sobject)
        content: dict[str, Any] = {f.name: None for f in told}
        if kind != "DELETE":
            given = changed if kind == "UPDATE" else row
            content |= {f.name: _as_told(f, given.get(f.name)) for f in told if f.name in given}
        names = [f.name for f in told]
        nulled = [n for n in names if kind == "UPDATE" and n in changed and changed[n] is None]
        written = [n for n in names if kind == "UPDATE" and n in changed]
        at = self._clock.time()
        number = self._last() + 1
        content["ChangeEventHeader"] = {
            "entityName": sobject.name,
            "recordIds": [record_id],
            "changeType": kind,
            "changeOrigin": ORIGIN,
            "transactionKey": f"{number:032x}",
            "sequenceNumber": 1,
            "commitTimestamp": int(at * 1000),
            "commitNumber": number,
            "commitUser": user,
            "nulledFields": bitmap(names, nulled),
            "diffFields": [],
            "changedFields": bitmap(names, written),
        }
        self._store.run("DELETE FROM _change WHERE at < ?", (at - RETENTION_SECONDS,))
        self._store.run(
            "INSERT INTO _change (at, sobject, content) VALUES (?, ?, ?)",
            (at, sobject.name, orjson.dumps(content).decode()),
        )
        self._told = True

    _told = False

    def after(self, number: int, topic: str, limit: int) -> list[ChangeEvent]:
        """The next events of a topic after a place in the stream."""
        names = sorted(self.channels[topic])
        marks = ", ".join("?" * len(names))
        rows = self._store.all(
            "SELECT number, at, sobject, content FROM _change "
            f"WHERE number > ? AND at >= ? AND sobject IN ({marks}) ORDER BY number LIMIT ?",
            (number, self._clock.time() - RETENTION_SECONDS, *names, limit),
        )
        return [ChangeEvent(n, at, name, orjson.loads(said)) for n, at, name, said in rows]

    def tip(self) -> tuple[int, float]:
        """The place after all that was told, and the present moment."""
        return self._last(), self._clock.time()

    def is_kept(self, at: float) -> bool:
        """Whether what was told at a moment can still be read."""
        return at >= self._clock.time() - RETENTION_SECONDS

    def when_told(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call back after each transaction that told something; returns what ends that."""
        self._waiting.append(wake)
        return lambda: self._waiting.remove(wake)

    def clear(self) -> None:
        """Forget all events; places in the stream stay what they are."""
        self._store.run("DELETE FROM _change")

    def _last(self) -> int:
        asked = "SELECT seq FROM sqlite_sequence WHERE name = '_change'"
        return int(self._store.one(asked) or 0)

    def _committed(self) -> None:
        if self._told:
            self._told = False
            for wake in list(self._waiting):
                wake()


def told_fields(sobject: SObject) -> list[Field]:
    """The fields that an object's events have, in their order."""
    return [f for f in sobject.fields.values() if f.name not in _NOT_TOLD and not f.calculated]


def bitmap(names: list[str], chosen: list[str]) -> list[str]:
    """Some of an event's fields as a bitmap of their places; the header has the first."""
    if not chosen:
        return []
    return [f"0x{sum(1 << (names.index(name) + 1) for name in chosen):X}"]


def avro_schema(sobject: SObject) -> dict[str, Any]:
    """The Avro schema of an object's change event."""
    header = {"type": "record", "name": "ChangeEventHeader", "fields": _HEADER_FIELDS}
    fields: list[dict[str, Any]] = [{"name": "ChangeEventHeader", "type": header}]
    fields += [
        {"name": f.name, "type": ["null", _avro_type(f)], "default": None}
        for f in told_fields(sobject)
    ]
    return {
        "type": "record",
        "name": change_event_name(sobject.name),
        "namespace": "com.sforce.eventbus",
        "fields": fields,
    }


def schema_id(schema: Mapping[str, Any]) -> str:
    """The fingerprint that names a schema."""
    return hashlib.sha256(orjson.dumps(schema)).hexdigest()[:22]


def _avro_type(field: Field) -> str:
    if field.type in NUMERIC:
        return "double"
    return {"boolean": "boolean", "date": "long", "datetime": "long"}.get(field.type, "string")


def _as_told(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.type in {"date", "datetime"}:
        text = f"{value}T00:00:00+0000" if field.type == "date" else str(value)
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    if field.type == "boolean":
        return bool(value)
    return float(value) if field.type in NUMERIC else str(value)

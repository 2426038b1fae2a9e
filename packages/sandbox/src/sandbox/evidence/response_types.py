"""Stripe's own types of answers, and what an answer lacks to be of its type.

The types are those that stripe-node ships, read by the TypeScript compiler
(``stripe_types.mjs``). They say of every property whether it is required, whether it may be null,
which values it may have, and whether it can be expanded.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from sandbox.common.npm import installed, program

STRIPE, TYPESCRIPT = "23.1.0", "5.9.3"
READER = Path(__file__).with_name("stripe_types.mjs")

Doc = Mapping[str, Any]
DECIMAL = re.compile(r"-?\d+(\.\d+)?")

DEPTH = 4
"""How many levels can be expanded, says https://docs.stripe.com/expand."""

UNTYPED = ("lines.total_count",)
"""What Stripe sends and its types leave out, as recorded webhooks of 2025 and later show."""


def fetched() -> ResponseTypes | str:
    """Fetch and read the types, or say why that cannot be done."""
    stripe, typescript = installed("stripe", STRIPE), installed("typescript", TYPESCRIPT)
    for folder in (stripe, typescript):
        if isinstance(folder, str):
            return folder
    command: list[Any] = [program("node"), READER, stripe, typescript]
    ran = subprocess.run(command, capture_output=True, timeout=120, check=False)  # noqa: S603
    if ran.returncode:
        return f"the types could not be read: {ran.stderr.decode()[-300:]}"
    return ResponseTypes(orjson.loads(ran.stdout))


class ResponseTypes:
    """The types of all objects, by their ``object``, and of all events, by their ``type``.

    Args:
        document: What ``stripe_types.mjs`` prints.
    """

    def __init__(self, document: Doc) -> None:
        self._types: list[Any] = document["types"]
        self._objects: Doc = document["objects"]
        self._events: Doc = document["events"]
        self._paths: dict[str, dict[str, set[str]]] = {}
        self.checked = 0
        """How many properties were compared so far."""

    def complaints(self, doc: Doc) -> list[str]:
        """Say what is wrong with an object, one sentence a property; nothing if it is right."""
        root = self._root(doc)
        if root is None:
            return [f"Stripe has no {doc.get('object')} of this kind"]
        # What an event says of earlier values are parts of objects: only their names are known.
        return [
            complaint
            for complaint in self._object(root, doc, "")
            if "previous_attributes." not in complaint or "not a property" in complaint
        ]

    def listed_values(self, name: str, field: str) -> set[Any]:
        """Return the values that a property of an object may have."""
        found = self._properties(self._objects[name][0])[field]["type"]
        return {part["value"] for part in self._parts(found) if part["kind"] == "const"}

    def state(self, doc: Doc) -> tuple[Any, ...]:
        """Return what tells apart the states of an object: its listed values, and what is null."""
        root = self._root(doc)
        if root is None:
            return ()
        facts: list[Any] = [doc.get("object"), doc.get("deleted", False)]
        for name, declared in sorted(self._properties(root).items()):
            value = doc.get(name)
            if {part["kind"] for part in self._parts(declared["type"])} & {"const", "boolean"}:
                facts.append((name, value))
            else:
                facts.append((name, value is None))
        return tuple(facts)

    def expandable(self, name: str) -> dict[str, set[str]]:
        """Return the paths at which an object can be expanded, and what may be found there."""
        if name not in self._paths:
            self._paths[name] = dict(self._expandable(self._objects[name][0], "", ()))
        return self._paths[name]

    def _expandable(
        self, type_id: int, path: str, above: tuple[int, ...]
    ) -> Iterator[tuple[str, set[str]]]:
        """Walk through what is embedded, lists too, but not through what would be expanded."""
        if type_id in above:
            return
        for name, declared in self._properties(type_id).items():
            place = f"{path}{name}"
            if place.count(".") >= DEPTH:
                continue
            for part_id in self._part_ids(declared["type"]):
                part = self._types[part_id]
                within = part["of"] if part["kind"] == "array" else declared["type"]
                resources = self._resources(within)
                if resources:
                    yield place, resources
                    break
                if declared["optional"] and self._is_list(part):
                    yield place, set()
                    break
                for inner in self._part_ids(within):
                    if self._types[inner]["kind"] == "object":
                        yield from self._expandable(inner, f"{place}.", (*above, type_id))

    def _resources(self, type_id: int) -> set[str]:
        """Return the objects that may stand in the place of an id."""
        parts = self._parts(type_id)
        if not any(part["kind"] == "string" for part in parts):
            return set()
        names = (self._object_name(part) for part in parts if part["kind"] == "object")
        return set(filter(None, names))

    def _object_name(self, part: Doc) -> str | None:
        declared = part["properties"].get("object")
        values = self._parts(declared["type"]) if declared else []
        return values[0].get("value") if len(values) == 1 else None

    def _is_list(self, part: Doc) -> bool:
        return part["kind"] == "object" and self._object_name(part) == "list"

    def _root(self, doc: Doc) -> int | None:
        """Return the type of an object that says itself what it is."""
        name = doc.get("object")
        if not isinstance(name, str):
            return None
        if name in ("event", "v2.core.event"):
            found: int | None = self._events.get(doc.get("type", ""))
            return found
        candidates: list[int] = self._objects.get(name, [])
        deleted = [
            type_id
            for type_id in candidates
            if self._types[type_id]["name"].startswith("Deleted") == bool(doc.get("deleted"))
        ]
        return next(iter(deleted or candidates), None)

    def _properties(self, type_id: int) -> dict[str, Any]:
        properties: dict[str, Any] = self._types[type_id].get("properties", {})
        return properties

    def _part_ids(self, type_id: int) -> list[int]:
        found = self._types[type_id]
        return found["of"] if found["kind"] == "union" else [type_id]

    def _parts(self, type_id: int) -> list[Any]:
        return [self._types[part] for part in self._part_ids(type_id)]

    def _object(self, type_id: int, doc: Doc, path: str) -> Iterator[str]:
        declared = self._properties(type_id)
        for name, value in doc.items():
            place = f"{path}.{name}" if path else name
            if name not in declared or self._is_absent(declared[name]["type"]):
                if not place.endswith(UNTYPED):
                    yield f"{place} is not a property at Stripe"
                continue
            self.checked += 1
            yield from self._value(declared[name]["type"], value, place)
        for name, rules in declared.items():
            if name not in doc and not rules["optional"]:
                yield f"{path}.{name} is missing" if path else f"{name} is missing"

    def _is_absent(self, type_id: int) -> bool:
        return all(part["kind"] == "absent" for part in self._parts(type_id))

    def _value(self, type_id: int, value: Any, place: str) -> Iterator[str]:
        parts = self._parts(type_id)
        if any(part["kind"] == "any" for part in parts):
            return
        if value is None:
            if not any(part["kind"] == "null" for part in parts):
                yield f"{place} is null"
            return
        if isinstance(value, dict):
            yield from self._structure(type_id, value, place)
        elif isinstance(value, list):
            items = [part["of"] for part in parts if part["kind"] == "array"]
            if not items:
                yield f"{place} is an array"
                return
            for item in value:
                yield from self._value(items[0], item, f"{place}[]")
        elif not any(_fits(part, value) for part in parts):
            yield f"{place} is {value!r}"

    def _structure(self, type_id: int, value: Doc, place: str) -> Iterator[str]:
        """Compare with the type that the object names, or else with the one that fits best."""
        maps = [part["of"] for part in self._parts(type_id) if part["kind"] == "map"]
        if maps:
            for name, item in value.items():
                yield from self._value(maps[0], item, f"{place}.{name}")
            return
        structures = [i for i in self._part_ids(type_id) if self._types[i]["kind"] == "object"]
        root = self._root(value)
        if root in structures:
            structures = [root]
        if not structures:
            yield f"{place} is an object"
            return
        yield from min(
            (list(self._object(structure, value, place)) for structure in structures), key=len
        )


def _fits(part: Doc, value: Any) -> bool:
    match part["kind"]:
        case "const":
            return bool(part["value"] == value)
        case "decimal":
            return isinstance(value, str) and DECIMAL.fullmatch(value) is not None
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case kind:
            return kind == "string" and isinstance(value, str)

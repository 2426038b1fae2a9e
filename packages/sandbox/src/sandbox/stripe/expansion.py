"""Expanding ids into objects, and filling the fields that are only there when asked for.

What can be expanded is read from the SDK's own classes: a field that holds a string or an object.
So it is known for what is null, and for objects that this sandbox does not carry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import get_annotations
from typing import Any, ForwardRef, get_args, get_origin

import orjson
from stripe._list_object import ListObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._stripe_object import StripeObject

from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.store import KINDS, Doc

MAX_DEPTH = 4

INCLUDABLE: dict[tuple[str, str], Callable[[Context, Doc], Any]] = {}
"""Object and field to what fills a field that is absent unless expanded."""

MAKERS: dict[str, Callable[[Context, str], Doc]] = {}
"""Object to what makes one that is not stored, of its id."""

Fill = Callable[[Context, Doc], Any]


@dataclass(frozen=True)
class Field:
    """A field that a path can lead into.

    Attributes:
        expandable: It holds an id that can be replaced by an object.
        listed: It holds a list object.
        inside: The classes of what it holds; none if they are not known.
    """

    expandable: bool
    listed: bool
    inside: tuple[type, ...]


def includable(object_name: str, field: str) -> Callable[[Fill], Fill]:
    """Register what fills a field that is only there on request."""

    def register(fill: Fill) -> Fill:
        INCLUDABLE[object_name, field] = fill
        return fill

    return register


def expanded(context: Context, doc: Doc, paths: list[str], kind: str = "") -> Doc:
    """Return an answer with everything under the paths expanded.

    Args:
        context: The act.
        doc: The answer: an object, or a list of objects.
        paths: What to expand.
        kind: What a list is of.

    Raises:
        StripeError: If a path is too deep or leads to something that cannot be expanded.
    """
    for path in paths:
        parts = path.split(".")
        listed = doc.get("object") in ("list", "search_result")
        if listed and parts[0] != "data":
            raise _refused(path)
        if len(parts) - listed > MAX_DEPTH:
            raise invalid(
                f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}",
                "expand",
            )
        if listed:
            _expand(context, doc["data"], _classes(kind), parts[1:], path)
        else:
            _expand(context, [doc], _classes(str(doc.get("object"))), parts, path)
    return doc


def _expand(
    context: Context, values: list[Any], classes: tuple[type, ...], parts: list[str], path: str
) -> None:
    """Walk down a path, by what the classes say and through whatever is there."""
    if not parts or not classes:
        return
    name, *rest = parts
    found = [field for cls in classes if (field := _fields(cls).get(name))]
    docs = [value for value in values if isinstance(value, dict)]
    fills = {(cls_name, name) for cls in classes if (cls_name := _name(cls))} & INCLUDABLE.keys()
    if not found or not (rest or fills or any(f.expandable or f.listed for f in found)):
        raise _refused(path)
    for doc in docs:
        fill = INCLUDABLE.get((str(doc.get("object")), name))
        if fill and name not in doc and not doc.get("deleted"):
            doc[name] = fill(context, doc)
    if any(field.expandable for field in found):
        for doc in docs:
            if doc.get(name) is not None:
                doc[name] = _replaced(context, doc[name], found)
    inside = tuple(cls for field in found for cls in field.inside)
    if any(field.listed for field in found) and rest:
        if rest[0] != "data":
            raise _refused(path)
        rest = rest[1:]
    below = [item for doc in docs for item in _held(doc.get(name))]
    _expand(context, below, inside, rest, path)


def _held(value: Any) -> list[Any]:
    if isinstance(value, dict) and value.get("object") == "list":
        value = value["data"]
    return value if isinstance(value, list) else [value]


def _replaced(context: Context, value: Any, fields: list[Field]) -> Any:
    """Put objects where ids are."""
    if isinstance(value, list):
        return [_replaced(context, item, fields) for item in value]
    if not isinstance(value, str):
        return value
    for name in dict.fromkeys(_name(cls) for field in fields for cls in field.inside):
        if name in KINDS:
            body = context.space.body(name, value)
            if body:
                return orjson.loads(body)
        if name in MAKERS:
            return MAKERS[name](context, value)
    return value


@cache
def _classes(name: str) -> tuple[type, ...]:
    if name not in OBJECT_CLASSES:
        return ()
    module, class_name = OBJECT_CLASSES[name]
    return (getattr(import_module(module), class_name),)


def _name(cls: type) -> str:
    return str(getattr(cls, "OBJECT_NAME", ""))


@cache
def _by_class_name() -> dict[str, tuple[str, ...]]:
    """Class name to the objects of that name, which may be several beside the plain ones."""
    names: dict[str, tuple[str, ...]] = {}
    for name in sorted(OBJECT_CLASSES, key=lambda name: "." not in name):
        class_name, space = OBJECT_CLASSES[name][1], name.rpartition(".")[0]
        names[class_name] = (*names.get(class_name, ()), name) if space else (name,)
        names[f"{space.title()}{class_name}Resource"] = (name,)
    return names


@cache
def _fields(cls: type) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for base in reversed(cls.__mro__):
        if base is StripeObject or not issubclass(base, StripeObject):
            continue
        for name, annotation in get_annotations(base).items():
            fields[name] = _field(annotation, base.__module__.split(".")[1])
    return fields


def _field(annotation: Any, space: str) -> Field:
    parts = list(get_args(annotation)) if _is_union(annotation) else [annotation]
    while lists := [part for part in parts if get_origin(part) is list]:
        within = get_args(lists[0])[0]
        parts = list(get_args(within)) if _is_union(within) else [within]
    listed = [part for part in parts if get_origin(part) is ListObject]
    if listed:
        within = get_args(listed[0])[0]
        items = get_args(within) if _is_union(within) else [within]
        return Field(expandable=False, listed=True, inside=_resolved(items, space))
    objects = [part for part in parts if isinstance(part, ForwardRef | type) and _is_object(part)]
    expandable = str in parts and any(isinstance(part, ForwardRef) for part in objects)
    return Field(expandable=expandable, listed=False, inside=_resolved(objects, space))


def _is_union(annotation: Any) -> bool:
    return type(None) in get_args(annotation) or str(get_origin(annotation)) == "typing.Union"


def _is_object(part: Any) -> bool:
    return isinstance(part, ForwardRef) or issubclass(part, StripeObject)


def _resolved(parts: Any, space: str) -> tuple[type, ...]:
    """Return the classes; those that only a type checker can see are found by their names.

    Args:
        parts: Classes, or their names.
        space: Part of the API whose own objects are meant first.
    """
    classes: list[type] = []
    for part in parts:
        if isinstance(part, ForwardRef):
            own = _by_class_name().get(f"{space.title()}{part.__forward_arg__}Resource")
            for name in own or _by_class_name().get(part.__forward_arg__, ()):
                classes += _classes(name)
        elif isinstance(part, type):
            classes.append(part)
    return tuple(classes)


def _refused(path: str) -> StripeError:
    return invalid(f"This property cannot be expanded ({path}).", "expand")

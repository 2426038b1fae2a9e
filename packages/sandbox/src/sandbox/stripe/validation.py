"""Strict validation of requests, derived from the SDK's own parameter types.

``stripe.params`` has one TypedDict per operation. Each becomes a pydantic validator that refuses
what it does not name, and pydantic's complaints become Stripe's.
"""

import types
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

import typing_extensions
from pydantic import ConfigDict, TypeAdapter, ValidationError
from stripe import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import TypedDict, is_typeddict

from sandbox.stripe.errors import StripeError, invalid, missing_param

METADATA = {"metadata", "invoice_metadata"}
_OPTIONS = set(RequestOptions.__annotations__)
_CHECKING_ONLY = {"StripeContext": str, "Mapping": Mapping}
"""Names that the inherited request options use without importing them at run time."""


def unflatten(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Turn form fields such as ``lines[0][amount]`` into nested dicts and lists."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        keys = name.replace("]", "").split("[")
        branch = tree
        for key, following in pairwise(keys):
            child = branch.setdefault(key, {})
            if not isinstance(child, dict):
                raise invalid(f"Invalid {key}: given both as a value and as an object.", key)
            branch = child
            if following == "":
                keys[-1] = str(len(branch))
        branch[keys[-1]] = value
    return {key: value if key in METADATA else _listed(value) for key, value in tree.items()}


def validate(params_type: str, values: dict[str, Any], given: Iterable[str] = ()) -> dict[str, Any]:
    """Check a request's parameters and return them as Python values.

    Args:
        params_type: Name of a TypedDict in ``stripe.params``.
        values: The unflattened parameters.
        given: Names the SDK counts among the parameters but sends in the path.

    Raises:
        StripeError: Stripe's 400, about the first thing that is wrong.
    """
    adapter = _adapter(params_type, tuple(given))
    try:
        valid: dict[str, Any] = adapter.validate_python(values)
    except ValidationError as error:
        raise _complaint(error, values) from None
    _check_metadata(values)
    return valid


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: item if key in METADATA else _listed(item) for key, item in value.items()}


@cache
def _adapter(params_type: str, given: tuple[str, ...]) -> TypeAdapter[Any]:
    source = _find(params_type)
    return TypeAdapter(_strict(source, frozenset(_OPTIONS | set(given))))


def _find(params_type: str) -> Any:
    *path, name = params_type.split(".")
    return getattr(import_module(".".join(["stripe.params", *path])), name)


@cache
def _strict(source: Any, without: frozenset[str] = frozenset()) -> Any:
    """Rebuild an SDK type so that nothing unknown and no unlisted value passes."""
    if is_typeddict(source):
        return _strict_dict(source, without)
    origin, arguments = get_origin(source), get_args(source)
    if origin in (Union, types.UnionType):
        return _strict_union(arguments)
    if origin in (NotRequired, Required):
        return origin[_strict(arguments[0])]
    if origin is list:
        return list[_strict(arguments[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[arguments[0], _strict(arguments[1])]  # type: ignore[valid-type,misc]
    return source


def _strict_dict(source: Any, without: frozenset[str]) -> Any:
    hints = typing_extensions.get_type_hints(source, localns=_CHECKING_ONLY, include_extras=True)
    fields = {name: _strict(hint) for name, hint in hints.items() if name not in without}
    make: Any = TypedDict
    strict = make(source.__name__, fields)
    strict.__pydantic_config__ = ConfigDict(extra="forbid")
    return strict


def _strict_union(arguments: tuple[Any, ...]) -> Any:
    """Leave out ``str`` beside listed values: the SDK keeps enums open, the API does not."""
    kept = [arg for arg in arguments if get_origin(arg) is not UntypedStripeObject]
    listed = any(get_origin(arg) is Literal and set(get_args(arg)) != {""} for arg in kept)
    if listed:
        kept = [arg for arg in kept if arg is not str]
    return Union[tuple(_strict(arg) for arg in kept)]  # noqa: UP007 - built at run time


def _complaint(error: ValidationError, values: dict[str, Any]) -> StripeError:
    """Choose the most telling of pydantic's complaints and say it as Stripe does."""
    candidates = [
        (_place(tuple(item["loc"]), values, item["type"] == "missing"), item)
        for item in error.errors(include_url=False)
    ]
    place, item = max(
        candidates, key=lambda pair: (pair[1]["type"] == "extra_forbidden", len(pair[0]))
    )
    param = place[0] + "".join(f"[{part}]" for part in place[1:]) if place else ""
    value = item["input"]
    match item["type"]:
        case "extra_forbidden":
            return invalid(f"Received unknown parameter: {param}", param, "parameter_unknown")
        case "missing":
            return missing_param(param)
        case "int_parsing" | "int_type" | "int_from_float":
            return invalid(f"Invalid integer: {value}", param, "parameter_invalid_integer")
        case "bool_parsing" | "bool_type":
            return invalid(f"Invalid boolean: {value}", param)
        case "decimal_parsing" | "decimal_type" | "float_parsing" | "float_type":
            return invalid(f"Invalid decimal: {value}", param)
        case "literal_error":
            return invalid(f"Invalid {param}: must be one of {_choices(item)}", param)
        case "list_type":
            return invalid("Invalid array", param)
        case "dict_type" | "model_type":
            return invalid("Invalid object", param)
        case _:
            return invalid(f"Invalid {param}: {item['msg']}", param)


def _choices(item: Any) -> str:
    expected: str = item["ctx"]["expected"].replace("'", "")
    return expected if len(expected) < 400 else expected[:400].rpartition(",")[0] + ", ..."


def _place(loc: tuple[Any, ...], values: Any, ends_missing: bool) -> list[str]:
    """Follow a complaint's location through the request; union branches are no part of it."""
    place: list[str] = []
    for step, part in enumerate(loc):
        if _has(values, part):
            values = values[part]
        elif not (ends_missing and step == len(loc) - 1):
            continue
        place.append(str(part))
    return place


def _has(values: Any, part: Any) -> bool:
    if isinstance(values, list):
        return isinstance(part, int) and part < len(values)
    return isinstance(values, dict) and part in values


def _check_metadata(values: Any, place: str = "") -> None:
    """Apply the limits of https://docs.stripe.com/metadata, wherever metadata are given.

    Keys have up to 40 characters, values up to 500; 50 keys is for ``put_metadata`` to count.
    """
    if isinstance(values, list):
        for index, value in enumerate(values):
            _check_metadata(value, f"{place}[{index}]")
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        param = f"{place}[{name}]" if place else name
        if name not in METADATA or not isinstance(value, dict):
            _check_metadata(value, param)
            continue
        for key, text in value.items():
            if len(key) > 40:
                raise invalid("Metadata keys can be up to 40 characters.", f"{param}[{key}]")
            if len(text) > 500:
                raise invalid("Metadata values can be up to 500 characters.", f"{param}[{key}]")

"""Answers of services, read into the types that say what they must hold.

A type's layout is worked out when it is first read into, and msgspec 0.22 shows it to other threads
half done, which ends the process: here one thread works it out, and others wait.
"""

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_known: set[Any] = set()
_one_at_a_time = threading.Lock()


def convert(answer: object, shape: type[T]) -> T:
    """An answer of dicts and lists, which has to have a shape.

    Raises:
        msgspec.ValidationError: it is something else.
    """
    return msgspec.convert(answer, _prepared(shape))


def decode(body: bytes, shape: type[T]) -> T:
    """An answer in JSON, which has to have a shape.

    Raises:
        msgspec.MsgspecError: it is something else, or no JSON.
    """
    return msgspec.json.decode(body, type=_prepared(shape))


def _prepared(shape: type[T]) -> type[T]:
    if shape not in _known:
        with _one_at_a_time:
            msgspec.json.Decoder(shape)
        _known.add(shape)
    return shape

"""Mistakes in a form, in words, under the names of its fields."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

EMPTY = frozenset(["missing", "string_too_short"])
WRITTEN_LIKE = {
    "date": "date; write it like 2026-12-31",
    "datetime": "moment; write it like 2026-12-31T08:00",
    "int": "whole number",
}
"""What is asked for, by how pydantic's types of errors begin.

Source: https://docs.pydantic.dev/latest/errors/validation_errors/
"""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What stands where a value should be."""

    given: Any
    sentences: Sequence[str]

    def __str__(self) -> str:
        """What was given instead."""
        return str(self.given)


def mistakes_in(
    error: ValidationError, title: str = "", titles: Mapping[str, str] | None = None
) -> list[str]:
    """One sentence for each mistake.

    Args:
        error: All of them.
        title: The name of the field that was filled in wrongly.
        titles: Names of fields below it, where they are not called as they are written.
    """
    return [
        f"{''.join(_path(title, each['loc'], titles or {}))}{_said(each['type'], each)}."
        for each in error.errors()
    ]


def _path(title: str, path: Sequence[int | str], titles: Mapping[str, str]) -> Iterator[str]:
    yield title
    for number, part in enumerate(path):
        if isinstance(part, int):
            yield f" {part + 1}"
        elif part in titles:
            yield titles[part]
        else:
            words = part.replace("_", " ")
            yield f", {words}" if title or number else words.capitalize()


def _said(kind: str, error: Any) -> str:
    if kind in EMPTY:
        return " is missing"
    if kind == "extra_forbidden":
        return ": there is no such field"
    given = repr(error["input"])
    if kind == "literal_error":
        return f": {given} is none of {error['ctx']['expected']}"
    asked = WRITTEN_LIKE.get(kind.partition("_")[0])
    if asked:
        return f": {given} is no {asked}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f": {message[0].lower()}{message[1:]}"

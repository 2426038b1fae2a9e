"""Mistakes in a form, in words, under the names of its fields."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from invoicing.domain.model.wording import nearest

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
        titles: Titles of fields below it, where they are not called as they are written.
    """
    return [_sentence(_said(title, titles or {}, each)) for each in error.errors()]


def titles_in(form: Any) -> dict[str, str]:
    """Titles of all fields in the models that a field of a form is of, by their names."""
    schema = TypeAdapter(form).json_schema()
    models = [*schema.get("$defs", {}).values(), schema]
    fields = [model.get("properties", {}) for model in models]
    return {
        name: each["title"] for some in fields for name, each in some.items() if "title" in each
    }


def title_of(name: str) -> str:
    """The title of a field that has no other: ``Due date`` of ``due_date``."""
    return name.replace("_", " ").capitalize()


def names_that_do_not_fit(
    given: Collection[str], taken: Collection[str], needed: Collection[str]
) -> list[str]:
    """What is wrong with the names under which a form was filled in, a sentence each.

    Args:
        given: Those that were used.
        taken: All that there are.
        needed: Those that cannot be left out.
    """
    unknown = [_no_such_field(name, taken) for name in given if name not in taken]
    missing = [f"{title_of(name)} is missing" for name in needed if name not in given]
    return [_sentence(each) for each in (*unknown, *missing)]


def _sentence(said: str) -> str:
    return said if said.endswith((".", "?")) else f"{said}."


def _no_such_field(name: str, known: Collection[str]) -> str:
    guess = nearest(name, known)
    there = f", only {', '.join(map(repr, known))}." if known and guess == "." else guess
    return f"There is no field {name!r}{there}"


def _path(title: str, path: Sequence[int | str], titles: Mapping[str, str]) -> str:
    """The fields that lead to a mistake, as the form has them: ``Line 1: Quantity``."""
    parts = [title] if title else []
    for part in path:
        if isinstance(part, int):
            parts[-1:] = [f"{_one_of(parts[-1])} {part + 1}"]
        else:
            parts.append(titles.get(part, title_of(part)))
    return ": ".join(parts)


def _one_of(several: str) -> str:
    return f"{several[:-3]}y" if several.endswith("ies") else several.removesuffix("s")


def _said(title: str, titles: Mapping[str, str], error: Any) -> str:
    path, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        place, said = _path(title, path[:-1], titles), _no_such_field(path[-1], titles)
        return f"{place}: {said[0].lower()}{said[1:]}" if place else said
    return f"{_path(title, path, titles)}{_wrong(kind, error)}"


def _wrong(kind: str, error: Any) -> str:
    if kind in EMPTY:
        return " is missing"
    given = repr(error["input"])
    if kind == "literal_error":
        return f": {given} is none of {error['ctx']['expected']}"
    if asked := WRITTEN_LIKE.get(kind.partition("_")[0]):
        return f": {given} is no {asked}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f": {message[0].lower()}{message[1:]}"

"""Which of several conditions must hold: all, any, or as in ``1 AND (2 OR 3)``."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\s*(\d+|\(|\)|AND|OR|NOT)\s*", re.IGNORECASE)


class UnreadableLogic(ValueError):
    """An expression that is wrong, or names a condition that is not there."""


def holds(logic: str, conditions: Sequence[bool]) -> bool:
    """Whether conditions hold together.

    Args:
        logic: ``and`` (also when empty), ``or``, or an expression of the conditions' numbers.
        conditions: Which of them hold, the first being number 1.

    Raises:
        UnreadableLogic: The expression cannot be read.
    """
    if logic.lower() in {"", "and"}:
        return all(conditions)
    if logic.lower() == "or":
        return any(conditions)
    return _Reader(logic, conditions).read()


class _Reader:
    """Reads by precedence: or, and, not."""

    def __init__(self, logic: str, conditions: Sequence[bool]) -> None:
        self._words: list[str] = []
        self._conditions = conditions
        position = 0
        while position < len(logic):
            found = _WORD.match(logic, position)
            if found is None:
                raise UnreadableLogic(f"{logic[position:]!r} cannot be read")
            self._words.append(found[1].upper())
            position = found.end()

    def read(self) -> bool:
        result = self._either()
        if self._words:
            raise UnreadableLogic(f"{self._words[0]!r} is not expected")
        return result

    def _next(self, word: str) -> bool:
        if self._words[:1] != [word]:
            return False
        self._words.pop(0)
        return True

    def _either(self) -> bool:
        result = self._both()
        while self._next("OR"):
            result = self._both() or result
        return result

    def _both(self) -> bool:
        result = self._one()
        while self._next("AND"):
            result = self._one() and result
        return result

    def _one(self) -> bool:
        if self._next("NOT"):
            return not self._one()
        if self._next("("):
            result = self._either()
            if not self._next(")"):
                raise UnreadableLogic("')' is missing")
            return result
        word = self._words.pop(0) if self._words else ""
        if not word.isdigit() or not 1 <= int(word) <= len(self._conditions):
            raise UnreadableLogic(f"there is no condition {word}")
        return self._conditions[int(word) - 1]

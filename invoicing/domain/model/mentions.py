"""Texts that mention somebody: by whole words, whatever their case."""

import re
from collections.abc import Iterable
from typing import Any

from invoicing.domain.model.wording import caseless

WORD = re.compile(r"[\w.@+-]+")

SHORTEST = 4
"""Characters; what is shorter, or digits only, may be in any text by chance."""


class Mentions:
    """Whether texts name somebody who has several names and ids."""

    def __init__(self, names: Iterable[str | None]) -> None:
        """Remember the names; those that say too little are left out."""
        spelt = {_words(name) for name in names if name}
        told = {name for name in spelt if len(name) >= SHORTEST and not name.isdigit()}
        self._words = {name for name in told if " " not in name}
        self._phrases = {name for name in told if " " in name}

    def in_text(self, text: str) -> bool:
        """Whether a text names them."""
        words = _words(text)
        if not self._words.isdisjoint(words.split()):
            return True
        return any(f" {phrase} " in f" {words} " for phrase in self._phrases)

    def about(self, value: Any) -> Any:
        """What of a JSON value is about them, and of nobody else; None where nothing is.

        Of a long text, the lines that name them; an object that names them in a short text of its
        own is theirs as a whole, but for its long texts.
        """
        if isinstance(value, str):
            return "\n".join(line for line in value.splitlines() if self.in_text(line)) or None
        if isinstance(value, list):
            return [mine for each in value if (mine := self.about(each))] or None
        if not isinstance(value, dict):
            return None
        short = {key for key, each in value.items() if not _is_long(each)}
        theirs = any(isinstance(value[key], str) and self.in_text(value[key]) for key in short)
        found = {
            key: each if theirs and key in short else self.about(each)
            for key, each in value.items()
        }
        return {key: each for key, each in found.items() if each is not None} or None


def _words(text: str) -> str:
    return " ".join(filter(None, (word.strip(".+-") for word in WORD.findall(caseless(text)))))


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value

"""Figures and field names in words."""

from collections.abc import Iterable
from difflib import get_close_matches


def counted(number: int, what: str) -> str:
    """A number of things: ``1 line``, ``2 lines``, ``1,000 invoices``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def label(field: str) -> str:
    """A field's API name as people read it."""
    return field.removesuffix("__c").removesuffix("__r").replace("_", " ").lower()


def caseless(name: str) -> str:
    """A name without its case, and otherwise as it is: ``ß`` is not ``ss``, nor ``é`` an ``e``."""
    return name.lower()


def nearest(word: str, known: Iterable[str]) -> str:
    """Suggestion of the nearest known word; empty when nothing comes near."""
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[found[0]]!r}?" if found else ""

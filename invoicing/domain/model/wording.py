"""Figures and field names in words."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def counted(number: int, what: str) -> str:
    """A number of things: ``1 line``, ``2 lines``, ``1,000 invoices``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def first_of(sentences: Sequence[str], most: int, where: str = "") -> str:
    """The first of many sentences, and how many more there are, and where."""
    more = len(sentences) - most
    return " ".join([*sentences[:most], *([f"… and {more:,} more{where}."] if more > 0 else [])])


def some_of(names: Sequence[str], most: int, between: str = ", ") -> str:
    """The first of many names in a row, and how many more there are."""
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def of_the_customer(said: str) -> str:
    """What Stripe says of a card to whoever pays with it, as anybody else reads it.

    Source: https://docs.stripe.com/api/errors#errors-message (of cards it can be shown to users)
    """
    card = said.removeprefix("Your card")
    return said if card == said else f"The customer's card{card}"


def label(field: str) -> str:
    """A field's API name as people read it."""
    return field.removesuffix("__c").removesuffix("__r").replace("_", " ").lower()


def caseless(name: str) -> str:
    """A name without its case, and otherwise as it is: ``ß`` is not ``ss``, nor ``é`` an ``e``."""
    return name.lower()


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: the nearest known word as a question, or a full stop."""
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[found[0]]!r}?" if found else "."

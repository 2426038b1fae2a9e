"""Lists of words, as SOQL takes them."""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from more_itertools import constrained_batches

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Record, quoted

LIST_LENGTH = 10_000
"""Characters of the lists in a query, as its address carries them, percent-encoded: Salesforce
takes 16,384 in all, and answers 414 beyond."""


def word_batches(words: Iterable[str], *, named: int = 1) -> Iterator[tuple[str, ...]]:
    """Words, each once, in batches that one query can name.

    Args:
        words: What is looked for.
        named: How many times the query names each.
    """

    def length(word: str) -> int:
        return named * len(quote(f"{quoted(word)}, "))

    return constrained_batches(
        dict.fromkeys(words), LIST_LENGTH, salesforce.COLLECTION, get_len=length, strict=False
    )


def in_lists(words: Iterable[str]) -> Iterator[str]:
    """Words as lists for SOQL's IN, each short enough for a query's address."""
    return (", ".join(map(quoted, batch)) for batch in word_batches(words))


def select_in(
    sobject: str, field: str, values: Iterable[str], fields: Sequence[str]
) -> list[Record]:
    """The records that have one of some values in a field."""
    return [
        row
        for listed in in_lists(values)
        for row in salesforce.client().query(
            f"SELECT {', '.join(fields)} FROM {sobject} WHERE {field} IN ({listed})"  # noqa: S608
        )
    ]

"""Queries about many words, in parts that Salesforce takes."""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from more_itertools import constrained_batches

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Record
from invoicing.domain.salesforce.queries import Query, is_in, literal

LIST_LENGTH = 10_000
"""Characters of the lists in a query, as its address carries them, percent-encoded: Salesforce
takes 16,384 bytes of address and headers together, the token among them, and answers 414 or 431.

Source: https://help.salesforce.com/s/articleView?id=000386264
"""


def word_batches(words: Iterable[str], *, named: int = 1) -> Iterator[tuple[str, ...]]:
    """Words, each once, in batches that one query can name.

    Args:
        words: What is looked for.
        named: How many times the query names each.
    """
    return constrained_batches(
        dict.fromkeys(words),
        LIST_LENGTH,
        salesforce.COLLECTION,
        get_len=lambda word: named * len(quote(f"{literal(word)}, ")),
        strict=False,
    )


def select_in(
    sobject: str, field: str, values: Iterable[str], fields: Sequence[str], *, order: str = ""
) -> list[Record]:
    """The records that have one of some values in a field."""
    return [
        row
        for some in word_batches(values)
        for row in salesforce.client().query(
            Query(sobject, fields, where=is_in(field, some), order=order)
        )
    ]

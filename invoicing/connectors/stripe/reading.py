"""Calls of the SDK, and what is read of their answers."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar

import stripe

from invoicing.connectors.stripe.errors import translated_errors
from invoicing.errors import NotFound
from invoicing.typed_answers import convert

P = ParamSpec("P")
T = TypeVar("T")

PAGE_SIZE = 100
"""The most objects that Stripe gives in one list page."""


class Page(TypedDict, Generic[T]):
    """A part of a list."""

    data: list[T]
    has_more: bool


def read(
    doing: str, shape: type[T], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Make a call; its answer must have a shape."""
    with translated_errors(doing):
        return convert(_plain(call(*args, **kwargs)), shape)


def read_if_there(
    doing: str, shape: type[T], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> T | None:
    """Make a call for one object, which may have been deleted or never been.

    Of a deleted object, Stripe gives little more than the id.
    """
    with suppress(NotFound), translated_errors(doing):
        plain = _plain(call(*args, **kwargs))
        deleted = isinstance(plain, dict) and plain.get("deleted")
        return None if deleted else convert(plain, shape)
    return None


def read_each(
    doing: str, shape: type[T], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> Iterator[T]:
    """Make a call for a list, and those for the pages after its first one as they are needed."""
    with translated_errors(doing):
        answer: Any = call(*args, **kwargs)
        while True:
            page = convert(_plain(answer), Page[shape])  # type: ignore[valid-type]
            yield from page["data"]
            if not page["has_more"]:
                return
            is_search = isinstance(answer, stripe.SearchResultObject)
            answer = answer.next_search_result_page() if is_search else answer.next_page()


def read_all(
    doing: str, shape: type[T], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> list[T]:
    """Make a call for a list, and those for all of its pages."""
    return list(read_each(doing, shape, call, *args, **kwargs))


def _plain(answer: object) -> object:
    """An answer as its JSON was. The SDK gives a list for a list, whatever should have come."""
    return answer.to_dict() if isinstance(answer, stripe.StripeObject) else answer

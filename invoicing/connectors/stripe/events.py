"""Events: listed, and read again."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import stripe
from more_itertools import chunked, first

from invoicing.connectors.stripe.connection import Connection
from invoicing.connectors.stripe.errors import translated_errors
from invoicing.connectors.stripe.reading import PAGE_SIZE, Page, read, read_each
from invoicing.domain.stripe.resources import Dated, Event
from invoicing.errors import NotFound
from invoicing.typed_answers import convert, decode

EVENT_TYPES = 20
"""The most types by which one list of events may be filtered."""


class Events(Connection):
    """The events of an account."""

    def events(
        self, *, since: datetime, types: Sequence[str], until: datetime | None = None
    ) -> Iterator[Event]:
        """Events of some types created since a UTC instant, newest first of each twenty types.

        Each is whole, with all that it carries beside what its type names. Stripe keeps events
        for 30 days, and filters by at most 20 types: https://docs.stripe.com/api/events
        """
        created: stripe.params.EventListParamsCreated = {"gte": int(since.timestamp())}
        if until:
            created["lte"] = int(until.timestamp())
        for some in chunked(types, EVENT_TYPES):
            params: stripe.params.EventListParams = {
                "limit": PAGE_SIZE,
                "created": created,
                "types": some,
            }
            with translated_errors("list events"):
                for event in read_each("list events", dict[str, Any], self._v1.events.list, params):
                    convert(event, Event)
                    yield cast(Event, event)

    def undelivered(self, since: datetime, until: datetime) -> Dated | None:
        """The newest event of a time that a webhook endpoint of the account has not taken."""
        return self._newest(
            {
                "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
                "delivery_success": False,
            }
        )

    def delivered_after(self, event: Dated, types: Sequence[str]) -> bool:
        """Whether the endpoints have taken an event of some types that is younger than another.

        Of a type that no endpoint is sent, each counts as delivered.
        """
        return any(
            self._newest(
                {"created": {"gt": event["created"]}, "delivery_success": True, "types": some}
            )
            for some in chunked(types, EVENT_TYPES)
        )

    def _newest(self, asked: "stripe.params.EventListParams") -> Dated | None:
        newest = read("list events", Page[Dated], self._v1.events.list, {**asked, "limit": 1})
        return first(newest["data"], None)

    def read(self, url: str) -> dict[str, Any] | None:
        """The object at a path such as a thin event names it; None when it is gone."""
        with suppress(NotFound), translated_errors("read what an event is about"):
            self._pages.raw_request("get", url)
            return decode(self._bodies.last(), dict[str, Any])
        return None

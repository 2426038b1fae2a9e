"""Events: listed, and read again."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
from more_itertools import chunked

from invoicing.connectors.stripe.answers import PAGE_SIZE, Page, read, read_each
from invoicing.connectors.stripe.connection import Connection
from invoicing.connectors.stripe.errors import translated_errors
from invoicing.domain.stripe.resources import Dated, Event
from invoicing.errors import NotFound
from invoicing.typed_answers import convert

if TYPE_CHECKING:
    from stripe import params as sdk


EVENT_TYPES = 20
"""The most types by which one list of events may be filtered."""

_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Events(Connection):
    """The events of an account."""

    def events(
        self, *, since: datetime, types: Sequence[str], until: datetime | None = None
    ) -> Iterator[Event]:
        """Events of some types created since a UTC instant, newest first of each twenty types.

        Each is whole, with all that it carries beside what its type names. Stripe keeps events
        for 30 days, and filters by at most 20 types: https://docs.stripe.com/api/events
        """
        created: sdk.EventListParamsCreated = {"gte": int(since.timestamp())}
        if until:
            created["lte"] = int(until.timestamp())
        for some in chunked(types, EVENT_TYPES):
            params: sdk.EventListParams = {"limit": PAGE_SIZE, "created": created, "types": some}
            with translated_errors("list events"):
                for event in read_each("list events", dict[str, Any], self._v1.events.list, params):
                    convert(event, Event)
                    yield cast(Event, event)

    def undelivered(self, since: datetime, until: datetime) -> Dated | None:
        """The newest event of a time that a webhook endpoint of the account has not taken."""
        created: sdk.EventListParamsCreated = {
            "gte": int(since.timestamp()),
            "lte": int(until.timestamp()),
        }
        params: sdk.EventListParams = {"created": created, "delivery_success": False, "limit": 1}
        found = read("list events", Page[Dated], self._v1.events.list, params)["data"]
        return found[0] if found else None

    def delivered_after(self, event: Dated, types: Sequence[str]) -> bool:
        """Whether the endpoints have taken an event of some types that is younger than another.

        Of a type that no endpoint is sent, each counts as delivered.
        """
        for some in chunked(types, EVENT_TYPES):
            params: sdk.EventListParams = {
                "created": {"gt": event["created"]},
                "delivery_success": True,
                "types": some,
                "limit": 1,
            }
            if read("list events", Page[Dated], self._v1.events.list, params)["data"]:
                return True
        return False

    def read(self, url: str) -> dict[str, Any] | None:
        """The object at a path such as a thin event names it; None when it is gone."""
        try:
            with translated_errors("read what an event is about"):
                self._pages.raw_request("get", url)
                return self._bodies.decoded(_OBJECT)
        except NotFound:
            return None

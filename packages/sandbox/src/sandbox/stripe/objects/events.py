"""Reading events: they are kept for thirty days."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.errors import no_such
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc

RETENTION = 30 * 24 * 3600
"""Seconds an event can be retrieved, from https://docs.stripe.com/api/events."""


@operation("GET", "/v1/events/{id}", "EventRetrieveParams")
def retrieve(context: Context, _: Params, event_id: str) -> Doc:
    """Return an event, if it is not too old."""
    event = context.require("event", event_id)
    if event["created"] < context.now - RETENTION:
        raise no_such("event", event_id)
    return event


@operation("GET", "/v1/events", "EventListParams")
def list_events(context: Context, params: Params) -> Listing:
    """List the events of the last thirty days."""
    filters: Doc = {}
    if "delivery_success" in params:
        filters["_.delivered"] = params.pop("delivery_success")
    if "types" in params:
        filters["type"] = params.pop("types")
    elif params.get("type", "").endswith("*"):
        filters["type"] = _known_types(context, params.pop("type"))
    ranges = {"created": {"gte": context.now - RETENTION}}
    return listed(context, "event", "/v1/events", params, filters, ranges)


def _known_types(context: Context, pattern: str) -> list[str]:
    """Return the types of stored events that begin like a pattern such as ``invoice.*``."""
    rows = context.sandbox.store.connection.execute(
        "SELECT DISTINCT f_type FROM kind_event WHERE substr(f_type, 1, ?) = ?",
        (len(pattern) - 1, pattern[:-1]),
    )
    return [row[0] for row in rows]

"""Reading events: they are kept for thirty days."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.errors import no_such
from sandbox.stripe.events import SNAPSHOT_TYPES
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
        beginning = params.pop("type").removesuffix("*")
        filters["type"] = [name for name in SNAPSHOT_TYPES if name.startswith(beginning)]
    ranges = {"created": {"gte": context.now - RETENTION}}
    return listed(context, "event", "/v1/events", params, filters, ranges)

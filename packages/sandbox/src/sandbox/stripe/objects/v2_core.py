"""The v2 API as far as thin events need it: events and event destinations."""

from datetime import datetime
from typing import Any

import orjson

from sandbox.stripe import events
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param, no_such
from sandbox.stripe.ids import new_id, token
from sandbox.stripe.objects.events import RETENTION
from sandbox.stripe.store import Cursor, Doc, public

EVENTS = "/v2/core/events"
DESTINATIONS = "/v2/core/event_destinations"
KIND = "v2.core.event_destination"


@operation("GET", f"{EVENTS}/{{id}}", "v2.core.EventRetrieveParams")
def retrieve_event(context: Context, _: Params, event_id: str) -> Doc:
    """Return a thin event with what the notification leaves out."""
    event = context.require("v2.core.event", event_id)
    if event["_"]["created"] < context.now - RETENTION:
        raise no_such("v2.core.event", event_id)
    return event


@operation("GET", EVENTS, "v2.core.EventListParams")
def list_events(context: Context, params: Params) -> Doc:
    """List thin events of the last thirty days, newest first."""
    filters: Doc = {}
    if "object_id" in params:
        filters["_.object"] = params["object_id"]
    if "types" in params:
        filters["type"] = params["types"]
    bounds = {"gte": context.now - RETENTION} | {
        bound: int(datetime.fromisoformat(instant).timestamp())
        for bound, instant in params.get("created", {}).items()
    }
    return _listed(context, "v2.core.event", EVENTS, params, filters, {"created": bounds})


@operation("POST", DESTINATIONS, "v2.core.EventDestinationCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a destination; its secret is shown only if asked for, and only now."""
    if params["type"] != "webhook_endpoint":
        raise invalid("This sandbox delivers to webhook endpoints only.", "type")
    if "webhook_endpoint" not in params:
        raise missing_param("webhook_endpoint[url]")
    destination: Doc = {
        "id": new_id(KIND),
        "object": KIND,
        "created": events.iso(context.now),
        "description": params.get("description", ""),
        "enabled_events": params["enabled_events"],
        "event_payload": params["event_payload"],
        "events_from": params.get("events_from", ["@self"]),
        "livemode": context.livemode,
        "metadata": params.get("metadata", {}),
        "name": params["name"],
        "snapshot_api_version": params.get("snapshot_api_version"),
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": events.iso(context.now),
        "webhook_endpoint": None,
        "_": {
            "created": context.now,
            "secret": f"whsec_{token(32)}",
            "url": params["webhook_endpoint"]["url"],
        },
    }
    context.space.insert(KIND, destination)
    return _shown(destination, params)


@operation("GET", f"{DESTINATIONS}/{{id}}", "v2.core.EventDestinationRetrieveParams")
def retrieve(context: Context, params: Params, destination_id: str) -> Doc:
    """Return a destination."""
    return _shown(context.require(KIND, destination_id), params)


@operation("POST", f"{DESTINATIONS}/{{id}}", "v2.core.EventDestinationUpdateParams")
def update(context: Context, params: Params, destination_id: str) -> Doc:
    """Change a destination."""
    destination = context.require(KIND, destination_id)
    put(destination, params, ("description", "enabled_events", "name"))
    if "webhook_endpoint" in params:
        destination["_"]["url"] = params["webhook_endpoint"]["url"]
    merged = destination["metadata"] | params.get("metadata", {})
    destination["metadata"] = {key: value for key, value in merged.items() if value is not None}
    return _saved(context, destination, params)


@operation("POST", f"{DESTINATIONS}/{{id}}/disable", "v2.core.EventDestinationDisableParams")
def disable(context: Context, params: Params, destination_id: str) -> Doc:
    """Stop delivering to a destination."""
    destination = context.require(KIND, destination_id)
    destination |= {"status": "disabled", "status_details": {"disabled": {"reason": "user"}}}
    return _saved(context, destination, params)


@operation("POST", f"{DESTINATIONS}/{{id}}/enable", "v2.core.EventDestinationEnableParams")
def enable(context: Context, params: Params, destination_id: str) -> Doc:
    """Deliver to a destination again."""
    destination = context.require(KIND, destination_id)
    destination |= {"status": "enabled", "status_details": None}
    return _saved(context, destination, params)


@operation("POST", f"{DESTINATIONS}/{{id}}/ping", "v2.core.EventDestinationPingParams")
def ping(context: Context, _: Params, destination_id: str) -> Doc:
    """Send a ping event to a destination, whatever it listens to."""
    destination = context.require(KIND, destination_id)
    return events.ping(context, destination)


@operation("DELETE", f"{DESTINATIONS}/{{id}}", "v2.core.EventDestinationDeleteParams")
def delete(context: Context, _: Params, destination_id: str) -> Doc:
    """Delete a destination."""
    context.require(KIND, destination_id)
    context.space.delete(KIND, destination_id)
    return {"id": destination_id, "object": KIND}


@operation("GET", DESTINATIONS, "v2.core.EventDestinationListParams")
def list_destinations(context: Context, params: Params) -> Doc:
    """List destinations."""
    return _listed(context, KIND, DESTINATIONS, params, {}, {})


def _saved(context: Context, destination: Doc, params: Params) -> Doc:
    destination["updated"] = events.iso(context.now)
    context.space.update(KIND, destination)
    return _shown(destination, params)


def _shown(destination: Doc, params: Params) -> Doc:
    """Return a destination with the redacted fields that were asked for."""
    fields = {"webhook_endpoint.url": "url", "webhook_endpoint.signing_secret": "secret"}
    asked = [fields[name] for name in params.get("include", [])]
    names = {"url": "url", "secret": "signing_secret"}
    revealed = {names[name]: destination["_"][name] for name in asked}
    shown = public(destination) | {"webhook_endpoint": revealed or None}
    return {name: value for name, value in shown.items() if value is not None}


def _listed(
    context: Context, kind: str, url: str, params: Params, filters: Doc, ranges: Any
) -> Doc:
    """Answer a v2 list: pages are linked by URL."""
    limit = params.get("limit", 20)
    cursor = Cursor(params["page"]) if "page" in params else None
    page = context.space.page(kind, filters, ranges, limit, cursor)
    if page is None:
        raise invalid("Invalid page token.", "page")
    data = [
        {name: value for name, value in orjson.loads(body).items() if value is not None}
        for body in page.bodies
    ]
    following = f"{url}?limit={limit}&page={data[-1]['id']}" if page.has_more else None
    return {"data": data, "next_page_url": following, "previous_page_url": None}

"""Events: rendered once, when something happens, and queued for the endpoints that listen."""

from typing import TYPE_CHECKING

import orjson

from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc, public

if TYPE_CHECKING:
    from sandbox.stripe.context import Context


def record(context: "Context", event_type: str, doc: Doc, changes: Doc | None = None) -> Doc:
    """Store an event about an object and queue it for the endpoints that listen."""
    endpoints = [
        endpoint
        for endpoint in context.space.find("webhook_endpoint", {"status": "enabled"})
        if {"*", event_type} & set(endpoint["enabled_events"])
    ]
    data: Doc = {"object": public(doc)}
    if changes is not None:
        data["previous_attributes"] = changes
    event: Doc = {
        "id": new_id("event"),
        "object": "event",
        "api_version": context.account.api_version,
        "created": context.now,
        "data": data,
        "livemode": context.livemode,
        "pending_webhooks": len(endpoints),
        "request": {"id": context.request_id, "idempotency_key": context.idempotency_key},
        "type": event_type,
        "_": {"delivered": not endpoints, "object": doc["id"]},
    }
    context.space.insert("event", event)
    for endpoint in endpoints:
        context.space.insert("delivery", _delivery(context, event, endpoint))
    return event


def _delivery(context: "Context", event: Doc, endpoint: Doc) -> Doc:
    return {
        "id": new_id("delivery"),
        "created": context.now,
        "event": event["id"],
        "type": event["type"],
        "endpoint": endpoint["id"],
        "url": endpoint["url"],
        "state": "pending",
        "next_attempt": context.now,
        "attempts": [],
    }


def settled(context: "Context", event_id: str) -> None:
    """Bring an event's count of pending deliveries up to date."""
    event = context.space.get("event", event_id)
    if event is None:
        return
    states = [delivery["state"] for delivery in context.space.find("delivery", {"event": event_id})]
    event["pending_webhooks"] = sum(state != "delivered" for state in states)
    event["_"]["delivered"] = event["pending_webhooks"] == 0
    context.space.update("event", event)


def body_for(event: Doc, endpoint: Doc) -> bytes:
    """Render an event for an endpoint, in the endpoint's API version."""
    version = endpoint["api_version"] or event["api_version"]
    return orjson.dumps(public(event) | {"api_version": version})

"""Events: rendered once, when something happens, and queued for those that listen.

Most happenings make two events: a snapshot (``invoice.paid``, with the object as it then was) and a
thin one (``v1.invoice.paid``, with a reference to it). Which types exist is read from the SDK.
"""

from datetime import UTC, datetime
from typing import Protocol, get_args

import orjson
import stripe
from stripe.events import _event_classes

from sandbox.common.hosted_invoice_url import dated
from sandbox.stripe import versions
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc, Space, public

SNAPSHOT_TYPES = frozenset(get_args(stripe.Event.__annotations__["type"]))
THIN_TYPES = frozenset(_event_classes._V2_EVENT_CLASS_LOOKUP)


class Act(Protocol):
    """What was going on when something happened: an API request, a click, time passing."""

    space: Space
    now: int
    request_id: str | None
    idempotency_key: str | None

    @property
    def api_version(self) -> str:
        """The version in which the account's events are."""

    @property
    def livemode(self) -> bool:
        """Whether this is the live half."""


def record(act: Act, event_type: str, doc: Doc, changes: Doc | None = None) -> None:
    """Store the events about an object and queue them."""
    snapshot_id = None
    if doc["object"] == "invoice":
        doc, changes = orjson.loads(dated(orjson.dumps([doc, changes]), act.now))
    if event_type in SNAPSHOT_TYPES:
        snapshot_id = _record_snapshot(act, event_type, doc, changes)
    if f"v1.{event_type}" in THIN_TYPES:
        _record_thin(act, f"v1.{event_type}", doc, changes, snapshot_id)


def ping(act: Act, destination: Doc) -> Doc:
    """Store a ping and queue it for one destination."""
    url = f"/v2/core/event_destinations/{destination['id']}"
    event = _thin(act, "v2.core.event_destination.ping", destination, url)
    act.space.insert("v2.core.event", event)
    _queue(act, event, [destination])
    return event


def iso(timestamp: float) -> str:
    """Write seconds since the epoch as the v2 API does."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%S.000Z}"


def settled(act: Act, event_id: str) -> None:
    """Bring a snapshot event's count of pending deliveries up to date."""
    event = act.space.get("event", event_id)
    if event is None:
        return
    deliveries = act.space.find("delivery", {"event": event_id})
    event["pending_webhooks"] = sum(item["state"] != "delivered" for item in deliveries)
    event["_"]["delivered"] = event["pending_webhooks"] == 0
    act.space.update("event", event)


def body_for(event: Doc, target: Doc) -> bytes:
    """Render an event for an endpoint or a destination, in its API version."""
    if event["object"] == "v2.core.event":
        hidden = ("changes", "data", "snapshot_event", "_")
        return orjson.dumps({name: value for name, value in event.items() if name not in hidden})
    version = target.get("api_version") or target.get("snapshot_api_version")
    version = version or event["api_version"]
    data = event["data"] | {"object": versions.rendered(event["data"]["object"], version)}
    return orjson.dumps(public(event) | {"api_version": version, "data": data})


def _record_snapshot(act: Act, event_type: str, doc: Doc, changes: Doc | None) -> str:
    data: Doc = {"object": public(doc)}
    if changes is not None:
        data["previous_attributes"] = changes
    targets = _listeners(act, event_type, "snapshot")
    event: Doc = {
        "id": new_id("event"),
        "object": "event",
        "api_version": act.api_version,
        "created": act.now,
        "data": data,
        "livemode": act.livemode,
        "pending_webhooks": len(targets),
        "request": {"id": act.request_id, "idempotency_key": act.idempotency_key},
        "type": event_type,
        "_": {"delivered": not targets, "object": doc["id"]},
    }
    act.space.insert("event", event)
    _queue(act, event, targets)
    return str(event["id"])


def _record_thin(
    act: Act, event_type: str, doc: Doc, changes: Doc | None, snapshot_id: str | None
) -> None:
    event = _thin(act, event_type, doc, _url(doc))
    if snapshot_id:
        event["snapshot_event"] = snapshot_id
    if changes:
        after = {name: doc.get(name) for name in changes}
        event["changes"] = {"before": changes, "after": after}
    act.space.insert("v2.core.event", event)
    _queue(act, event, _listeners(act, event_type, "thin"))


def _thin(act: Act, event_type: str, doc: Doc, url: str) -> Doc:
    event: Doc = {
        "id": new_id("v2.core.event"),
        "object": "v2.core.event",
        "created": iso(act.now),
        "livemode": act.livemode,
        "related_object": {"id": doc["id"], "type": doc["object"], "url": url},
        "type": event_type,
        "_": {"created": act.now, "object": doc["id"]},
    }
    if act.request_id:
        request = {"id": act.request_id, "idempotency_key": act.idempotency_key or ""}
        event["reason"] = {"type": "request", "request": request}
    return event


def _listeners(act: Act, event_type: str, payload: str) -> list[Doc]:
    """Return the endpoints and destinations that want a type in this form."""
    targets = act.space.find(
        "v2.core.event_destination", {"event_payload": payload, "status": "enabled"}
    )
    if payload == "snapshot":
        targets += act.space.find("webhook_endpoint", {"status": "enabled"})
    return [target for target in targets if {"*", event_type} & set(target["enabled_events"])]


def _queue(act: Act, event: Doc, targets: list[Doc]) -> None:
    for target in targets:
        delivery = {
            "id": new_id("delivery"),
            "created": act.now,
            "event": event["id"],
            "event_object": event["object"],
            "type": event["type"],
            "endpoint": target["id"],
            "endpoint_object": target["object"],
            "url": target.get("url") or target["_"]["url"],
            "state": "pending",
            "next_attempt": act.now,
            "attempts": [],
        }
        act.space.insert("delivery", delivery)


def _url(doc: Doc) -> str:
    if doc["object"] == "tax_id":
        return f"/v1/customers/{doc['customer']}/tax_ids/{doc['id']}"
    return f"/v1/{doc['object']}s/{doc['id']}"

"""The Pub/Sub API: gRPC beside the HTTP server, for whoever listens to change events.

Sources: https://developer.salesforce.com/docs/platform/pub-sub-api/guide, "Pub/Sub API RPC Method
Reference", "Event Message Durability", "Pub/Sub API Error Codes"; comments of ``pubsub_api.proto``.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn

import grpc
from fastavro import schemaless_writer

from sandbox.salesforce import pubsub_messages as messages
from sandbox.salesforce.change_events import ChangeEvent, avro_schema, schema_id
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.oauth import Sessions
from sandbox.salesforce.org import ORGANIZATION_ID, Org

MOST_REQUESTED = 100
"""Events that a subscriber may be owed; more is counted as so many."""

KEEPALIVE_SECONDS = 270.0
"""An answer without events comes at least so often while events are asked for."""

ERRORS = "sfdc.platform.eventbus.grpc"


class PubSub:
    """The service for one org.

    Args:
        org: Whose changes are told.
        sessions: Who may listen.
        port: Where it listens on 127.0.0.1; 0 takes a free one.
    """

    def __init__(self, org: Org, sessions: Sessions, port: int) -> None:
        self.port = port
        self.keepalive = KEEPALIVE_SECONDS
        self.subscribers = 0
        self._org, self._sessions = org, sessions
        self._schemas = {
            schema_id(schema): schema
            for names in org.changes.channels.values()
            for schema in (avro_schema(org.sobject(name)) for name in names)
        }
        self._breaking = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([self._handlers()])
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(grace=None)

    def break_streams(self) -> None:
        """End every subscription, as an update of Salesforce does."""
        self._breaking.set()
        self._breaking = asyncio.Event()

    def _handlers(self) -> grpc.GenericRpcHandler:
        def unary(act: Any, request: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(
                act, request.FromString, lambda answer: answer.SerializeToString()
            )

        subscribe = grpc.stream_stream_rpc_method_handler(
            self._subscribe,
            messages.FetchRequest.FromString,
            lambda answer: answer.SerializeToString(),
        )
        handlers = {
            "GetTopic": unary(self._get_topic, messages.TopicRequest),
            "GetSchema": unary(self._get_schema, messages.SchemaRequest),
            "Subscribe": subscribe,
        }
        return grpc.method_handlers_generic_handler("eventbus.v1.PubSub", handlers)

    async def _get_topic(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        await self._authenticate(context)
        names = await self._objects(request.topic_name, context)
        [schema] = [avro_schema(self._org.sobject(name)) for name in sorted(names)][:1]
        return messages.TopicInfo(
            topic_name=request.topic_name,
            tenant_guid=f"core/prod/{ORGANIZATION_ID}",
            can_subscribe=not names & self._org.withheld.hidden,
            schema_id=schema_id(schema) if len(names) == 1 else "",
        )

    async def _get_schema(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        await self._authenticate(context)
        schema = self._schemas.get(request.schema_id)
        if schema is None:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "schema.not.found")
        return messages.SchemaInfo(schema_json=json.dumps(schema), schema_id=request.schema_id)

    async def _subscribe(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        await self._authenticate(context)
        first = await anext(requests, None)
        if first is None:
            return
        if await self._objects(first.topic_name, context) & self._org.withheld.hidden:
            await _refuse(context, grpc.StatusCode.PERMISSION_DENIED, "auth.error")
        subscription = _Subscription(first.topic_name, await self._begin(first, context))
        await self._more(first, subscription, context)
        reading = asyncio.create_task(self._read(requests, subscription, context))
        loop, breaking = asyncio.get_running_loop(), self._breaking

        def wake() -> None:
            loop.call_soon_threadsafe(subscription.woken.set)

        stop = self._org.changes.when_told(wake)
        breaks = asyncio.create_task(breaking.wait())
        self.subscribers += 1
        try:
            while not breaking.is_set():
                subscription.woken.clear()
                events = self._due(subscription)
                if events:
                    yield self._response(subscription, events)
                    continue
                woken = asyncio.create_task(subscription.woken.wait())
                waiting = [woken, breaks]
                done, _ = await asyncio.wait(
                    waiting, timeout=self.keepalive, return_when=asyncio.FIRST_COMPLETED
                )
                woken.cancel()
                if not done and subscription.owed:
                    yield self._response(subscription, [])
            await _refuse(context, grpc.StatusCode.UNAVAILABLE, "service.unavailable")
        finally:
            self.subscribers -= 1
            stop()
            breaks.cancel()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _read(
        self,
        requests: AsyncIterator[Any],
        subscription: _Subscription,
        context: grpc.aio.ServicerContext,
    ) -> None:
        async for request in requests:
            await self._more(request, subscription, context)
            subscription.woken.set()

    async def _more(
        self, request: Any, subscription: _Subscription, context: grpc.aio.ServicerContext
    ) -> None:
        if request.num_requested < 1:
            code = "subscription.fetch.requested.events.not.in.range"
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, code)
        subscription.owed = min(subscription.owed + request.num_requested, MOST_REQUESTED)

    def _due(self, subscription: _Subscription) -> list[ChangeEvent]:
        if not subscription.owed:
            return []
        changes = self._org.changes
        return changes.after(subscription.place, subscription.topic, subscription.owed)

    def _response(self, subscription: _Subscription, events: list[ChangeEvent]) -> Any:
        subscription.owed -= len(events)
        told = [self._consumer_event(event) for event in events]
        if events:
            subscription.place = events[-1].number
            latest = told[-1].replay_id
        else:
            place, now = self._org.changes.tip()
            subscription.place = place
            latest = replay_id(place, now)
        return messages.FetchResponse(
            events=told, latest_replay_id=latest, pending_num_requested=subscription.owed
        )

    def _consumer_event(self, event: ChangeEvent) -> Any:
        schema = avro_schema(self._org.sobject(event.sobject))
        payload = io.BytesIO()
        schemaless_writer(payload, schema, event.content)
        produced = messages.ProducerEvent(
            id=event.content["ChangeEventHeader"]["transactionKey"],
            schema_id=schema_id(schema),
            payload=payload.getvalue(),
        )
        return messages.ConsumerEvent(event=produced, replay_id=replay_id(event.number, event.at))

    async def _begin(self, request: Any, context: grpc.aio.ServicerContext) -> int:
        """The place in the stream that a subscription begins after."""
        changes = self._org.changes
        if request.replay_preset == messages.EARLIEST:
            return 0
        if request.replay_preset != messages.CUSTOM:
            return changes.tip()[0]
        known = _place(request.replay_id)
        if known is None or known[0] > changes.tip()[0]:
            code = "subscription.fetch.replayid.corrupted"
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, code)
        if not changes.is_kept(known[1]):
            code = "subscription.fetch.replayid.validation.failed"
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, code)
        return known[0]

    async def _authenticate(self, context: grpc.aio.ServicerContext) -> None:
        given = dict(context.invocation_metadata() or ())
        try:
            self._sessions.check(f"Bearer {given.get('accesstoken', '')}")
        except SalesforceError:
            await _refuse(context, grpc.StatusCode.UNAUTHENTICATED, "service.auth.error")
        tenant = str(given.get("tenantid", ""))
        if tenant[:15] != ORGANIZATION_ID[:15] or not given.get("instanceurl"):
            await _refuse(context, grpc.StatusCode.UNAUTHENTICATED, "service.auth.headers.invalid")

    async def _objects(self, topic: str, context: grpc.aio.ServicerContext) -> frozenset[str]:
        names = self._org.changes.channels.get(topic)
        if names is None:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "topic.not.found")
        return names


class _Subscription:
    """How far a subscriber has read, and how many events it still wants."""

    def __init__(self, topic: str, place: int) -> None:
        self.topic = topic
        self.place = place
        self.owed = 0
        self.woken = asyncio.Event()


def replay_id(number: int, at: float) -> bytes:
    """A place in the stream as subscribers keep it; it says how old it is."""
    return number.to_bytes(8) + int(at * 1000).to_bytes(8)


def _place(replay: bytes) -> tuple[int, float] | None:
    if len(replay) != 16:
        return None
    return int.from_bytes(replay[:8]), int.from_bytes(replay[8:]) / 1000


async def _refuse(
    context: grpc.aio.ServicerContext, status: grpc.StatusCode, code: str
) -> NoReturn:
    trailer = (("error-code", f"{ERRORS}.{code}"),)
    await context.abort(status, code.replace(".", " "), trailer)
    raise AssertionError  # an abort never returns

"""Salesforce's Pub/Sub API: change events, over a connection that is made from here.

The only module that imports ``grpc`` and ``fastavro``. Sources: comments of ``pubsub_api.proto``;
https://developer.salesforce.com/docs/platform/pub-sub-api/guide, "Event Message Durability" (72
hours), "Pub/Sub API Error Codes".
"""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from fastavro import parse_schema, schemaless_reader

from invoicing.connectors.salesforce import Session
from invoicing.connectors.salesforce import pubsub_messages as messages
from invoicing.errors import EnvironmentMismatch, EventsMissed, TransientError

log = logging.getLogger("pubsub")

REQUESTED = 100
"""Events that are asked for at once, which is the most that Salesforce owes a subscriber."""

SILENCE_SECONDS = 300.0
"""After so long the connection is dead: without events, a sign of life comes within 270 seconds."""

UNREADABLE = "UNREADABLE"

HEADER = "ChangeEventHeader"

SERVICE = f"/{messages.PACKAGE}.PubSub"

ANSWER_SECONDS = 10.0
"""Time limit of a single question."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an event tells: the kind of change, such as CREATE, and who made it."""

    kind: str
    user: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events, perhaps none, and the place in the stream after them."""

    changes: Sequence[Change]
    replay_id: bytes


class PubSub:
    """One org's event bus, for whoever is logged in."""

    def __init__(self, channel: grpc.aio.Channel, session: Session) -> None:
        """Remember who listens; see :func:`connected`."""
        self._metadata = _metadata(session)
        self._subscribe = channel.stream_stream(
            f"{SERVICE}/Subscribe",
            request_serializer=messages.FetchRequest.SerializeToString,
            response_deserializer=messages.FetchResponse.FromString,
        )
        self._get_schema = channel.unary_unary(
            f"{SERVICE}/GetSchema",
            request_serializer=messages.SchemaRequest.SerializeToString,
            response_deserializer=messages.SchemaInfo.FromString,
        )
        self._schemas: dict[str, Any] = {}

    async def listen(self, topic: str, replay_id: bytes | None) -> AsyncIterator[Batch]:
        """Events as they come, until the connection breaks.

        Args:
            topic: The channel, such as ``/data/Invoice_Requests__chn``.
            replay_id: The place to begin after; None: with what comes from now on.

        Raises:
            EventsMissed: that place is known no longer.
            EnvironmentMismatch: there is no such channel, or not for this user.
            TransientError: the connection broke, or came to nothing.
        """
        try:
            call = self._subscribe(metadata=self._metadata)
            where = {"replay_preset": messages.CUSTOM, "replay_id": replay_id} if replay_id else {}
            first = messages.FetchRequest(topic_name=topic, num_requested=REQUESTED, **where)
            await call.write(first)
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    raise TransientError("Salesforce has ended the subscription.")
                yield Batch(
                    [await self._change(event.event) for event in response.events],
                    response.latest_replay_id,
                )
                if response.events:
                    more = messages.FetchRequest(num_requested=len(response.events))
                    await call.write(more)
        except grpc.RpcError as error:
            raise _translated(error, topic) from error
        except TimeoutError as error:
            raise TransientError("Salesforce's event bus fell silent.") from error
        except asyncio.InvalidStateError as error:
            raise TransientError("Salesforce has ended the subscription.") from error

    async def _change(self, event: Any) -> Change:
        """What an event tells; one that cannot be read tells that there is something."""
        try:
            schema = await self._schema(event.schema_id)
            said: Any = schemaless_reader(io.BytesIO(event.payload), schema, None)
            header = said[HEADER]
            return Change(header["changeType"], header["commitUser"])
        except (ValueError, KeyError, TypeError, EOFError, IndexError) as error:
            log.warning("An event cannot be read: %r", error)
            return Change(UNREADABLE, "")

    async def _schema(self, schema_id: str) -> Any:
        if schema_id not in self._schemas:
            asked = messages.SchemaRequest(schema_id=schema_id)
            info = await self._get_schema(asked, metadata=self._metadata)
            self._schemas[schema_id] = parse_schema(json.loads(info.schema_json))
        return self._schemas[schema_id]


@asynccontextmanager
async def connected(url: str, session: Session) -> AsyncIterator[PubSub]:
    """The event bus, for as long as the block lasts.

    Args:
        url: Where it answers; ``http://`` before host and port is without TLS.
        session: A login at the org.
    """
    async with _channel(grpc.aio, url) as channel:
        yield PubSub(channel, session)


def may_subscribe(url: str, session: Session, topic: str) -> bool:
    """Whether whoever is logged in may listen to a channel that there is.

    Args:
        url: As of :func:`connected`.
        session: A login at the org.
        topic: The channel.

    Raises:
        EnvironmentMismatch: there is no such channel, or not for this user.
        TransientError: the event bus does not answer.
    """
    try:
        with _channel(grpc, url) as channel:
            ask = channel.unary_unary(
                f"{SERVICE}/GetTopic",
                request_serializer=messages.TopicRequest.SerializeToString,
                response_deserializer=messages.TopicInfo.FromString,
            )
            asked = messages.TopicRequest(topic_name=topic)
            answer = ask(asked, metadata=_metadata(session), timeout=ANSWER_SECONDS)
            return bool(answer.can_subscribe)
    except grpc.RpcError as error:
        raise _translated(error, topic) from error


def _channel(kind: Any, url: str) -> Any:
    """A channel of grpc's own kind, or of its kind for asyncio."""
    scheme, _, target = url.rpartition("://")
    if scheme == "http":
        return kind.insecure_channel(target)
    return kind.secure_channel(target, grpc.ssl_channel_credentials())


def _metadata(session: Session) -> tuple[tuple[str, str], ...]:
    return (
        ("accesstoken", session.token),
        ("instanceurl", session.instance_url),
        ("tenantid", session.org_id),
    )


def _translated(error: grpc.RpcError, topic: str) -> Exception:
    """What has to happen next."""
    status = error.code()
    trailers = dict(error.trailing_metadata() or ())
    said = f"{trailers.get('error-code', '')} {error.details()}".strip()
    if status is grpc.StatusCode.INVALID_ARGUMENT and "replayid" in said.replace(" ", ""):
        return EventsMissed(f"Salesforce no longer knows where the listener had stopped: {said}")
    if status in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}:
        return EnvironmentMismatch(
            f"Salesforce has no channel {topic} for this user ({said}). Deploy "
            "deployments/salesforce to the org, and assign Invoice Integration to the user."
        )
    return TransientError(f"The connection to Salesforce's event bus broke: {status.name}, {said}")

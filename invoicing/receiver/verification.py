"""From a request to an event that Stripe is known to have sent, or the reason why not."""

import asyncio

import orjson
from starlette.requests import ClientDisconnect, Request

from invoicing.connectors.stripe.webhook_signature import verified_event
from invoicing.domain.stripe.event_parsing import parse_event
from invoicing.ledger import inbox
from invoicing.receiver.account_paths import Endpoint

MAX_BODY = 1_000_000
"""Bytes; Stripe's events are far smaller."""

BODY_SECONDS = 10.0
"""How long a client may take for the body."""


class RejectedRequest(Exception):
    """A request that is not accepted.

    Attributes:
        status: The HTTP status.
        reason: One word for the metrics; the message says more.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.status = status
        self.reason = reason


async def accepted_event(request: Request, endpoint: Endpoint) -> inbox.NewEvent:
    """The event of a request, checked, as it goes into the inbox.

    Raises:
        RejectedRequest: it is not one, or not for this endpoint.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RejectedRequest(415, "content_type", "the content type is not application/json")
    body = await _body(request)
    reason = verified_event(body, request.headers.get("stripe-signature", ""), endpoint.secrets)
    if reason:
        raise RejectedRequest(400, "signature", f"the signature is not good: {reason}")
    try:
        event = parse_event(orjson.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RejectedRequest(400, "not_an_event", "the body is not an event") from error
    if event.account_id not in (None, endpoint.account_id) or event.livemode != endpoint.livemode:
        raise RejectedRequest(400, "other_world", "the event is of another account or mode")
    return inbox.new_event(event, body.decode(), account_id=endpoint.account_id, source="webhook")


async def _body(request: Request) -> bytes:
    body = bytearray()
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise _too_large()
    except TimeoutError as error:
        raise RejectedRequest(408, "slow", f"the body took more than {BODY_SECONDS:g} s") from error
    except ClientDisconnect as error:
        raise RejectedRequest(
            400, "left", "the client left before the end of its request"
        ) from error
    return bytes(body)


def _too_large() -> RejectedRequest:
    return RejectedRequest(413, "too_large", f"the body is larger than {MAX_BODY:,} bytes")

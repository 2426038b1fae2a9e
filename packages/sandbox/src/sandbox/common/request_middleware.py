"""Every API request passes here: it is logged, and meets the trouble that was ordered."""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.common.clock import Clock
from sandbox.common.faults import Faults, Rule

Refusal = Callable[[Rule], tuple[dict[str, str], bytes]]
"""Headers and body of an error answer in the service's own format."""

LOG_LENGTH = 200_000
JSON = [(b"content-type", b"application/json;charset=UTF-8")]


class Traffic:
    """ASGI middleware, to be the outermost: request log and fault injection.

    Args:
        app: The application behind.
        clock: Sandbox time, for the log.
        api_paths: Prefixes of the paths that are API; all others pass untouched and unlogged.
        refusal: Builds the error answers of ``refuse`` and ``fail_after``.
        app_delays: The application itself waits out ``scope["sandbox.delay"]``, because where
            the wait happens matters to it; otherwise it is waited out before the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        clock: Clock,
        api_paths: Iterable[str],
        refusal: Refusal,
        *,
        app_delays: bool = False,
    ) -> None:
        self.app = app
        self.clock = clock
        self.api_paths = tuple(api_paths)
        self.refusal = refusal
        self.app_delays = app_delays
        self.faults = Faults()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or not."""
        if scope["type"] != "http" or not scope["path"].startswith(self.api_paths):
            await self.app(scope, receive, send)
            return
        rule = self.faults.pick(scope["method"], scope["path"])
        entry = self._enter(scope, rule)
        started = time.perf_counter()

        async def record(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        try:
            await self._answer(rule, scope, receive, record, send)
        except ClientDisconnect:  # before its request was whole: there is nobody to answer
            entry["status"] = None
        finally:
            entry["seconds"] = round(time.perf_counter() - started, 6)

    def reset(self) -> None:
        """Forget the log and all ordered trouble."""
        self.log.clear()
        self.faults.configure([])

    def _enter(self, scope: Scope, rule: Rule | None) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "time": self.clock.time(),
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
            "status": None,
            "idempotency_key": Headers(scope=scope).get("idempotency-key"),
            "fault": rule.kind if rule else None,
            "seconds": None,
        }
        self.log.append(entry)
        return entry

    async def _answer(
        self, rule: Rule | None, scope: Scope, receive: Receive, send: Send, wire: Send
    ) -> None:
        match rule.kind if rule else None:
            case "refuse" if rule:
                await self._refuse(rule, send)
            case "empty_list":
                await _reply(
                    send, {"type": "http.response.start", "status": 200, "headers": JSON}, b"[]"
                )
            case "reset":
                await _hang_up(wire, reset=True)
            case "timeout" if rule:
                await asyncio.sleep(self.faults.delay(rule))
                await _hang_up(wire)
            case "lost":
                await _captured(self.app, scope, receive)
                await _hang_up(wire)
            case "fail_after" if rule:
                await _captured(self.app, scope, receive)
                await self._refuse(rule, send)
            case "malformed":
                start, body = await _captured(self.app, scope, receive)
                await _reply(send, start, body[: len(body) // 2])
            case "slow_body" if rule:
                start, body = await _captured(self.app, scope, receive)
                await _dribble(send, start, body, self.faults.delay(rule))
            case "latency" if rule:
                scope["sandbox.delay"] = self.faults.delay(rule)
                if not self.app_delays:
                    await asyncio.sleep(scope["sandbox.delay"])
                await self.app(scope, receive, send)
            case _:
                scope["sandbox.fault"] = rule
                await self.app(scope, receive, send)

    async def _refuse(self, rule: Rule, send: Send) -> None:
        headers, body = self.refusal(rule)
        start = {
            "type": "http.response.start",
            "status": rule.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        await _reply(send, start, body)


async def _captured(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """Run the application to its end and keep the answer instead of sending it."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def _reply(send: Send, start: Message, body: bytes) -> None:
    await send(_with_length(start, len(body)))
    await send({"type": "http.response.body", "body": body})


DRIBBLES = 20
"""The parts in which a slow answer comes."""


async def _dribble(send: Send, start: Message, body: bytes, seconds: float) -> None:
    await send(_with_length(start, len(body)))
    step = max(1, -(-len(body) // DRIBBLES))
    for position in range(0, len(body), step):
        await asyncio.sleep(seconds / DRIBBLES)
        await send(
            {
                "type": "http.response.body",
                "body": body[position : position + step],
                "more_body": position + step < len(body),
            }
        )


def _with_length(start: Message, length: int) -> Message:
    headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}


async def _hang_up(send: Send, *, reset: bool = False) -> None:
    """Close the connection without an answer.

    ASGI has no word for this, so uvicorn's own connection behind ``send`` is asked.
    """
    transport = send.__self__.transport  # type: ignore[attr-defined]
    if reset:
        linger_off = struct.pack("ii", 1, 0)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_off)
    transport.abort()
    while not send.__self__.disconnected:  # type: ignore[attr-defined]
        await asyncio.sleep(0)

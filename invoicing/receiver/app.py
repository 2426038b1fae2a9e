"""The webhook endpoint: verify, write down, answer, and only then have the work done.

Stripe repeats what is not answered with 2xx, for up to three days
(https://docs.stripe.com/webhooks#retries). So an event is acknowledged once it is in the
inbox and not before; a ledger that is away gives 503.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from invoicing.connectors.prefect import Prefect
from invoicing.connectors.stripe import verified_event
from invoicing.domain.events import read_event
from invoicing.errors import Passing
from invoicing.ledger import inbox
from invoicing.settings import Settings

log = logging.getLogger("receiver")

MAX_BODY = 1_000_000
"""Bytes; Stripe's events are far smaller."""

BELL_SECONDS = 1.0
"""Least time between two runs of the handler that the receiver starts."""


class Bell:
    """Starts the handler at once, and a burst of events starts few runs, not many."""

    def __init__(self, prefect: Prefect) -> None:
        """Prepare the bell; :meth:`listen` makes it work."""
        self._prefect = prefect
        self._rung = asyncio.Event()
        self._origin = datetime.now(UTC).isoformat()
        self._count = 0

    def ring(self) -> None:
        """Say that there is something new in the inbox."""
        self._rung.set()

    async def listen(self) -> None:
        """Start a run whenever the bell was rung, until cancelled.

        A run that cannot be started is no loss: the schedule drains the inbox too.
        """
        while True:
            await self._rung.wait()
            self._rung.clear()
            self._count += 1
            key = f"inbox-{self._origin}-{self._count}"
            try:
                await run_in_threadpool(self._prefect.start, "handle-events", {}, key)
            except Passing as error:
                log.warning("The handler was not started: %s", error)
            await asyncio.sleep(BELL_SECONDS)


def build_app(settings: Settings) -> Starlette:
    """The receiver for the account of the settings."""
    secrets = [secret.get_secret_value() for secret in settings.stripe.webhook_secrets]
    bell = Bell(Prefect(settings.prefect_api_url, settings.prefect_api_auth))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        listening = asyncio.create_task(bell.listen())
        yield
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening

    async def webhook(request: Request) -> Response:
        body = await request.body()
        if len(body) > MAX_BODY:
            return _refuse(413, "the body is too large")
        reason = verified_event(body, request.headers.get("stripe-signature", ""), secrets)
        if reason:
            return _refuse(400, f"the signature is not good: {reason}")
        try:
            news = read_event(orjson.loads(body))
        except (ValueError, KeyError, TypeError):
            return _refuse(400, "the body is not an event")
        ours = news.account_id in (None, settings.stripe.account_id)
        if not ours or news.livemode != settings.stripe.livemode:
            return _refuse(400, "the event is of another account or mode")
        event = inbox.written_down(
            news, body.decode(), account_id=settings.stripe.account_id, source="webhook"
        )
        try:
            new = await run_in_threadpool(inbox.receive, [event])
        except Passing as error:
            log.error("An event was not written down: %s", error)
            return JSONResponse({"error": "the ledger is away"}, status_code=503)
        if new:
            bell.ring()
        return JSONResponse({"received": news.event_id, "new": bool(new)})

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        try:
            backlog = await run_in_threadpool(inbox.backlog)
        except Passing as error:
            return JSONResponse({"status": "not ready", "reason": str(error)}, status_code=503)
        return JSONResponse({"status": "ready", "inbox": backlog})

    return Starlette(
        routes=[
            Route("/webhooks/stripe", webhook, methods=["POST"]),
            Route("/health", health),
            Route("/ready", ready),
        ],
        lifespan=lifespan,
    )


def _refuse(status: int, reason: str) -> Response:
    log.warning("An event was refused: %s", reason)
    return JSONResponse({"error": reason}, status_code=status)

"""The webhook endpoint: verify, write down, answer, and only then have the work done.

Stripe repeats what is not answered with 2xx, for up to three days
(https://docs.stripe.com/webhooks#retries). So an event is acknowledged once it is in the
inbox and not before; a ledger that is away gives 503. Types that nobody handles are kept and
acknowledged like all others.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from opentelemetry.trace import SpanContext
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from invoicing.errors import TransientError
from invoicing.flow_trigger import FlowTrigger
from invoicing.ledger import inbox
from invoicing.receiver.account_paths import endpoints_by_path
from invoicing.receiver.batch_writer import BatchWriter
from invoicing.receiver.metrics import Metrics
from invoicing.receiver.verification import RejectedRequest, accepted_event
from invoicing.settings import Settings

log = logging.getLogger("receiver")

WRITERS = 2
"""Transactions of one worker at once; SQLite has only one anyhow."""


def build_app(settings: Settings, ended: Callable[[], None] = lambda: None) -> Starlette:
    """The receiver for the endpoints of the settings.

    Args:
        settings: What differs from one installation to the next.
        ended: Called when it has answered its last request.

    Raises:
        Misconfigured: there is no endpoint.
    """
    endpoints = endpoints_by_path(settings)
    api = (settings.prefect_api_url, settings.prefect_api_auth)
    trigger = FlowTrigger[None]("handle-events", "inbox", *api)
    metrics = Metrics()

    def written(events: int, new: int, heard_in: list[SpanContext]) -> None:
        metrics.received(events, new)
        if new:
            trigger.notify(causes=heard_in)

    writer = BatchWriter(written, 1 if "sqlite" in settings.ledger.url else WRITERS)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with writer.running(), trigger.running():
            yield
        await run_in_threadpool(ended)

    async def webhook(request: Request) -> Response:
        try:
            with metrics.seconds.time():
                endpoint = endpoints.get(request.scope["path"])
                if endpoint is None:
                    raise RejectedRequest(404, "path", "there is no endpoint here")
                event = await accepted_event(request, endpoint)
                await writer.write(event)
        except RejectedRequest as refusal:
            return refused(refusal)
        except TransientError:
            return refused(RejectedRequest(503, "ledger_away", "the ledger is away"))
        return JSONResponse({"received": event["event_id"]})

    def refused(refusal: RejectedRequest) -> Response:
        metrics.refused(refusal.reason)
        log.warning("An event was refused: %s", refusal)
        answer = {"error": str(refusal)}
        return JSONResponse(answer, refusal.status, headers={"Connection": "close"})

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        try:
            backlog = await run_in_threadpool(inbox.backlog)
            processed = await run_in_threadpool(inbox.processed)
        except TransientError as error:
            return JSONResponse({"status": "not ready", "reason": str(error)}, 503)
        return JSONResponse({"status": "ready", "inbox": backlog, "settled": processed})

    async def exposition(_request: Request) -> Response:
        text = await run_in_threadpool(metrics.exposition)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/webhooks/{rest:path}", webhook, methods=["POST"]),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", exposition),
        ],
        lifespan=lifespan,
    )

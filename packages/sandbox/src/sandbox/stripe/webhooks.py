"""Delivering events: signed, retried with growing delays, and disturbed on request."""

import asyncio
import contextlib
import functools
import hmac
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import httpx
from pydantic import BaseModel, ConfigDict, Field

from sandbox.stripe import events
from sandbox.stripe.context import Sandbox
from sandbox.stripe.store import Doc, Space

HOUR = 3600

RETRY_DELAYS = {
    True: [300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, *[12 * HOUR] * 5],
    False: [60, HOUR, 3 * HOUR],
}
"""Livemode to seconds before each retry, in sandbox time: up to three days live, and three times
over a few hours in test mode, as https://docs.stripe.com/webhooks says."""

TIMEOUT = 10.0
"""Seconds an endpoint has to answer. Stripe does not publish its own."""

BATCH = 50


class Network(BaseModel):
    """What lies between Stripe and the endpoints.

    Off means attempts fail and are retried later, as when the network is down. With ``drop`` they
    are lost for ever. The other fields disturb deliveries that do get through.
    """

    model_config = ConfigDict(extra="forbid")

    enabled: bool = True
    drop: bool = False
    seed: int = 0
    loss: float = Field(0.0, ge=0, le=1, description="Share of attempts that fail.")
    duplicate: float = Field(0.0, ge=0, le=1, description="Share of deliveries made twice.")
    reorder: bool = False
    delay: float = Field(0.0, ge=0, description="Longest extra delay of a delivery, real seconds.")


class Courier:
    """Takes queued deliveries to their endpoints, for as long as the sandbox runs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._wake = asyncio.Event()
        self._rounds: dict[str, asyncio.Task[None]] = {}
        sandbox.clock.on_move(self.wake)
        self.configure(Network())

    def configure(self, network: Network) -> None:
        """Put a network in force."""
        self.network = network
        self._random = random.Random(network.seed)  # noqa: S311 - repeatable on purpose

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Deliver while the block runs."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            for running in (task, *self._rounds.values()):
                running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            while True:
                self._wake.clear()
                self._start_rounds(client)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()

    def _pause(self) -> float:
        """Return the seconds until the next retry is due."""
        row = self.sandbox.store.connection.execute(
            "SELECT min(f_next_attempt) FROM kind_delivery WHERE f_state = 'pending'"
        ).fetchone()
        return 60.0 if row[0] is None else max(0.05, min(60.0, row[0] - self.sandbox.clock.time()))

    def _start_rounds(self, client: httpx.AsyncClient) -> None:
        """Start a round for each endpoint that has something due and is not being served."""
        for livemode in (False, True):
            space = self.sandbox.store.space(livemode)
            for endpoint in self._waiting(livemode):
                if endpoint not in self._rounds:
                    task = asyncio.create_task(self._round(client, space, endpoint))
                    self._rounds[endpoint] = task
                    task.add_done_callback(functools.partial(self._round_over, endpoint))

    def _waiting(self, livemode: bool) -> list[str]:
        """Return the endpoints that have deliveries due."""
        rows = self.sandbox.store.connection.execute(
            "SELECT DISTINCT f_endpoint FROM kind_delivery"
            " WHERE livemode = ? AND f_state = 'pending' AND f_next_attempt <= ?",
            (livemode, self.sandbox.clock.time()),
        )
        return [row[0] for row in rows]

    def _round_over(self, endpoint: str, _: "asyncio.Task[None]") -> None:
        del self._rounds[endpoint]
        self.wake()

    async def _round(self, client: httpx.AsyncClient, space: Space, endpoint: str) -> None:
        """Attempt what is due for one endpoint, one after the other."""
        deliveries = due(self.sandbox, space, BATCH, endpoint=endpoint)
        if self.network.reorder:
            self._random.shuffle(deliveries)
        for delivery in deliveries:
            await self._deliver(client, space, delivery)

    async def _deliver(self, client: httpx.AsyncClient, space: Space, delivery: Doc) -> None:
        event = space.get(delivery["event_object"], delivery["event"])
        endpoint = space.get(delivery["endpoint_object"], delivery["endpoint"])
        if event is None or endpoint is None or endpoint["status"] != "enabled":
            self._finish(space, delivery, "canceled")
            return
        if self.network.drop and not self.network.enabled:
            self._finish(space, delivery, "lost")
            return
        await asyncio.sleep(self._random.uniform(0, self.network.delay))
        status, error = await self._attempt(client, event, endpoint)
        if status and self._random.random() < self.network.duplicate:
            await self._attempt(client, event, endpoint)
        self._record(space, delivery, status, error)

    async def _attempt(
        self, client: httpx.AsyncClient, event: Doc, endpoint: Doc
    ) -> tuple[int | None, str | None]:
        """Post an event once and return the status or what went wrong."""
        if not self.network.enabled or self._random.random() < self.network.loss:
            return None, "the sandbox's network is down"
        body = events.body_for(event, endpoint)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, endpoint["_"]["secret"]),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        url = endpoint.get("url") or endpoint["_"]["url"]
        try:
            answer = await client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"{type(error).__name__}: {error}"
        return answer.status_code, None

    def _record(self, space: Space, delivery: Doc, status: int | None, error: str | None) -> None:
        delivery["attempts"].append(
            {"time": self.sandbox.clock.time(), "status": status, "error": error}
        )
        if status is not None and 200 <= status < 300:
            self._finish(space, delivery, "delivered")
            return
        delays = RETRY_DELAYS[space.livemode]
        attempt = len(delivery["attempts"])
        if attempt > len(delays):
            self._finish(space, delivery, "failed")
            return
        delivery["next_attempt"] = self.sandbox.clock.time() + delays[attempt - 1]
        space.update("delivery", delivery)

    def _finish(self, space: Space, delivery: Doc, state: str) -> None:
        delivery |= {"state": state, "next_attempt": None}
        with self.sandbox.store.transaction():
            space.update("delivery", delivery)
            events.settled(self.sandbox.context(space.livemode), delivery["event"])


def due(sandbox: Sandbox, space: Space, limit: int, **filters: str) -> list[Doc]:
    """Return deliveries that are to be attempted now, oldest first."""
    now = {"next_attempt": {"lte": sandbox.clock.time()}}
    return space.find("delivery", {"state": "pending"} | filters, now, limit)


def signature(body: bytes, secret: str) -> str:
    """Sign a body as Stripe does (v1): HMAC-SHA256 over the time and the body.

    The time is the wall clock's, because receivers compare it with theirs.
    """
    timestamp = int(time.time())
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()
    return f"t={timestamp},v1={digest}"

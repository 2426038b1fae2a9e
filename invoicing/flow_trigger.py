"""Starting a handler: at once for news that come alone, a few times for a burst."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

from anyio.to_thread import run_sync
from opentelemetry.trace import SpanContext
from pydantic import SecretStr

from invoicing.connectors.prefect import RETRY_POLICY, Prefect
from invoicing.errors import TransientError
from invoicing.tracing import propagation

log = logging.getLogger("trigger")

Place = TypeVar("Place")

PAUSE_SECONDS = 1.0
"""After a run was started; twice as long each time that more news came in meanwhile."""

LONGEST_PAUSE_SECONDS = 8.0


class FlowTrigger(Generic[Place]):
    """Starts a flow when it is notified of news.

    Processes side by side start one run together: its idempotency key is the second of the
    day. Whoever finds that second's run started already cannot know whether it still saw the
    newest, and starts another after the pause.
    """

    def __init__(
        self,
        flow: str,
        key: str,
        api_url: str,
        auth: SecretStr | None,
        started: Callable[[Place], Awaitable[None]] | None = None,
    ) -> None:
        """Prepare the client of a Prefect server.

        Args:
            flow: The flow and its deployment.
            key: What the idempotency keys begin with.
            api_url: Prefect's REST API.
            auth: ``user:password``, if it has one.
            started: Told, after a run was started that sees them, the last place of the news.
        """
        at_once = RETRY_POLICY.new(total=0)  # it is notified again anyhow, and has to stop soon
        self._prefect = Prefect(api_url, auth, retry_policy=at_once)
        self._flow, self._key = flow, key
        self._started = started
        self._notified = asyncio.Event()
        self._place: Place | None = None
        self._causes: list[SpanContext] = []
        self._starting = False

    def notify(self, place: Place | None = None, causes: Sequence[SpanContext] = ()) -> None:
        """Say that there is something new.

        Args:
            place: Where it stands in its stream, if in any.
            causes: The spans in which it was heard of, if traces are on.
        """
        self._place = self._place if place is None else place
        self._causes = propagation.first_of([*self._causes, *causes])
        self._notified.set()

    @property
    def is_behind(self) -> bool:
        """Whether there are news that no run was started for yet."""
        return self._starting or self._notified.is_set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start runs while the block runs."""
        listening = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _listen(self) -> None:
        pause = PAUSE_SECONDS
        while True:
            await self._notified.wait()
            self._starting, place = True, self._place
            self._notified.clear()
            causes, self._causes = self._causes, []
            if not await self._start(causes):
                self._causes = propagation.first_of([*causes, *self._causes])
                self._notified.set()
            elif self._started and place is not None:
                await self._started(place)
            self._starting = False
            await asyncio.sleep(pause)
            again = self._notified.is_set()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS) if again else PAUSE_SECONDS

    async def _start(self, causes: Sequence[SpanContext]) -> bool:
        key = f"{self._key}-{int(time.time())}"
        try:
            with propagation.following(f"start {self._flow}", causes):
                return await run_sync(
                    self._prefect.start_unless_started,
                    *(self._flow, {}, key),
                    abandon_on_cancel=True,
                )
        except TransientError as error:
            log.warning("%s was not started: %s", self._flow, error)
            return False

"""Starting the handler: at once for an event that comes alone, a few times for a burst."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio.to_thread import run_sync
from pydantic import SecretStr

from invoicing.connectors.prefect import RETRY_POLICY, Prefect
from invoicing.errors import TransientError

log = logging.getLogger("receiver")

PAUSE_SECONDS = 1.0
"""After a run was started; twice as long each time that more events came in meanwhile."""

LONGEST_PAUSE_SECONDS = 8.0


class FlowTrigger:
    """Starts ``handle-events`` when it is notified of new events.

    Receivers side by side start one run together: its idempotency key is the second of the
    day. Whoever finds that second's run started already cannot know whether it still saw the
    newest event, and starts another after the pause.
    """

    def __init__(self, api_url: str, auth: SecretStr | None) -> None:
        """Prepare the client of a Prefect server."""
        retry_policy = RETRY_POLICY.new(
            total=0
        )  # it is notified again anyhow, and has to stop at once
        self._prefect = Prefect(api_url, auth, retry_policy=retry_policy)
        self._notified = asyncio.Event()

    def notify(self) -> None:
        """Say that there is something new in the inbox."""
        self._notified.set()

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
            self._notified.clear()
            if not await self._start():
                self._notified.set()
            await asyncio.sleep(pause)
            again = self._notified.is_set()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS) if again else PAUSE_SECONDS

    async def _start(self) -> bool:
        key = f"inbox-{int(time.time())}"
        try:
            return await run_sync(
                self._prefect.start_unless_started,
                *("handle-events", {}, key),
                abandon_on_cancel=True,
            )
        except TransientError as error:
            log.warning("The handler was not started: %s", error)
            return False

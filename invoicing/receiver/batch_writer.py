"""Writing events down, many in one transaction.

While transactions are under way, the next events gather; each is acknowledged after the
commit of its own. An event that comes alone does not wait for others.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from opentelemetry.trace import SpanContext
from starlette.concurrency import run_in_threadpool

from invoicing.errors import TransientError
from invoicing.ledger import inbox
from invoicing.tracing import propagation

log = logging.getLogger("receiver")

BATCH_SIZE = 200
"""The most events in one transaction."""

PATIENCE_SECONDS = 20.0
"""How long a request waits for its commit; a repeated event is written once anyhow."""


class PendingEvent(NamedTuple):
    """An event that is to be written, who waits for that, and the span of its request, if any."""

    event: inbox.NewEvent
    done: "asyncio.Future[None]"
    heard_in: list[SpanContext]


Written = Callable[[int, int, list[SpanContext]], None]


class BatchWriter:
    """Takes events and returns once they are in the inbox."""

    def __init__(self, written: Written, writers: int) -> None:
        """Prepare the queue.

        Args:
            written: Called after each commit with how many events it held, how many of them
                were new, and the spans of their requests.
            writers: Transactions under way at once.
        """
        self._written = written
        self._writers = writers
        self._queue: asyncio.Queue[PendingEvent] = asyncio.Queue()

    async def write(self, event: inbox.NewEvent) -> None:
        """Write an event down; it is durable when this returns.

        Raises:
            TransientError: it is not, because the ledger is away or busy for too long.
        """
        done = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(PendingEvent(event, done, propagation.here()))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await done
        except TimeoutError:
            raise TransientError(f"The ledger did not answer for {PATIENCE_SECONDS:g} s") from None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write while the block runs."""
        writers = [asyncio.create_task(self._work()) for _ in range(self._writers)]
        try:
            yield
        finally:
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_SIZE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write(batch)
            except Exception:  # without this task, nothing would be written any more
                log.exception("After a batch was written")

    async def _write(self, batch: Sequence[PendingEvent]) -> None:
        try:
            new = await run_in_threadpool(inbox.receive, [each.event for each in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, TransientError):
                for promise in batch:  # one that cannot be written keeps no other from it
                    await self._write([promise])
                return
            log.error("%s events were not written down: %s", len(batch), error)
            for each in batch:
                if not each.done.done():
                    each.done.set_exception(TransientError(str(error)))
            return
        for each in batch:
            if not each.done.done():
                each.done.set_result(None)
        self._written(len(batch), new, [span for each in batch for span in each.heard_in])

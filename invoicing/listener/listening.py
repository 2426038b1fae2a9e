"""Hear of requests in Salesforce, and have them taken up.

An event is only the news that there is something to read: ``watch-salesforce`` reads the requests
themselves. How far the stream was read is remembered once a run was started that sees what came, so
that a listener that dies in between hears of it again.
"""

import asyncio
import logging
import random
from typing import NoReturn

from anyio.to_thread import run_sync

from invoicing.connectors.salesforce import Salesforce
from invoicing.connectors.salesforce.pubsub import Change, connected
from invoicing.errors import EventsMissed, InvoicingError, Misconfigured
from invoicing.flow_trigger import FlowTrigger
from invoicing.ledger import stream_positions
from invoicing.settings import Settings
from invoicing.tracing import propagation

log = logging.getLogger("listener")

FIRST_PAUSE_SECONDS = 1.0
"""Before a broken connection is made again; twice as long each time that it comes to nothing."""

LONGEST_PAUSE_SECONDS = 60.0


class Listener:
    """Listens to the requests of the org of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Prepare what starts the handler."""
        self._settings = settings
        self._topic = settings.salesforce.request_channel
        self._name = settings.salesforce.request_stream
        self._pause = FIRST_PAUSE_SECONDS
        api = (settings.prefect_api_url, settings.prefect_api_auth)
        self._trigger = FlowTrigger[bytes]("watch-salesforce", "listener", *api, self._keep)

    async def run(self) -> NoReturn:
        """Listen for ever; whatever breaks the connection, it is made again.

        Raises:
            Misconfigured: the settings or the ledger are not as they must be.
        """
        async with self._trigger.running():
            while True:
                try:
                    await self._listen()
                except Misconfigured:
                    raise
                except EventsMissed as error:
                    log.warning("%s What was missed is read now.", error)
                    await self._keep(None)
                except InvoicingError as error:
                    log.warning("%s It is tried again in %.0f s.", error, self._pause)
                await asyncio.sleep(self._pause * random.uniform(0.5, 1))  # noqa: S311
                self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    async def _listen(self) -> None:
        session = await run_sync(lambda: Salesforce(self._settings.salesforce).session())
        place = await run_sync(stream_positions.place, self._name)
        if place is None:
            self._trigger.notify()  # nobody can tell what was asked for meanwhile
        async with connected(self._settings.salesforce.pubsub_url, session) as bus:
            async for batch in bus.listen(self._topic, place):
                self._pause = FIRST_PAUSE_SECONDS
                if any(is_news(change, session.user_id) for change in batch.changes):
                    with propagation.TRACER.start_as_current_span("hear of requests"):
                        self._trigger.notify(batch.replay_id, propagation.here())
                elif not self._trigger.is_behind:
                    await self._keep(batch.replay_id)

    async def _keep(self, replay_id: bytes | None) -> None:
        """Remember how far the stream was read; if that fails, more is heard of twice."""
        try:
            await run_sync(stream_positions.move, self._name, replay_id)
        except InvoicingError as error:
            log.warning("How far it has listened was not written down: %s", error)


def is_news(change: Change, our_user: str) -> bool:
    """Whether a change may ask for something: not our own answers, nor what is deleted.

    What is created asks, whoever creates it: a program may do so as our user.
    """
    if change.kind in {"UPDATE", "GAP_UPDATE"}:
        return change.user != our_user
    return change.kind not in {"DELETE", "GAP_DELETE"}

"""The listener as a process that may die, until it has heard all that was asked for.

Nothing here imports gRPC before the process is its own: no fork should have it.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import requests

from tests.faults import process_patches
from tests.faults.forked_process import Tell
from tests.faults.process_patches import Moment, Points

LISTENER = "listener"
"""Its name beside those of the flows."""

WATCH = "watch-salesforce"
"""The flow that it starts."""

KEEPALIVE_SECONDS = 0.2
"""How often the event bus says that there is nothing new."""

FASTER = 10
"""How many of the seconds that keep runs apart are in one."""


def listen(moment: Moment, may_end: int, points: Points, tell: Tell) -> None:
    """Listen as the product does, to the end: all is heard, and nothing waits to be started.

    Args:
        moment: When and in which world.
        may_end: What can be read once nobody asks for anything any more.
        points: Where it dies or stops.
        tell: Told how it ended.
    """
    from invoicing import flow_trigger
    from invoicing.listener import listening

    logging.disable(logging.CRITICAL)
    process_patches.enter(moment)
    process_patches.be_a_new_process()
    for module in (flow_trigger, listening):
        for name in ("PAUSE_SECONDS", "FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS"):
            if hasattr(module, name):
                setattr(module, name, 0.05)
    clock = SimpleNamespace(time=lambda: process_patches.now().timestamp() * FASTER)
    setattr(flow_trigger, "time", clock)  # noqa: B010
    points.install()
    tell("run", None)
    asyncio.run(_until_all_is_heard(may_end, points))
    tell("how", "completed")
    tell("message", "has heard all")
    tell("points", tuple(points.labels))
    tell("without_ledger", points.refused)
    tell("without_prefect", points.unheard)


async def _until_all_is_heard(may_end: int, points: Points) -> None:
    from invoicing.connectors.salesforce.pubsub import Batch, PubSub
    from invoicing.listener.listening import Listener
    from invoicing.settings import settings

    loop, nobody_asks, all_heard = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def may_end_now() -> None:
        os.read(may_end, 1)
        nobody_asks.set()

    async def watched(
        read: Any, bus: PubSub, topic: str, place: bytes | None
    ) -> AsyncIterator[Batch]:
        async for batch in read(bus, topic, place):
            nothing_new = nobody_asks.is_set() and not batch.changes
            if batch.changes:
                points.pass_("heard of changes")
            yield batch
            if nothing_new:
                all_heard.set()

    read = PubSub.listen
    setattr(PubSub, "listen", lambda *given: watched(read, *given))  # noqa: B010
    loop.add_reader(may_end, may_end_now)
    listener = Listener(settings())
    listening = asyncio.create_task(listener.run())
    ending = asyncio.create_task(_at_rest(listener, all_heard))
    await asyncio.wait([listening, ending], return_when=asyncio.FIRST_COMPLETED)
    for task in (ending, listening):
        task.cancel()
    [_, ended] = await asyncio.gather(ending, listening, return_exceptions=True)
    if not isinstance(ended, asyncio.CancelledError):
        raise ended


async def _at_rest(listener: Any, all_heard: asyncio.Event) -> None:
    await all_heard.wait()
    while listener._trigger.is_behind:
        await asyncio.sleep(0.01)


def waiting_runs(api: str, moment: Moment) -> list[dict[str, Any]]:
    """The runs that somebody of a world has started, and that no worker has taken."""
    scheduled = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    return _runs(api, moment.life, scheduled)


def started_runs(api: str, life: str) -> list[dict[str, Any]]:
    """The runs of deployments that somebody of a world has started, taken or not."""
    lately = (datetime.now(UTC) - LONGEST_LIFE).isoformat()
    return _runs(
        api, life, {"deployment_id": {"is_null_": False}, "expected_start_time": {"after_": lately}}
    )


LONGEST_LIFE = timedelta(hours=1)
"""For how long a schedule is played at most, by the server's own clock."""

PAGE_SIZE = 200


def _runs(api: str, life: str, which: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs that were started in a world, newest first, with the names of their flows."""
    ask = partial(requests.post, timeout=60)
    query = {"flow_runs": which, "sort": "START_TIME_DESC", "limit": PAGE_SIZE}
    found: dict[str, dict[str, Any]] = {}
    for offset in count(0, PAGE_SIZE):
        page = ask(f"{api}/flow_runs/filter", json=query | {"offset": offset}).json()
        found |= {run["id"]: run for run in page}
        if len(page) < PAGE_SIZE:
            break
    mine = [run for run in found.values() if run["labels"].get(process_patches.WORLD) == life]
    ids = {"id": {"any_": [run["flow_id"] for run in mine]}}
    flows = ask(f"{api}/flows/filter", json={"flows": ids}).json() if mine else ()
    names = {flow["id"]: flow["name"] for flow in flows}
    return [run | {"flow": names[run["flow_id"]]} for run in mine]

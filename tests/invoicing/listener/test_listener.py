"""A request in Salesforce is heard of at once, and none is lost, whatever breaks."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.local.stack import SALESFORCE_PACKAGE
from deployments.local.waiting import eventually
from invoicing import flow_trigger
from invoicing.connectors.salesforce import Salesforce, Session
from invoicing.connectors.salesforce import pubsub_messages as messages
from invoicing.connectors.salesforce.pubsub import UNREADABLE, Change, PubSub
from invoicing.domain.salesforce.request_record import REQUEST
from invoicing.errors import TransientError
from invoicing.flow_trigger import FlowTrigger
from invoicing.ledger import stream_positions
from invoicing.listener import listening
from invoicing.listener.listening import Listener, is_news
from invoicing.settings import settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import ORGANIZATION_ID, open_org
from tests.conftest import ROOT, Sandbox
from tests.invoicing.receiver.conftest import PrefectServer

NAME = f"{ORGANIZATION_ID}:/data/Invoice_Requests__chn"
WAIT = 60.0


class Requesters:
    """Those who press buttons, and the org's event bus."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Log in."""
        self.sandbox = sandbox
        self._client = Salesforce(settings().salesforce)

    def ask(self) -> str:
        """Make a request; its id."""
        path = f"sobjects/{REQUEST}"
        node = {"method": "POST", "path": path, "referenceId": "asked"}
        made = self._client.write_graph([node | {"body": {"Action__c": "Sync"}}])
        return str(made["asked"]["id"])

    def answer(self, request_id: str) -> None:
        """Change a request, as the runs of ours do."""
        self._client.update(REQUEST, request_id, {"State__c": "Done"})

    def break_streams(self) -> None:
        """End every subscription."""
        self.sandbox.admin("DELETE", "pubsub")

    def are_heard(self, subscribers: int = 1) -> None:
        """Wait until somebody listens, or nobody does."""
        eventually(lambda: self.sandbox.admin("GET", "pubsub")["subscribers"] == subscribers, WAIT)


@pytest.fixture(scope="module")
def salesforce() -> Iterator[Sandbox]:
    """An org with an event bus."""

    def make(url: str) -> Any:
        return application(open_org(SALESFORCE_PACKAGE), url, pubsub_port=0)

    with running(make) as url:
        yield Sandbox(url)


@pytest.fixture
def prefect(
    ledger_url: str, salesforce: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrefectServer]:
    """A Prefect API and an org that the settings point at; nobody waits for long."""
    salesforce.admin("POST", "reset", seed="empty")
    salesforce.admin("POST", "pubsub", keepalive=270)
    server = PrefectServer("watch-salesforce")
    port = salesforce.admin("GET", "pubsub")["port"]
    monkeypatch.setattr(flow_trigger, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(listening, "FIRST_PAUSE_SECONDS", 0.05)
    with running(lambda _url: server.app()) as url:
        for name, value in {
            "PREFECT_API_URL": f"{url}/api",
            "INVOICING_SALESFORCE__URL": salesforce.url,
            "INVOICING_SALESFORCE__ORG_ID": ORGANIZATION_ID,
            "INVOICING_SALESFORCE__CONSUMER_KEY": CONSUMER_KEY,
            "INVOICING_SALESFORCE__CONSUMER_SECRET": CONSUMER_SECRET,
            "INVOICING_SALESFORCE__PUBSUB_URL": f"http://127.0.0.1:{port}",
        }.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield server


@pytest.fixture
def people(prefect: PrefectServer, salesforce: Sandbox) -> Requesters:
    """Those who press buttons."""
    return Requesters(salesforce)


@contextmanager
def listener() -> Iterator[None]:
    """Listen, in a thread, as long as the block lasts."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(Listener(settings()).run())

    def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


@contextmanager
def heard(people: Requesters, prefect: PrefectServer) -> Iterator[Callable[[], None]]:
    """Listen, quietly; yields what waits until one more run was started."""
    with listener():
        people.are_heard()
        eventually(lambda: prefect.keys or stream_positions.place(NAME), WAIT)
        known = [len(prefect.keys)]

        def more() -> None:
            eventually(lambda: len(prefect.keys) > known[0], WAIT)
            known[0] = len(prefect.keys)

        yield more
    people.are_heard(0)


def test_a_request_is_heard_of(people: Requesters, prefect: PrefectServer) -> None:
    """A run is started, and how far it was heard is remembered."""
    with heard(people, prefect) as more:
        people.ask()
        more()
        first = eventually(lambda: stream_positions.place(NAME), WAIT)
        people.ask()
        more()
        eventually(lambda: stream_positions.place(NAME) != first, WAIT)
    assert all(key.startswith("listener-") for key in prefect.keys)


def test_a_burst_is_a_few_runs(people: Requesters, prefect: PrefectServer) -> None:
    """Thirty requests are not thirty runs: each run takes up all that wait."""
    with heard(people, prefect) as more:
        for _ in range(30):
            people.ask()
        more()
    assert len(prefect.keys) < 15


def test_it_does_not_listen_to_itself(people: Requesters, prefect: PrefectServer) -> None:
    """Our own answers come back as events, are read past, and start nothing."""
    with heard(people, prefect) as more:
        request = people.ask()
        more()
        before = eventually(lambda: stream_positions.place(NAME), WAIT)
        started = len(prefect.keys)
        people.answer(request)
        eventually(lambda: stream_positions.place(NAME) != before, WAIT)
        assert len(prefect.keys) == started


def test_stopped_at_the_moment_an_event_comes() -> None:
    """Whoever stops it then is heard: before Python 3.12 ``asyncio.wait_for`` loses that.

    Source: https://github.com/python/cpython/issues/86296.
    """

    class Call:
        def __init__(self) -> None:
            self.events = [asyncio.get_running_loop().create_future() for _ in range(2)]
            self.reads = iter(self.events)

        async def write(self, _request: Any) -> None:
            pass

        def read(self) -> Any:
            return next(self.reads)

    async def stop() -> None:
        call = Call()
        channel: Any = SimpleNamespace(
            stream_stream=lambda *_, **__: lambda **_: call, unary_unary=lambda *_, **__: None
        )
        bus = PubSub(channel, Session("token", "", "", ""))

        async def listen() -> None:
            async for _batch in bus.listen(REQUEST, None):
                pass

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.events[0].set_result(messages.FetchResponse())
        listening.cancel()
        await asyncio.wait([listening], timeout=WAIT)
        assert listening.cancelled()

    asyncio.run(stop())


@pytest.mark.parametrize(
    ("change", "news"),
    [
        (Change("CREATE", "us"), True),
        (Change("UNDELETE", "us"), True),
        (Change("UPDATE", "us"), False),
        (Change("UPDATE", "somebody"), True),
        (Change("GAP_UPDATE", "us"), False),
        (Change("GAP_CREATE", ""), True),
        (Change("GAP_OVERFLOW", ""), True),
        (Change("DELETE", "somebody"), False),
        (Change(UNREADABLE, ""), True),
    ],
    ids=str,
)
def test_what_is_news(change: Change, news: bool) -> None:
    """Whatever may ask for something; also where Salesforce says only that there was a change."""
    assert is_news(change, "us") is news


def test_what_was_asked_for_while_nobody_listened(
    people: Requesters, prefect: PrefectServer
) -> None:
    """The listener goes on where it had stopped."""
    with heard(people, prefect) as more:
        people.ask()
        more()
        eventually(lambda: stream_positions.place(NAME), WAIT)
    started = len(prefect.keys)
    people.ask()
    with listener():
        eventually(lambda: len(prefect.keys) > started, WAIT)
    people.are_heard(0)


def test_a_broken_connection_is_made_again(people: Requesters, prefect: PrefectServer) -> None:
    """And what was asked for meanwhile is heard of."""
    with heard(people, prefect) as more:
        for _ in range(2):
            people.break_streams()
            people.ask()
            more()


def test_nothing_is_remembered_before_a_run_was_started(
    people: Requesters, prefect: PrefectServer
) -> None:
    """Prefect is away, and the listener dies; signs of life since then are no reason to go on."""
    with heard(people, prefect) as more:
        people.ask()
        more()
        place = eventually(lambda: stream_positions.place(NAME), WAIT)
    prefect.busy = 1_000_000
    asked, started = prefect.asked, len(prefect.keys)
    people.sandbox.admin("POST", "pubsub", keepalive=0.05)
    people.ask()
    with listener():
        eventually(lambda: prefect.asked > asked + 3, WAIT)
    assert stream_positions.place(NAME) == place
    people.are_heard(0)
    prefect.busy = 0
    with listener():
        eventually(lambda: len(prefect.keys) > started, WAIT)
        eventually(lambda: stream_positions.place(NAME) != place, WAIT)


def test_a_place_that_cannot_be_written_down(
    people: Requesters, prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is away for a moment: what comes is heard of all the same."""

    def away(*_: object) -> None:
        raise TransientError("the ledger is away")

    with heard(people, prefect) as more, monkeypatch.context() as patch:
        patch.setattr(stream_positions, "move", away)
        for _ in range(2):
            people.ask()
            more()


def test_what_comes_while_a_run_is_started_is_the_next_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run may have read the records before: until the next one is started, it is not kept."""
    behind: list[bool] = []
    kept: list[bytes] = []

    async def keep(place: bytes) -> None:
        kept.append(place)

    async def start(trigger: FlowTrigger[bytes], _causes: object) -> bool:
        behind.append(trigger.is_behind)
        if not kept:
            trigger.notify(b"second")
        return True

    async def listen() -> None:
        trigger = FlowTrigger[bytes]("watch-salesforce", "listener", "http://none", None, keep)
        async with trigger.running():
            trigger.notify(b"first")
            while len(kept) < 2:
                await asyncio.sleep(0)

    monkeypatch.setattr(flow_trigger, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(FlowTrigger, "_start", start)
    asyncio.run(asyncio.wait_for(listen(), WAIT))
    assert kept == [b"first", b"second"]
    assert behind == [True, True]


@pytest.mark.parametrize(
    "place", [b"strange", (5).to_bytes(8) + bytes(8)], ids=["another org", "long ago"]
)
def test_a_place_that_salesforce_knows_no_longer(
    people: Requesters, prefect: PrefectServer, place: bytes
) -> None:
    """After 72 hours the records themselves are read, and listening goes on."""
    for _ in range(5):
        people.ask()
    stream_positions.move(NAME, place)
    with heard(people, prefect) as more:
        eventually(lambda: prefect.keys, WAIT)
        people.ask()
        more()


def test_a_quiet_day_moves_the_place_too(people: Requesters, prefect: PrefectServer) -> None:
    """Without that, the place would be three days old before the first request."""
    with heard(people, prefect) as more:
        people.ask()
        more()
        place = eventually(lambda: stream_positions.place(NAME), WAIT)
    people.sandbox.admin("POST", "pubsub", keepalive=0.05)
    with listener():
        eventually(lambda: stream_positions.place(NAME) != place, WAIT)


def test_an_org_without_the_package(
    people: Requesters,
    prefect: PrefectServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says what to do, again and again."""
    monkeypatch.setenv("INVOICING_SALESFORCE__REQUEST_CHANNEL", "/data/Other__chn")
    settings.cache_clear()
    with caplog.at_level(logging.WARNING), listener():
        eventually(
            lambda: caplog.text.count("Salesforce has no channel /data/Other__chn") > 1, WAIT
        )
    assert "assign Invoice Integration" in caplog.text


def test_killed_and_started_again(people: Requesters, prefect: PrefectServer) -> None:
    """As a process, by the signal that nobody can catch, in the middle of its work."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "invoicing.listener"], cwd=ROOT)

    process = start()
    people.are_heard()
    people.ask()
    eventually(lambda: prefect.keys, WAIT)
    process.send_signal(signal.SIGKILL)
    process.wait()
    people.are_heard(0)
    started = len(prefect.keys)
    people.ask()
    process = start()
    eventually(lambda: len(prefect.keys) > started, WAIT)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


def test_a_ledger_of_another_revision_is_refused(prefect: PrefectServer) -> None:
    """The sentence says how to migrate it."""
    environment = os.environ | {"INVOICING_LEDGER__URL": "sqlite://"}
    command = [sys.executable, "-m", "invoicing.listener"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert ended.returncode == 1
    assert b"The listener cannot listen. The ledger is at revision None" in ended.stderr

"""The webhook endpoint, spoken to as Stripe speaks to it."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import make_url

from invoicing import flow_trigger
from invoicing.errors import TransientError
from invoicing.flow_trigger import FlowTrigger
from invoicing.ledger import database, inbox, staging, sync_history
from invoicing.receiver import batch_writer
from tests.invoicing.receiver.conftest import (
    SNAPSHOT,
    THIN,
    PrefectServer,
    deliver,
    event,
    serving,
    wait_until,
)


@pytest.mark.parametrize("body", [SNAPSHOT, THIN], ids=["snapshot", "thin"])
def test_an_event_is_written_down_and_the_handler_started(
    receiver: str, prefect: PrefectServer, body: dict[str, Any]
) -> None:
    """Both of Stripe's shapes; twice delivered is once written."""
    for _ in range(2):
        answer = deliver(receiver, body)
        assert (answer.status_code, answer.json()) == (200, {"received": body["id"]})
    assert inbox.backlog() == {"received": 1}
    [written] = inbox.claim("test", account_id="acct_1", limit=10)
    assert (written.invoice_id, written.source) == ("in_1", "webhook")
    wait_until(lambda: prefect.keys)


def test_what_is_delivered_again_starts_nothing(
    prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe repeats what it had no answer to; a run was started for it."""
    started: list[object] = []
    monkeypatch.setattr(FlowTrigger, "notify", lambda _self, **heard: started.append(heard))
    with serving() as receiver:
        for _ in range(3):
            deliver(receiver, SNAPSHOT)
    assert len(started) == 1


def test_what_nobody_handles_is_kept_all_the_same(receiver: str) -> None:
    """A type of tomorrow, about an object without an id, is Stripe's to send and ours to keep."""
    news = {"type": "balance.exploded", "data": {"object": {"object": "balance"}}}
    assert deliver(receiver, SNAPSHOT | news).status_code == 200
    assert inbox.backlog() == {"received": 1}


def test_a_burst_starts_few_runs(receiver: str, prefect: PrefectServer) -> None:
    """Hundreds of events at once: all written, the handler started a handful of times."""
    with ThreadPoolExecutor(16) as stripe:
        answers = list(stripe.map(lambda number: deliver(receiver, event(number)), range(300)))
    assert {answer.status_code for answer in answers} == {200}
    assert inbox.backlog() == {"received": 300}
    wait_until(lambda: prefect.keys)
    assert len(prefect.keys) < 10


def test_a_busy_prefect_is_asked_again(
    prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 costs a moment, not an event."""
    monkeypatch.setattr(flow_trigger, "PAUSE_SECONDS", 0.05)
    prefect.busy = 2
    with serving() as receiver:
        deliver(receiver, SNAPSHOT)
        wait_until(lambda: prefect.keys)


def test_a_run_that_another_receiver_started_may_have_missed_the_event(
    prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So one more is started after it."""
    monkeypatch.setattr(flow_trigger, "PAUSE_SECONDS", 0.2)
    now = int(time.time())
    prefect.keys = [f"inbox-{now}", f"inbox-{now + 1}"]
    with serving() as receiver:
        deliver(receiver, SNAPSHOT)
        wait_until(lambda: len(prefect.keys) == 3)


def test_a_ledger_that_is_away_makes_stripe_try_again(receiver: str, ledger_url: str) -> None:
    """503 and not 200: the event is Stripe's to repeat."""
    deliver(receiver, SNAPSHOT)
    with away(ledger_url):
        assert deliver(receiver, THIN).status_code == 503
        assert requests.get(f"{receiver}/ready", timeout=60).status_code == 503
        assert requests.get(f"{receiver}/health", timeout=60).status_code == 200
        assert requests.get(f"{receiver}/metrics", timeout=60).status_code == 200
    assert deliver(receiver, THIN).status_code == 200
    assert requests.get(f"{receiver}/ready", timeout=60).json()["inbox"] == {"received": 2}


def test_a_ledger_that_takes_too_long_makes_stripe_try_again(
    receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether the event will be written; both deliveries together are one event."""
    receive, goes_on = inbox.receive, threading.Event()

    def stuck(events: Sequence[inbox.NewEvent]) -> int:
        goes_on.wait()
        return receive(events)

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "receive", stuck)
        patch.setattr(batch_writer, "PATIENCE_SECONDS", 0.1)
        try:
            assert deliver(receiver, SNAPSHOT).status_code == 503
        finally:
            goes_on.set()
    assert deliver(receiver, SNAPSHOT).status_code == 200
    assert inbox.backlog() == {"received": 1}


def test_a_ledger_that_is_away_is_asked_once_for_all_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each by itself would wait for it again, for longer than Stripe does."""
    asked: list[int] = []

    def gone(events: Sequence[inbox.NewEvent]) -> int:
        asked.append(len(events))
        raise TransientError("The ledger is away.")

    async def deliver_many() -> list[object]:
        writer = batch_writer.BatchWriter(lambda *_: None, 1)
        async with writer.running():
            writing = (writer.write({"event_id": number}) for number in range(5))
            return await asyncio.gather(*writing, return_exceptions=True)

    monkeypatch.setattr(inbox, "receive", gone)
    answers = asyncio.run(deliver_many())
    assert [type(answer) for answer in answers] == [TransientError] * 5
    assert asked == [5]


@contextmanager
def away(ledger_url: str) -> Iterator[None]:
    """A database that is shut (PostgreSQL), or that is not the ledger (SQLite)."""
    if ledger_url.startswith("sqlite"):
        with database.engine().begin() as connection:
            connection.exec_driver_sql("ALTER TABLE event RENAME TO event_away")
        yield
        with database.engine().begin() as connection:
            connection.exec_driver_sql("ALTER TABLE event_away RENAME TO event")
        return
    name = make_url(ledger_url).database
    server = ledger_url.replace(f"/{name}?", "/postgres?")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute(others, [name])
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def test_an_event_that_cannot_be_written_keeps_no_other_from_it(receiver: str) -> None:
    """PostgreSQL takes no NUL in a text; the events of the same transaction are written."""
    bodies = [event(number) for number in range(40)]
    bodies[20]["type"] = "invoice.\x00"
    with ThreadPoolExecutor(40) as stripe:
        statuses = [a.status_code for a in stripe.map(lambda body: deliver(receiver, body), bodies)]
    assert statuses.count(200) >= 39
    assert sum(inbox.backlog().values()) == statuses.count(200)


def test_the_metrics_tell_what_came_in_and_what_waits(receiver: str) -> None:
    """Received, refused by reason, backlog by state, age of the oldest, and how long it took."""
    for number in (1, 2, 2):
        deliver(receiver, event(number))
    deliver(receiver, SNAPSHOT, "whsec_other")
    deliver(receiver, SNAPSHOT, path="/webhooks/stripe/unknown")
    staging.begin("last night", dry_run=False)
    sync_history.record_totals("last night", in_stripe=41, in_salesforce=40)
    staging.finish("last night")
    staging.begin("this night", dry_run=False)
    [handled] = inbox.claim("handler", account_id="acct_1", limit=1)
    inbox.finish([handled.id or 0], "handler")
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(
            requests.get(f"{receiver}/metrics", timeout=60).text
        )
        for sample in family.samples
    }
    assert told["invoicing_events_received_total", "new"] == 2
    assert told["invoicing_events_received_total", "known"] == 1
    assert told["invoicing_events_refused_total", "signature"] == 1
    assert told["invoicing_events_refused_total", "path"] == 1
    assert told["invoicing_event_receive_seconds_count",] == 5
    assert told["invoicing_inbox_events", "received"] == 1
    assert told["invoicing_event_settle_seconds_count",] == 1
    assert told["invoicing_event_settle_seconds_bucket", "60"] == 1
    assert time.time() - told["invoicing_full_sync_finished_timestamp_seconds",] < 60
    assert told["invoicing_full_sync_invoices", "compared"] == 41
    assert told["invoicing_full_sync_invoices", "differed"] == 0
    assert 0 < told["invoicing_inbox_oldest_seconds",] < 60

"""Whoever runs an installation is told what went wrong, where they asked to be told."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Crashed, Failed, Running, Scheduled, Suspended

from invoicing.domain.stripe.event_parsing import EventSummary
from invoicing.ledger import inbox
from invoicing.settings import settings
from tasks.events.dead_letter_report import publish_dead_letters, publish_new_dead_letters
from tasks.installation import alert_automations, automation_sync
from tasks.installation.deployed_flows import flows
from tests.prefect_server import QUIET, prefect_server
from tests.prefect_worker import eventually

pytestmark = pytest.mark.long

SERVICES = ("EVENT_PERSISTER", "TRIGGERS")
AT_WORK = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "true" for name in SERVICES}
SOON = {"PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT0.5S"}


class Posted(list[str]):
    """The texts that were posted to an address of Slack's kind."""

    url: str


@pytest.fixture
def posted() -> Iterator[Posted]:
    """An address that takes messages."""
    texts = Posted()

    class Channel(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            texts.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Channel) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        texts.url = f"http://127.0.0.1:{server.server_port}/services/T0/B0/secret"
        yield texts
        server.shutdown()


@pytest.fixture
def client(
    tmp_path: Path, posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SyncPrefectClient]:
    """A Prefect server that has been told where messages go, by a release."""
    monkeypatch.setenv("INVOICING_NOTIFICATIONS_URL", posted.url)
    monkeypatch.setenv("INVOICING_NOTIFICATIONS_LATE_SECONDS", "10")
    monkeypatch.setenv("INVOICING_NOTIFICATIONS_SILENT_SECONDS", "10")
    monkeypatch.setenv("INVOICING_NOTIFICATIONS_IDLE_SECONDS", "10")
    monkeypatch.setenv("INVOICING_NOTIFICATIONS_CRASHES", "2")
    with (
        prefect_server(tmp_path, QUIET | AT_WORK | SOON) as url,
        temporary_settings({PREFECT_API_URL: url}),
        get_client(sync_client=True) as client,
    ):
        settings.cache_clear()
        assert alert_automations.keep_address(client) == "created"
        automation_sync.apply(alert_automations.all_automations(client))
        yield client


def run_of(client: SyncPrefectClient, name: str) -> UUID:
    """A run of a deployment, which says in its name what came of it."""

    @flow(name=name)
    def ours() -> None:
        """Nothing."""

    cast(RunnerDeployment, ours.to_deployment(name=name)).apply()
    deployment = client.read_deployment_by_name(f"{name}/{name}")
    return client.create_flow_run_from_deployment(deployment.id, name=f"{name} of INV-0007").id


def heard_of(client: SyncPrefectClient, run: UUID, event: str) -> bool:
    """Whether the server has taken in an event of a run."""
    of_run = {"resource": {"id": [f"prefect.flow-run.{run}"]}, "event": {"name": [event]}}
    answer = client.request("POST", "/events/filter", json={"filter": of_run})
    return bool(answer.json()["events"])


def test_failures_and_questions_are_told(client: SyncPrefectClient, posted: Posted) -> None:
    """A sending that failed, a machine that failed, an approval; and nothing that went well."""
    ended: dict[str, State[Any]] = {
        "send-invoice": Failed(),
        "poll-events": Failed(),
        "bulk-raise": Suspended(),
        "sync-invoice": Failed(),
        "void-invoice": Crashed(),
        "resend-invoice": Completed(),
    }
    for name, state in ended.items():
        run = run_of(client, name)
        client.set_flow_run_state(run, Running(), force=True)
        client.set_flow_run_state(run, state, force=True)
    expected = {
        "an invoice was not sent\nsend-invoice of INV-0007",
        "something failed that runs by itself\npoll-events of INV-0007",
        "somebody has to decide\nbulk-raise of INV-0007",
        "no full sync came to its end\nLook at its schedule, at the worker and at `make doctor`.",
    }

    def said() -> set[str]:
        return {text.rpartition("\nhttp")[0] or text for text in posted}

    assert eventually(lambda: said() >= expected)
    assert said() == expected
    assert all("/runs/flow-run/" in text for text in posted if "INV-0007" in text)


def test_a_night_that_does_not_end_is_told(client: SyncPrefectClient, posted: Posted) -> None:
    """A full sync that began, and of which nothing is heard."""
    client.set_flow_run_state(run_of(client, "full-sync"), Running(), force=True)
    late = "the full sync is late\nfull-sync of INV-0007"
    assert eventually(lambda: any(text.startswith(late) for text in posted))


def test_a_worker_that_is_away_is_told(client: SyncPrefectClient, posted: Posted) -> None:
    """Runs are due, nobody begins one: once for all of them."""
    for name in ("send-invoice", "handle-events"):
        client.set_flow_run_state(run_of(client, name), Scheduled(name="Late"), force=True)
    assert eventually(lambda: any(text.startswith("no run begins\n") for text in posted))
    assert sum(text.startswith("no run begins\n") for text in posted) == 1


def test_runs_that_crash_are_told(client: SyncPrefectClient, posted: Posted) -> None:
    """One crash is taken up again without a word; more are the machine's."""
    for name in ("send-invoice", "raise-invoice"):
        assert not any(text.startswith("runs crash") for text in posted)
        run = run_of(client, name)
        client.set_flow_run_state(run, Crashed(), force=True)
        # Two that happen at once are counted in either order.
        assert eventually(partial(heard_of, client, run, "prefect.flow-run.Crashed"))
    told = "runs crash again and again\nraise-invoice of INV-0007"
    assert eventually(lambda: any(text.startswith(told) for text in posted))


def test_dead_letters_are_told(
    environment: None, client: SyncPrefectClient, posted: Posted
) -> None:
    """Once for those of an hour, and not when they were closed."""
    for number in (1, 2):
        account = settings().stripe.account_id
        about = EventSummary(f"evt_{number}", "invoice.paid", True, datetime.now(UTC), *[None] * 3)
        inbox.receive([inbox.new_event(about, "{}", account_id=account, source="webhook")])
        [claimed] = inbox.claim("run", account_id=account, limit=1)
        inbox.fail([claimed.id or 0], "run", "It names no invoice.", for_good=True)
        flow(publish_new_dead_letters)()
    told = "events could not be processed\n1 event could not be processed. The report"
    assert eventually(lambda: any(text.startswith(told) for text in posted))
    inbox.replay(account, inbox.EventFilter())
    assert flow(publish_dead_letters)() == 0
    assert sum(text.startswith("events could not") for text in posted) == 1


def test_the_address_is_kept_as_a_secret_and_follows_the_settings(
    client: SyncPrefectClient, posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads it in Prefect; another one replaces it, and none takes it away."""
    kept = client.read_block_document_by_name(
        alert_automations.BLOCK, alert_automations.TYPE, include_secrets=False
    )
    assert "secret" not in json.dumps(kept.data["secrets"])
    assert "secret" not in kept.data["url"]
    assert alert_automations.mistakes(client) == []
    monkeypatch.setenv("INVOICING_NOTIFICATIONS_URL", f"{posted.url}2")
    assert alert_automations.mistakes(client) != []
    assert alert_automations.keep_address(client) == "updated"
    assert alert_automations.mistakes(client) == []
    before = len(client.read_automations())
    monkeypatch.delenv("INVOICING_NOTIFICATIONS_URL")
    assert alert_automations.keep_address(client) == "deleted"
    automation_sync.apply(alert_automations.all_automations(client))
    assert len(client.read_automations()) == before - 8
    assert alert_automations.mistakes(client) == []


def test_what_is_told_of_is_deployed() -> None:
    """Names of flows that are told of are names of deployments."""
    assert set(flows()) >= {*alert_automations.SENDINGS, *alert_automations.BY_THEMSELVES}
    assert (
        alert_automations.Notifications(url=None).silent_seconds > timedelta(days=1).total_seconds()
    )

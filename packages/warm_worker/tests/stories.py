"""The flows of the tests' own little project; copied, deployed and run by a worker."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.concurrency import _leases
from prefect.flows import Flow

GREETING = "Good morning"


@flow
def greet(name: str = "world") -> None:
    """Say hello, in the log and on paper."""
    get_run_logger().info("%s, %s", os.environ.get("GREETING", GREETING), name)
    print(f"process {os.getpid()} in {os.getcwd()} greets {name}")  # noqa: T201


@flow
def stumble() -> None:
    """Fail for a reason."""
    raise ValueError("The customer has no e-mail address")


def note(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Write down that a hook ran, and for which state."""
    (Path(flow_run.parameters["notes"]) / "hook").write_text(str(state.name))


@flow(on_cancellation=[note], on_crashed=[note])
def linger(notes: str) -> None:
    """Start a child, note both processes, and wait for a long time."""
    child = subprocess.Popen(["sleep", "1000"])
    partial = Path(notes) / "partial"
    partial.write_text(json.dumps({"run": os.getpid(), "child": child.pid}))
    partial.rename(Path(notes) / "processes")
    time.sleep(1000)


@flow
def hold(notes: str) -> None:
    """Hold what the run holds until told to end."""
    while not (Path(notes) / "enough").exists():
        time.sleep(0.05)


def renew_often(renewals: Path) -> None:
    """Renew a slot each second or so, not each four minutes, and note it."""
    renew = SyncPrefectClient.renew_concurrency_lease

    def renew_and_note(*args: Any, **kwargs: Any) -> Any:
        answer = renew(*args, **kwargs)
        with renewals.open("a") as file:
            file.write(".")
        return answer

    _leases._RENEWAL_FRACTION = 0.003
    SyncPrefectClient.renew_concurrency_lease = renew_and_note  # type: ignore[method-assign]


if renewals := os.environ.get("RENEWALS"):
    renew_often(Path(renewals))

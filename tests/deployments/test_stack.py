"""The local stack: everything starts, says so, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.local.child_process import Service, StackError, port_or_free
from deployments.local.stack import SALESFORCE_ORG, STRIPE_KEY, Stack
from sandbox.salesforce.org import ORGANIZATION_ID
from tests.prefect_worker import Prefect, alive, eventually


def processes_using(directory: Path) -> list[str]:
    """The names of all processes whose environment mentions a directory."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(directory) in value for value in process.environ().values()):
                found.append(process.name())
    return found


def test_its_names_have_the_shape_of_real_ones() -> None:
    """Clients of others check both: the org's id by its suffix, a key by its length."""
    assert SALESFORCE_ORG == ORGANIZATION_ID
    assert len(STRIPE_KEY) == 107


@pytest.mark.long
def test_everything_starts_beside_what_is_there_and_leaves_nothing(tmp_path: Path) -> None:
    """A taken port is avoided and said; a program that dies is named; the end is the end."""
    told: list[tuple[str, str]] = []
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        taken = occupant.getsockname()[1]
        stack = Stack(
            tmp_path, report=lambda name, what: told.append((name, what)), ports={"stripe": taken}
        )
        with stack:
            assert stack.urls.stripe != f"http://127.0.0.1:{taken}"
            assert any(name == "stripe" and f"port {taken} is taken" in what for name, what in told)
            pool = httpx.get(f"{stack.urls.prefect_api}/work_pools/invoices").json()
            assert (pool["type"], pool["status"]) == ("warm", "READY")
            answer = httpx.post(f"{stack.urls.prefect_api}/deployments/filter", json={})
            assert "send-invoice" in {deployment["name"] for deployment in answer.json()}
            assert httpx.get(f"{stack.urls.receiver}/ready").is_success
            runs = f"{stack.urls.prefect_api}/flow_runs/count"
            eventually(lambda: int(httpx.post(runs, json={}).text) > 0)  # what has a schedule
            with pytest.raises(StackError, match="Another stack runs in"), Stack(tmp_path):
                pass
            stack.check()
            os.kill(stack.pid("receiver"), signal.SIGKILL)
            with pytest.raises(StackError, match="receiver"):
                eventually(stack.check)
            assert processes_using(tmp_path)
    assert {name for name, what in told if what == "stopped"} >= {"prefect", "worker", "stripe"}
    assert processes_using(tmp_path) == []


def test_a_program_that_dies_is_quoted(tmp_path: Path) -> None:
    """The error holds the last words."""
    words = "import sys; sys.exit('The ledger is at revision 3, this code needs 4')"
    service = Service("receiver", [sys.executable, "-c", words], os.environ, tmp_path, tmp_path)
    service.wait(20)
    with pytest.raises(StackError, match="receiver stopped with status 1:\nThe ledger is at rev"):
        service.check()


def test_programs_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    """Even if that was killed and could not stop them."""
    starter = f"""
import os, time
from pathlib import Path
from deployments.local.child_process import Service
here = Path({str(tmp_path)!r})
service = Service("sleeper", ["sleep", "1000"], os.environ, here, here)
print(service.pid, flush=True)
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    eventually(lambda: not alive(pid))


def test_a_free_port_is_found(tmp_path: Path) -> None:
    """The preferred one if it is free, another if not."""
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        taken = occupant.getsockname()[1]
        assert port_or_free(taken) != taken
    assert port_or_free(taken) == taken


def test_a_busy_prefect_server_refuses_nobody(prefect: Prefect) -> None:
    """Eight people press Run at once; SQLite makes them queue, and no one sees a 503."""
    flow = prefect.call("POST", "/flows/", {"name": "busy"})["id"]

    def press_run(_: int) -> None:
        run = prefect.call("POST", "/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}})
        for state in ("RUNNING", "COMPLETED"):
            body = {"state": {"type": state}}
            prefect.call("POST", f"/flow_runs/{run['id']}/set_state", body)

    with ThreadPoolExecutor(8) as people:
        list(people.map(press_run, range(64)))

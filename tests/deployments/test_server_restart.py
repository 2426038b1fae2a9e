"""A server that is restarted under a run does not end it, and gets the run's slot back."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployments.local.child_process import Service, listen
from deployments.local.stack import LEASES_ON_DISK, ROOT, url_of
from tests.prefect_worker import Prefect, eventually, make_project

pytestmark = pytest.mark.long

STOP_SECONDS = 120
RENEWALS_AFTERWARDS = 2
OURS = (
    sys.executable,
    "-m",
    "uvicorn",
    "--factory",
    "deployments.local.prefect_on_sqlite:create_app",
)
STOCK = ("prefect", "server", "start", "--host", "127.0.0.1")


@contextmanager
def program(name: str, command: list[str], env: dict[str, str], cwd: Path) -> Iterator[Service]:
    """Run a program as long as the block lasts."""
    service = Service(name, command, env, cwd, Path(env["PREFECT_HOME"]))
    try:
        yield service
    finally:
        service.terminate()
        service.wait(STOP_SECONDS)


@pytest.mark.parametrize("server_command", [OURS, STOCK], ids=["ours", "stock"])
def test_a_run_outlives_its_server(server_command: tuple[str, ...], tmp_path: Path) -> None:
    """A long run goes on when the server is killed and comes back, and then frees its slot."""
    with listen() as listener:
        port, url = str(listener.getsockname()[1]), url_of(listener)
    renewals = tmp_path / "renewals"
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml"),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES_ON_DISK,
        "PREFECT_WORKER_QUERY_SECONDS": "0.3",
        "RENEWALS": str(renewals),
    }
    project = make_project(tmp_path)
    worker_command = ["prefect", "worker", "start", "--pool", "p", "--type", "process"]
    with program("server", [*server_command, "--port", port], environment, ROOT) as server:
        server.until_ready(f"{url}/api/health")
        prefect = Prefect(f"{url}/api")
        prefect.call("POST", "/work_pools/", {"name": "p", "type": "process"})
        deployment = prefect.deploy("hold", project, "p")
        prefect.call("PATCH", f"/deployments/{deployment}", {"concurrency_limit": 1})
        with program("worker", worker_command, environment, project) as worker:
            run = prefect.start(deployment, notes=str(tmp_path))
            eventually(renewals.exists)
            os.killpg(server.pid, signal.SIGKILL)
            server.start_again()
            server.until_ready(f"{url}/api/health")
            before = renewals.stat().st_size
            eventually(lambda: renewals.stat().st_size >= before + RENEWALS_AFTERWARDS)
            (tmp_path / "enough").touch()
            prefect.until(run, "Completed")
            worker.check()
            eventually(lambda: slots_taken(prefect, deployment) == 0)


def slots_taken(prefect: Prefect, deployment: str) -> int:
    """How many runs of a deployment hold one of its slots."""
    limit = prefect.call("GET", f"/deployments/{deployment}")["global_concurrency_limit"]
    return int(limit["active_slots"])

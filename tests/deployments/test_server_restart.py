"""A server that is restarted under a run does not end it, and gets the run's slot back."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from benchmarks._postgresql import binaries, postgresql
from deployments.local import prefect_database_cache
from deployments.local.child_process import Service, listen
from deployments.local.stack import ROOT, url_of
from deployments.server import LEASES, LEASES_ON_DISK
from tasks.installation.automation_sync import apply
from tasks.installation.recovery_automations import Timing, automations
from tests.deployments.test_crashed_runs import take_up_again
from tests.prefect_worker import Prefect, eventually, make_project

pytestmark = pytest.mark.long

STOP_SECONDS = 120
RENEWALS_AFTERWARDS = 2
SOON = Timing(silent_seconds=45, crashed_seconds=10)
"""Sooner than usual, and longer than from one heartbeat of a run to the next, 30 seconds."""

LOCAL = ("uvicorn", "--factory", "deployments.local.prefect_on_sqlite:create_app")
OURS = ("deployments.server",)
WORKER = ["prefect", "worker", "start", "--pool", "p", "--type", "process"]


@contextmanager
def program(name: str, command: list[str], env: dict[str, str], cwd: Path) -> Iterator[Service]:
    """Run a program as long as the block lasts."""
    service = Service(name, command, env, cwd, Path(env["PREFECT_HOME"]))
    try:
        yield service
    finally:
        service.terminate()
        service.wait(STOP_SECONDS)


@pytest.fixture
def postgres() -> Iterator[str]:
    """A database of PostgreSQL for Prefect's server."""
    try:
        binaries()
    except SystemExit as missing:
        pytest.skip(str(missing))
    with postgresql() as database:
        yield database.asynchronous("prefect")


def test_a_run_outlives_the_server_of_the_local_stack(tmp_path: Path) -> None:
    """On SQLite, in one process with what makes it wait for locks."""
    outlive(LOCAL, tmp_path, {LEASES: LEASES_ON_DISK})


def test_a_run_outlives_the_server_of_production(tmp_path: Path) -> None:
    """As a unit of systemd starts it, which says nothing of slots."""
    outlive(OURS, tmp_path, {})


def test_a_run_outlives_the_server_of_production_on_postgresql(
    postgres: str, tmp_path: Path
) -> None:
    """As a container of the compose file does."""
    outlive(OURS, tmp_path, {"PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres})


def test_a_run_outlives_a_new_password_of_the_server(tmp_path: Path) -> None:
    """It knows the old one only, so it ends unheard, and is begun again by a worker that has it."""
    with listen() as listener:
        port, url = str(listener.getsockname()[1]), url_of(listener)
    api, project = f"{url}/api", make_project(tmp_path)
    command = [sys.executable, "-m", *LOCAL, "--port", port]
    both = environment_of(url, tmp_path) | prefect_database_cache.lay_out(tmp_path)
    old, new = (both | with_password(word) for word in ("old", "new"))
    with ExitStack() as programs:
        server = programs.enter_context(program("server", command, old, ROOT))
        server.until_ready(f"{api}/health")
        prefect = Prefect(api, auth=("admin", "old"), asks_again=True)
        prefect.call("POST", "/work_pools/", {"name": "p", "type": "process"})
        deployment = prefect.deploy("hold", project, "p")
        told = {PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: "admin:old"}
        with temporary_settings(told):
            apply(automations(SOON, ["hold"]))
        programs.enter_context(program("worker", WORKER, old, project))
        run = prefect.start(deployment, notes=str(tmp_path))
        prefect.until(run, "Running")
        server.terminate()
        server.wait(STOP_SECONDS)
        server = programs.enter_context(program("server", command, new, ROOT))
        server.until_ready(f"{api}/health")
        programs.enter_context(program("another", WORKER, new, project))
        (tmp_path / "enough").touch()
        prefect = Prefect(api, auth=("admin", "new"), asks_again=True)
        take_up_again(prefect, run)
        assert prefect.until(run, "Completed")["run_count"] == 2


def with_password(word: str) -> dict[str, str]:
    """What the server and everything else is told of its password."""
    names = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
    return dict.fromkeys(names, f"admin:{word}")


def environment_of(url: str, home: Path) -> dict[str, str]:
    """The environment of a server and of its workers."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_WORKER_QUERY_SECONDS": "0.3",
        "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT0.5S",
    }


def outlive(program_of_the_server: tuple[str, ...], tmp_path: Path, own: dict[str, str]) -> None:
    """A long run goes on when the server is killed and comes back, and then frees its slot."""
    with listen() as listener:
        port, url = str(listener.getsockname()[1]), url_of(listener)
    renewals = tmp_path / "renewals"
    environment = environment_of(url, tmp_path) | {"RENEWALS": str(renewals), **own}
    server_command = [sys.executable, "-m", *program_of_the_server, "--port", port]
    project = make_project(tmp_path)
    with program("server", server_command, environment, ROOT) as server:
        server.until_ready(f"{url}/api/health")
        prefect = Prefect(f"{url}/api", asks_again=True)
        prefect.call("POST", "/work_pools/", {"name": "p", "type": "process"})
        deployment = prefect.deploy("hold", project, "p")
        prefect.call("PATCH", f"/deployments/{deployment}", {"concurrency_limit": 1})
        with program("worker", WORKER, environment, project) as worker:
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

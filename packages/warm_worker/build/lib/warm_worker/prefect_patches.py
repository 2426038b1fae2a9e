"""What a short run does without: patches of Prefect, each as it could be proposed upstream.

Without this module all works the same, and costs more. It knows three savings.

**What the worker has just read, its runs do not read again.** Between a worker's poll and a
flow's first line, Prefect reads the same deployment four times, its flow twice, its pool, its
queue, and twice the server's result storage, each over HTTP and each through several queries of
the server's database. Here the worker remembers what it has read and hands it to the run with
its job; runs that were asked for together share one reading. Nothing is used that was read before
the run was due, and nothing older than `SECONDS`; runs and their states are never remembered.
Proposal: `BaseWorker` keeps what `resolve_for_flow_run` has read, and gives it to the engine as
it gives it the control channel; the engine fills `RESOURCE_CACHE` of its events from it.

**A run listens for its suspension only once it has lasted.** Every sync flow opens a WebSocket of
its own to hear that somebody has suspended it from outside, waits until it is open, and the
server then holds every event against every subscription. Here it does so after `SECONDS_ALONE`.
Proposal: the same in `observe_flow_run_suspension`, or one subscription in the worker, which has
one for cancellations already.

**A flow that is imported is not imported again.** An entrypoint that names a file is executed anew
by each run, though the forkserver has imported that file and forks only while it has not changed.
Proposal: `load_script_as_module` returns the module that `sys.modules` holds for the file.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import prefect.flow_engine
from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient
from prefect.utilities import importtools

SECONDS = 10.0
SECONDS_ALONE = 5.0
KINDS = frozenset(["deployments", "flows", "work_pools", "work_queues", "admin"])
"""What may be remembered, by the first part of its path in the API."""

Find = Callable[[str], str | None]
"""Gives the body of an answer by its path, if it is known."""


class Memory:
    """What the worker has read: bodies of answers by path, and when they were asked for."""

    def __init__(self) -> None:
        """Know nothing."""
        self._read: dict[str, tuple[float, str]] = {}
        self._due: ContextVar[float] = ContextVar("due", default=float("inf"))

    @contextmanager
    def due(self, moment: float) -> Iterator[None]:
        """Serve a run: use what was read since it was due (seconds since the epoch)."""
        before = self._due.set(moment)
        try:
            yield
        finally:
            self._due.reset(before)

    def find(self, path: str) -> str | None:
        """What was read of a path, if it is fresh enough for the run that is served."""
        at, text = self._read.get(path, (0.0, ""))
        return text if at >= max(self._due.get(), time.time() - SECONDS) else None

    def keep(self, path: str, at: float, text: str) -> None:
        """Remember what was read."""
        self._read[path] = (at, text)

    def handed_over(self) -> dict[str, str]:
        """All that is fresh enough for the run that is served."""
        return {path: text for path in self._read if (text := self.find(path)) is not None}


def remember(memory: Memory) -> None:
    """Let this process, a worker, ask once for what it has in its memory."""
    send = _unless_known(memory.find)

    async def send_and_keep(
        self: PrefectHttpxAsyncClient, request: httpx.Request, *args: Any, **kwargs: Any
    ) -> httpx.Response:
        at = time.time()
        response: httpx.Response = await send(self, request, *args, **kwargs)
        path = _path(request)
        if path and response.status_code == httpx.codes.OK and memory.find(path) is None:
            memory.keep(path, at, response.text)
        return response

    PrefectHttpxAsyncClient.send = send_and_keep  # type: ignore[method-assign]


def begin_run(known: dict[str, str]) -> None:
    """Let this process, a run, do without what its worker knows, and listen later."""
    until = time.time() + SECONDS

    def find(path: str) -> str | None:
        return known.get(path) if time.time() < until else None

    PrefectHttpxAsyncClient.send = _unless_known(find)  # type: ignore[method-assign]
    PrefectHttpxSyncClient.send = _unless_known_sync(find)  # type: ignore[method-assign]
    engine: Any = prefect.flow_engine
    engine.observe_flow_run_suspension = _later(engine.observe_flow_run_suspension)
    tools: Any = importtools
    tools.load_script_as_module = _unless_imported(tools.load_script_as_module)


def _unless_imported(load: Callable[[str], ModuleType]) -> Callable[[str], ModuleType]:
    def load_unless_imported(path: str) -> ModuleType:
        module = sys.modules.get(".".join(Path(path).with_suffix("").parts))
        file = getattr(module, "__file__", None)
        return module if module and file == str(Path(path).resolve()) else load(path)

    return load_unless_imported


def _path(request: httpx.Request) -> str:
    """The path below the API's address of what may be remembered; else nothing."""
    if request.method != "GET":
        return ""
    path = request.url.raw_path.decode().partition("/api/")[2]
    return path if path.partition("/")[0] in KINDS else ""


def _known(find: Find, request: httpx.Request) -> httpx.Response | None:
    path = _path(request)
    text = find(path) if path else None
    if text is None:
        return None
    kind = {"content-type": "application/json"}
    return httpx.Response(httpx.codes.OK, text=text, headers=kind, request=request)


def _unless_known(find: Find) -> Callable[..., Any]:
    send = PrefectHttpxAsyncClient.send

    async def send_unless_known(
        self: PrefectHttpxAsyncClient, request: httpx.Request, *args: Any, **kwargs: Any
    ) -> httpx.Response:
        return _known(find, request) or await send(self, request, *args, **kwargs)

    return send_unless_known


def _unless_known_sync(find: Find) -> Callable[..., Any]:
    send = PrefectHttpxSyncClient.send

    def send_unless_known(
        self: PrefectHttpxSyncClient, request: httpx.Request, *args: Any, **kwargs: Any
    ) -> httpx.Response:
        return _known(find, request) or send(self, request, *args, **kwargs)

    return send_unless_known


Observe = Callable[..., AbstractContextManager[None]]


def _later(observe: Observe) -> Observe:
    """The same context manager, entered by a thread once the block has lasted a while."""

    @contextmanager
    def observe_later(*args: Any, **kwargs: Any) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            if not over.wait(SECONDS_ALONE):
                with observe(*args, **kwargs):
                    over.wait()

        watcher = threading.Thread(target=copy_context().run, args=(watch,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()

    return observe_later

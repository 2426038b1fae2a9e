"""Run a sandbox: as a process of its own, or in a thread beside a test."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: clients that pause are not to find it closed."""

MakeApp = Callable[[str], ASGIApp]
"""Builds the application, given the base URL it will be reached at."""


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.should_exit:
            self._ready()


def serve(
    make_app: MakeApp,
    name: str,
    host: str,
    port: int,
    public_url: str | None = None,
    fd: int | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM and return the exit status.

    Prints one line when ready, or one line on standard error if the port is taken.

    Args:
        make_app: Builds the application.
        name: What it is called in these lines.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        public_url: The base URL that it is reached at, if not at that address.
        fd: A listening socket that this process has inherited, instead of address and port.
    """
    try:
        listener = _listen(host, port) if fd is None else socket.socket(fileno=fd)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"{name}: cannot listen on {host}:{port}: {reason}\n")
        return 1
    base_url = public_url or f"http://{host}:{listener.getsockname()[1]}"
    server = _server(make_app, base_url, lambda: print(f"{name} ready on {base_url}", flush=True))  # noqa: T201
    signal.signal(signal.SIGTERM, _leave)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    return 0 if server.started else 1


@contextmanager
def running(make_app: MakeApp) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 in a thread while the block runs; yield the base URL."""
    listener = _listen("127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ready = threading.Event()
    server = _server(make_app, base_url, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not ready.wait(timeout=1):
        if not thread.is_alive():
            raise RuntimeError("the sandbox did not start")
    try:
        yield base_url
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    """Open a listening socket whose connections send at once.

    asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer
    waits 40 ms for the client's delayed acknowledgement.
    """
    listener = socket.create_server((host, port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _server(make_app: MakeApp, base_url: str, ready: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        make_app(base_url),
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=2,
    )
    return _Server(config, ready)


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)

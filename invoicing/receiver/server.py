"""Processes and sockets: uvicorn with one worker or several, and no patience with slow clients."""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from invoicing.logging_setup import to_standard_error

HEADER_SECONDS = 10.0
"""How long a client may take for a request's headers."""

STOP_SECONDS = 10
"""How long requests under way may take when the server is told to stop."""

SWITCH_SECONDS = 0.0005
"""How long the event loop may keep a thread waiting that has just written events down; Python's
own 5 ms is longer than the writing takes."""

CONNECTIONS = 1000
"""The most for one worker at once; more are answered with 503."""


def serve(
    host: str,
    port: int,
    workers: int,
    app: str = "invoicing.receiver.server:worker_app",
    fd: int | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        workers: How many processes serve side by side.
        app: Import path of a function that makes the application.
        fd: A listening socket that this process has inherited, instead of address and port.

    Raises:
        OSError: the port is taken.
    """
    listener = listen(host, port) if fd is None else socket.socket(fileno=fd)
    config = uvicorn.Config(app, factory=True, workers=workers, **options())
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="invoicing-metrics-") as shared:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        Multiprocess(config, sockets=[listener]).run()


def options() -> dict[str, Any]:
    """Options of uvicorn for its clients."""
    return {
        "http": RequestTimeoutProtocol,
        "ws": "none",
        "access_log": False,
        "log_level": "warning",
        "server_header": False,
        "limit_concurrency": CONNECTIONS,
        "timeout_graceful_shutdown": STOP_SECONDS,
    }


def worker_app() -> ASGIApp:
    """The receiver of the settings, for a worker process that ends with its supervisor."""
    from invoicing.receiver.app import build_app  # after the metrics' directory is known
    from invoicing.settings import settings
    from invoicing.tracing import switch

    sys.setswitchinterval(SWITCH_SECONDS)
    to_standard_error()
    supervisor = multiprocessing.parent_process()
    if supervisor:
        threading.Thread(target=_exit_with, args=(supervisor,), daemon=True).start()
    program = switch.begin("invoicing-receiver")
    return program.traced(build_app(settings(), ended=program.end))


def _exit_with(supervisor: Any) -> None:
    """Free the port for the next supervisor when this one was killed."""
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket whose connections send at once.

    asyncio sets TCP_NODELAY only on sockets that name their protocol, which accepted ones do
    not; without it, answers wait for the client's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class RequestTimeoutProtocol(H11Protocol):
    """HTTP/1.1 that closes connections on which no whole request arrives in time.

    uvicorn itself closes only those on which nothing at all arrives after an answer.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._restart_timer()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._restart_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        if self._timer:
            self._timer.cancel()

    def _restart_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(HEADER_SECONDS, self._close_unless_busy)

    def _close_unless_busy(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.timeout_keep_alive_handler()

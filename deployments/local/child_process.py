"""One program of the stack: started, watched and stopped, its words in a log file."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import httpx

from deployments.local import parent_watch

TAIL_LINES = 25
POLL_SECONDS = 0.1
BACKLOG = 2048  # as uvicorn has it


class StackError(Exception):
    """A program of the stack did not start, or has stopped."""


class Service:
    """A running program. It leads a process group and ends when this process ends.

    A server gets its listening socket from here (``--fd``), open before it starts: requests wait
    in line meanwhile, so that nobody asks again and again whether it is ready, and they fail as
    soon as it ends.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        logs: Path,
        *,
        errand: bool = False,
        listener: socket.socket | None = None,
    ):
        """Start it.

        Args:
            name: What it is called, also by its log file.
            command: The program and its arguments.
            env: Its environment.
            cwd: Its working directory.
            logs: The directory of its log file.
            errand: It does its work and ends, and is not missed then.
            listener: The socket that it serves, which from now on is its own.
        """
        self.name = name
        self._command = command
        self._env = env
        self._cwd = cwd
        self._errand = errand
        self.log = logs / f"{name}.log"
        self._port = listener and listener.getsockname()[1]
        self._process = self._start(listener)

    @property
    def pid(self) -> int:
        """The process, also the id of its group."""
        return self._process.pid

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            StackError: with the last lines it wrote, if it does not.
        """
        code = self._process.poll()
        if code is not None and not (self._errand and code == 0):
            raise StackError(f"{self.name} stopped with status {code}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:]) or f"(it wrote nothing to {self.log})"

    def start_again(self) -> None:
        """Start it once more after its end, as a supervisor does."""
        self._process.wait()
        self._process = self._start(self._port and _open(self._port))

    def until_ready(self, url: str) -> None:
        """Wait, as long as it lives, until it answers a GET with success.

        Raises:
            StackError: It ended instead; with the last lines it wrote.
        """
        with httpx.Client(timeout=httpx.Timeout(None), verify=False) as client:  # noqa: S501 - on this machine
            while True:
                with suppress(httpx.TransportError):
                    if client.get(url).is_success:
                        return
                self.check()
                time.sleep(POLL_SECONDS)

    def until_ended(self) -> int:
        """Wait until it has done its work, and return its exit status."""
        return self._process.wait()

    def terminate(self) -> None:
        """Ask it to stop."""
        self._signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return its exit status; after that long it is killed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._signal(signal.SIGKILL)  # and what it may have left in its group
        return self._process.wait()

    def _start(self, listener: socket.socket | None) -> subprocess.Popen[bytes]:
        handed = [listener.fileno()] if listener else []
        command = [*self._command, *(f"--fd={number}" for number in handed)]
        self.log.touch(0o600)
        with self.log.open("ab") as log, listener or nullcontext():
            return subprocess.Popen(  # noqa: S603
                [sys.executable, parent_watch.__file__, str(os.getpid()), *command],
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=handed,
                umask=0o077,  # its databases, results and reports are its owner's
            )

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def listen(preferred: int = 0) -> socket.socket:
    """A listening socket on a TCP port of the loopback interface, or on a free one if it is taken.

    Raises:
        StackError: No port is free.
    """
    for port in (preferred, 0):
        with suppress(OSError):
            return _open(port)
    raise StackError("There is no free port on 127.0.0.1")


def _open(port: int) -> socket.socket:
    """A listening socket whose connections send at once, which asyncio leaves to its maker."""
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def reserve(preferred: int = 0) -> socket.socket:
    """A TCP port of the loopback interface, for a program that opens its socket itself.

    Nobody else gets the port as long as this is open, and nothing is answered there before that
    program listens.

    Raises:
        StackError: No port is free.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", port_or_free(preferred) if preferred else 0))
    return reserved


def port_or_free(preferred: int) -> int:
    """The preferred TCP port of the loopback interface, or a free one where it is taken.

    Raises:
        StackError: No port is free.
    """
    with listen(preferred) as probe:
        return int(probe.getsockname()[1])

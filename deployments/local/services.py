"""One program of the stack: started, watched and stopped, its words in a log file."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deployments.local import parent_watch

TAIL_LINES = 25


class StackError(Exception):
    """A program of the stack did not start, or has stopped."""


class Service:
    """A running program. It leads a process group and ends when this process ends."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        logs: Path,
        *,
        errand: bool = False,
    ):
        """Start it.

        Args:
            name: What it is called, also by its log file.
            command: The program and its arguments.
            env: Its environment.
            cwd: Its working directory.
            logs: The directory of its log file.
            errand: It does its work and ends, and is not missed then.
        """
        self.name = name
        self._command = command
        self._env = env
        self._cwd = cwd
        self._errand = errand
        self.log = logs / f"{name}.log"
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The process, also the id of its group."""
        return self._process.pid

    @property
    def ended_well(self) -> bool:
        """Whether it has done its work and is gone."""
        return self._process.poll() == 0

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
        self._process = self._start()

    def terminate(self) -> None:
        """Ask it to stop."""
        self._signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return its exit status; after that long it is killed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._signal(signal.SIGKILL)  # and what it may have left in its group
        return self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, parent_watch.__file__, str(os.getpid()), *self._command],
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def port_or_free(preferred: int) -> int:
    """The preferred TCP port of the loopback interface, or a free one where it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise StackError("There is no free port on 127.0.0.1")

"""The worker's side of the forkservers: one a project directory, replaced when its code changes."""

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import certifi
from prefect.logging import get_logger
from prefect.settings import get_current_settings

from warm_worker import forkserver
from warm_worker.forkserver import Job


class Process:
    """A child of a forkserver, alive until `wait` returns."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.pid = pid
        self.returncode: int | None = None
        self._reader = reader
        self._writer = writer

    async def wait(self) -> int:
        """Wait for the end.

        Returns:
            The exit code, negative for the signal that killed it. Where the forkserver died
            first there is nobody to tell, and the run counts as killed.
        """
        line = await self._reader.readline()
        self.returncode = int(line) if line else -9
        self._writer.close()
        return self.returncode


class ForkServer:
    """One forkserver process, for as long as the code it has imported is the code on disk."""

    def __init__(self, control: socket.socket, process: asyncio.subprocess.Process):
        self._control = control
        self._process = process

    @classmethod
    async def start(cls, directory: Path) -> Self:
        """Start one in a project's directory; it begins to preload at once."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                forkserver.__file__,
                str(theirs.fileno()),
                cwd=directory,
                env=base_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C at the terminal is the worker's to handle
            )
        return cls(ours, process)

    async def fork(self, job: Job) -> Process | None:
        """Start a job, or nothing if the server is gone or its code is out of date."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            with theirs:
                socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
            writer.write(json.dumps(job).encode() + b"\n")
            line = await reader.readline()
        except OSError:
            line = b""
        if line in (b"", forkserver.STALE):
            writer.close()
            return None
        return Process(int(line), reader, writer)

    def retire(self) -> None:
        """Take no more jobs; the process leaves after its last child."""
        self._control.close()

    async def gone(self) -> None:
        """Wait until the process has left."""
        await self._process.wait()


class ForkServers:
    """The forkservers of one worker."""

    def __init__(self) -> None:
        self._current: dict[Path, ForkServer] = {}
        self._retired: list[ForkServer] = []
        self._starting = asyncio.Lock()
        self._nowhere = tempfile.TemporaryDirectory(prefix="prefect-no-project-")
        self._logger = get_logger("warm_worker")

    async def warm_up(self, directory: Path) -> ForkServer:
        """The directory's forkserver, started if there is none."""
        async with self._starting:
            if directory not in self._current:
                self._current[directory] = await ForkServer.start(directory)
            return self._current[directory]

    async def fork(self, project: Path | None, job: Job) -> Process:
        """Start a job with the project's code as it is now on disk.

        Args:
            project: The directory of the code; nothing if the run fetches its code itself,
                and then only Prefect is preloaded.
            job: What to start.

        Raises:
            RuntimeError: If a fresh forkserver cannot start it either.
        """
        directory = project or Path(self._nowhere.name)
        server = await self.warm_up(directory)
        if process := await server.fork(job):
            return process
        self._logger.info("Importing the code of %s again", directory)
        server = await self._replace(directory, server)
        if process := await server.fork(job):
            return process
        raise RuntimeError(f"The forkserver of {directory} ended before it could start the run")

    async def _replace(self, directory: Path, outdated: ForkServer) -> ForkServer:
        if self._current.get(directory) is outdated:
            outdated.retire()
            self._retired.append(outdated)
            del self._current[directory]
        return await self.warm_up(directory)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._current.values():
            server.retire()
        with suppress(TimeoutError):
            async with asyncio.timeout(forkserver.LAST_WORDS_SECONDS):
                for server in (*self._current.values(), *self._retired):
                    await server.gone()
        self._nowhere.cleanup()


def base_environment() -> dict[str, str]:
    """The environment every run starts from: the worker's own, with Prefect's settings in it."""
    environment = {
        **os.environ,
        **get_current_settings().to_environment_variables(exclude_unset=True),
    }
    return environment | spared(environment)


def spared(environment: Mapping[str, str | None]) -> dict[str, str]:
    """What spares a run what its worker has done already: looking at the server's version."""
    version = {"PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"}
    return {**version, **without_certificates(environment)}


def without_certificates(environment: Mapping[str, str | None]) -> dict[str, str]:
    """What spares a run the reading of every root certificate if its API is plain HTTP.

    Prefect opens about eight HTTP clients before a flow begins, and each reads the bundle again
    (20 ms). Over plain HTTP no certificate is ever looked at, so a bundle of one does.
    """
    url = environment.get("PREFECT_API_URL") or ""
    if "PREFECT_API_SSL_CERT_FILE" in environment or not url.startswith("http://"):
        return {}
    return {"PREFECT_API_SSL_CERT_FILE": one_certificate()}


@cache
def one_certificate() -> str:
    """A file with the first certificate of the usual bundle."""
    end = "-----END CERTIFICATE-----"
    file = get_current_settings().home / "one-certificate.pem"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(certifi.contents().partition(end)[0] + end + "\n")
    return str(file)

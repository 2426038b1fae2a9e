"""A PostgreSQL of the system's packages, with `pg_trgm`, for as long as a benchmark needs it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from deployments.local.child_process import listen

UNPRIVILEGED = "nobody"
"""Who runs it where the benchmark is run by root, whom PostgreSQL refuses."""
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int

    def url(self, database: str) -> str:
        """An empty database, made if there is none, for psycopg."""
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [database]).fetchone():
                connection.execute(f"CREATE DATABASE {database}".encode())
        return self._address(database)

    def asynchronous(self, database: str) -> str:
        """The same for Prefect's server."""
        return self.url(database).replace("postgresql://", "postgresql+asyncpg://")

    def _address(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


def binaries() -> Path:
    """Where `initdb` is: on the PATH, or where Debian keeps it.

    Raises:
        SystemExit: There is none.
    """
    if found := shutil.which("initdb"):
        return Path(found).parent
    if debian := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return debian[-1].parent
    raise SystemExit("PostgreSQL is not installed: `apt-get install postgresql` or the like")


def server_command(folder: Path, port: int) -> list[str]:
    """Make a database cluster in a new folder; what runs its server on a port of loopback.

    Settings are those that PostgreSQL has by default. It refuses root, who runs it as another.
    """
    folder.mkdir()
    other: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, UNPRIVILEGED)
        other = ["setpriv", f"--reuid={UNPRIVILEGED}", "--clear-groups", "--"]
    data = folder / "data"
    make = [str(binaries() / "initdb"), "--pgdata", str(data), "--username", "postgres"]
    command = [*other, *make, "--auth", "trust"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    run = [str(binaries() / "postgres"), "-D", str(data), "-k", str(folder), "-p", str(port)]
    return [*other, *run]


@contextmanager
def postgresql() -> Iterator[Server]:
    """Run a server with its data in a temporary directory, as PostgreSQL is by default."""
    with listen() as listener:
        port = int(listener.getsockname()[1])
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o755)
        folder = Path(temporary) / "postgresql"
        process = subprocess.Popen(
            server_command(folder, port),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            server = Server(port)
            _wait(server)
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _wait(server: Server) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            server.url("postgres")
            return
        except psycopg.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)

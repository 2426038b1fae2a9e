"""Prefect's server on SQLite as the local stack runs it, for tests."""

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deployments.local import prefect_database_cache
from deployments.local.child_process import Service, listen
from deployments.local.stack import url_of

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 120

_IDLE_SERVICES = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "EVENT_LOGGER",
    "EVENT_PERSISTER",
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
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _IDLE_SERVICES},
}
"""A Prefect server that keeps runs and their states, and does nothing of its own accord; and
clients that ask it for nothing else."""


@contextmanager
def prefect_server(
    home: Path, environment: Mapping[str, str], listener: socket.socket | None = None
) -> Iterator[str]:
    """Run a server as long as the block lasts.

    Args:
        home: Where its database and its log are.
        environment: Settings of its own, beside those of this process.
        listener: Where it listens; on a free port unless given.

    Yields:
        Its API's URL.
    """
    listener = listener or listen()
    api = f"{url_of(listener)}/api"
    database = prefect_database_cache.lay_out(home)
    own = {"PREFECT_HOME": str(home), "PREFECT_API_URL": api} | database
    app = "deployments.local.prefect_on_sqlite:create_app"
    command = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--factory", app]
    variables = os.environ | environment | own
    server = Service("server", command, variables, ROOT, home, listener=listener)
    try:
        server.until_ready(f"{api}/health")
        prefect_database_cache.keep(home)
        yield api
    finally:
        server.terminate()
        server.wait(STOP_SECONDS)

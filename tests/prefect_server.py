"""Prefect's server on SQLite as the local stack runs it, for tests."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deployments.local.services import Service, port_or_free
from deployments.local.stack import answers

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 120


@contextmanager
def prefect_server(
    home: Path, environment: Mapping[str, str], url: str | None = None
) -> Iterator[str]:
    """Run a server as long as the block lasts.

    Args:
        home: Where its database and its log are.
        environment: Settings of its own, beside those of this process.
        url: Its API's URL, on this machine; one with a free port unless given.

    Yields:
        Its API's URL.
    """
    home.mkdir(exist_ok=True)
    api = url or free_address()
    app = "deployments.local.prefect_server:create_app"
    port = api.removesuffix("/api").rpartition(":")[2]
    command = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--factory", app]
    own = os.environ | environment | {"PREFECT_HOME": str(home), "PREFECT_API_URL": api}
    server = Service("server", [*command, "--port", port], own, ROOT, home)
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while not answers(f"{api}/health"):
            server.check()
            assert time.monotonic() < until, server.tail()
            time.sleep(0.05)
        yield api
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def free_address() -> str:
    """The URL of an API that nobody serves yet."""
    return f"http://127.0.0.1:{port_or_free(0)}/api"

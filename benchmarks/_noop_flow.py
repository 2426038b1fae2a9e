"""The least a flow run can do, for measuring everything around it."""

import os
import time
from pathlib import Path

from prefect import flow, task


@task
def one() -> int:
    """Do nothing."""
    return 1


@flow(name="trivial")
def trivial() -> int:
    """Run one task."""
    return one()


@flow(name="held")
def held(folder: str) -> None:
    """Run one task, say so by a file, and end when a file says so."""
    one()
    (Path(folder) / f"held-{os.getpid()}").touch()
    while not (Path(folder) / "release").exists():
        time.sleep(0.1)

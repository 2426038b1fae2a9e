"""What the tests of the product and those of `packages` have in common."""

import gc
import os
import sqlite3
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import Pool, event

# Prefect reads them when it is imported, which the plugins do.
os.environ.update(
    DO_NOT_TRACK="1",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_TO_API_ENABLED="false",
)

pytest_plugins = ["pytester", "tests.browser", "tests.prefect_worker", "tests.tiers"]

settings.register_profile("no test is judged by its time", deadline=None)
settings.load_profile("no test is judged by its time")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Have the garbage collector not walk again and again what was imported for all tests."""
    gc.freeze()
    gc.set_threshold(10_000)


@event.listens_for(Pool, "checkout")
def no_power_cut(connection: Any, *_: object) -> None:
    """Have SQLite wait for no disk in this process: who is killed has handed over what it wrote."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")

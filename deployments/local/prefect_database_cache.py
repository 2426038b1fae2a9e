"""Prefect's database as it is after its migrations, kept: they take half of a server's start."""

import os
import shutil
import sqlite3
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

CACHED = Path(__file__).parents[2] / ".cache" / f"prefect-{version('prefect')}.db"


def lay_out(home: Path) -> dict[str, str]:
    """Give a server its database, if one is kept.

    Args:
        home: The server's `PREFECT_HOME`.

    Returns:
        Further variables for the server's environment.
    """
    home.mkdir(parents=True, exist_ok=True)
    if not CACHED.exists():
        return {}
    shutil.copy(CACHED, home / "prefect.db")
    return {
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    }


def keep(home: Path) -> None:
    """Keep the database of a server that has just started, unless there is one."""
    if CACHED.exists():
        return
    CACHED.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=CACHED.parent) as folder:  # others may do the same at this moment
        copy = Path(folder) / CACHED.name
        source, target = sqlite3.connect(home / "prefect.db"), sqlite3.connect(copy)
        source.backup(target)
        target.close()
        source.close()
        os.replace(copy, CACHED)

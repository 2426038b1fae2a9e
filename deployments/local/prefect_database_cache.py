"""Prefect's database as it is after its migrations, kept: they take half of a server's start."""

import os
import shutil
import sqlite3
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

KEPT = Path(__file__).parents[2] / ".cache" / f"prefect-{version('prefect')}.db"
MIGRATED = {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
}


def lay_out(home: Path) -> dict[str, str]:
    """Give a server its database, if one is kept.

    Args:
        home: The server's `PREFECT_HOME`.

    Returns:
        Further variables for the server's environment.
    """
    home.mkdir(parents=True, exist_ok=True)
    if not KEPT.exists():
        return {}
    shutil.copy(KEPT, home / "prefect.db")
    return MIGRATED


def keep(home: Path) -> None:
    """Keep the database of a server that has just started, unless there is one."""
    if KEPT.exists():
        return
    KEPT.parent.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=KEPT.parent) as folder:  # others may do the same at this moment
        copy = Path(folder) / KEPT.name
        source, target = sqlite3.connect(home / "prefect.db"), sqlite3.connect(copy)
        source.backup(target)
        target.close()
        source.close()
        os.replace(copy, KEPT)

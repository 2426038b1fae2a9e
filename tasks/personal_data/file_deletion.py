"""Deleting some files of many, while others may do the same."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path


def delete_where(files: Iterable[Path], wanted: Callable[[Path], bool]) -> int:
    """Delete the files that are wanted; returns how many. One that has just gone is none of them.

    Args:
        files: Where to look.
        wanted: Whether a file is to be deleted.
    """
    deleted = 0
    for file in files:
        with suppress(FileNotFoundError):
            if wanted(file):
                file.unlink()
                deleted += 1
    return deleted


def delete_older(files: Iterable[Path], written: datetime) -> int:
    """Delete the files that were written before an instant; returns how many."""
    return delete_where(files, lambda file: file.stat().st_mtime < written.timestamp())

"""Files in the folder of reports: drift lists, and exports of customers. Their owner reads them."""

import csv
import json
import os
from datetime import datetime
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from invoicing.domain.model.mentions import Mentions
from invoicing.settings import settings
from tasks.personal_data import file_deletion

LISTS, EXPORTS = "drift-*.csv", "customer-*.json"


def write_export(account_id: str, content: dict[str, Any]) -> Path:
    """Write what is held of a customer, over an earlier export; returns the file."""
    folder = settings().reports.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"customer-{account_id}.json"
    _replace(path, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")
    return path


def rows(mentions: Mentions) -> dict[str, list[list[str]]]:
    """The rows of drift lists that name a customer, by the names of their files."""
    found = {path.name: _split(path, mentions)[0] for path in _files(LISTS)}
    return {name: some for name, some in found.items() if some}


def delete_rows(mentions: Mentions) -> int:
    """Delete the rows of drift lists that name a customer; returns how many."""
    deleted = 0
    for path in _files(LISTS):
        theirs, others = _split(path, mentions)
        if theirs:
            _replace(path, others)
            deleted += len(theirs)
    return deleted


def delete_exports(account_id: str) -> int:
    """Delete a customer's exports; returns how many."""
    return file_deletion.delete_where(_files(f"customer-{account_id}.json*"), lambda _: True)


def delete_older(written: datetime) -> int:
    """Delete files that were written before an instant; returns how many."""
    return file_deletion.delete_older([*_files(f"{LISTS}*"), *_files(f"{EXPORTS}*")], written)


def _files(pattern: str) -> list[Path]:
    return sorted(settings().reports.glob(pattern))


def _split(path: Path, mentions: Mentions) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of a list that name somebody, and all others, its titles among them."""
    theirs: list[list[str]] = []
    others: list[list[str]] = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            (theirs if any(map(mentions.in_text, row)) else others).append(row)
    return theirs, others


def _replace(path: Path, content: str | list[list[str]]) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    descriptor, new = mkstemp(dir=path.parent, prefix=f"{path.name}.")
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
        if isinstance(content, str):
            file.write(content)
        else:
            csv.writer(file).writerows(content)
    Path(new).replace(path)

"""Raise the drafts of a table: ``python examples/raise_from_csv.py FILE.csv``.

The file's name is the request: the same file again raises nothing twice, and a row that was added
to it since is raised. Nothing is sent.
"""

import hashlib
import sys
from pathlib import Path

from prefect_api import outcome, start

file = Path(sys.argv[1])
rows = file.read_text(encoding="utf-8")
version = hashlib.sha256(rows.encode()).hexdigest()[:16]
table = {"csv": rows, "request_id": file.stem}
print(outcome(start("bulk-raise", table, f"{file.stem}-{version}")))

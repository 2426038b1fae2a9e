"""``python -m sandbox.evidence [source ...]``: what others wrote, against the sandbox.

Prints what each source came to as it comes, and one JSON line at the end: per source how many
cases were tried, passed, failed and skipped (and why); last of all, how much of the answers was
compared with their types. Ends with 1 if a case failed.
"""

import importlib
import json
import os
import sys
import tempfile
import time
from typing import Any

SOURCES = (
    "stripe_sdk_examples",
    "stripe_cli",
    "stripe_node",
    "stripe_sync_engine",
    "stripe_dlt",
    "jsforce",
    "salesforce_cli",
    "stripe_shapes",
)
"""The modules beside this one, each with a ``report``."""


def main() -> int:
    """Run every source, and say what came of it."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())  # PostgreSQL's wheel asks
    reports: list[dict[str, Any]] = []
    for name in sys.argv[1:] or SOURCES:
        began = time.monotonic()
        report = importlib.import_module(f"sandbox.evidence.{name}").report()
        reports.append(report)
        took = time.monotonic() - began
        why = f" ({report['why']})" if report["why"] else ""
        print(  # noqa: T201
            f"{report['source']}: {report['passed']} of {report['tried']} passed, "
            f"{report['skipped']} skipped{why}, {took:.0f} s",
            flush=True,
        )
        for case, error in report["failures"].items():
            print(f"  {case}: {error}")  # noqa: T201
    print(json.dumps({"sources": reports}))  # noqa: T201
    for report in reports:
        counts = (f"{count:,} {name}" for name, count in report.get("counts", {}).items())
        if said := ", ".join(counts):
            print(f"{report['source']}: compared {said}")  # noqa: T201
    return int(any(report["failed"] for report in reports))


if __name__ == "__main__":
    sys.exit(main())

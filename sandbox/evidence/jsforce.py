"""``python -m sandbox.evidence.jsforce``: jsforce against the Salesforce sandbox.

Installs jsforce from the npm registry into a cache folder, lets it run its cases, and prints
one JSON line: how many were tried, passed, failed and skipped (and why).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.common.serve import running
from sandbox.evidence.fetched import installed, program
from sandbox.salesforce.__main__ import METADATA
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import open_org

VERSION = "3.10.16"
CHECKS = Path(__file__).with_name("jsforce_checks.mjs")


def report() -> dict[str, Any]:
    """Run all cases and count them."""
    modules = installed("jsforce", VERSION)
    if isinstance(modules, str):
        return _summary([], skipped=modules)
    with running(lambda url: application(open_org(METADATA), url)) as url:
        ran = subprocess.run(  # noqa: S603
            [program("node"), CHECKS, modules, url, CONSUMER_KEY, CONSUMER_SECRET],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    cases = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode:
        cases.append({"name": "run to the end", "ok": False, "error": ran.stderr[-500:]})
    return _summary(cases)


def _summary(cases: list[dict[str, Any]], skipped: str = "") -> dict[str, Any]:
    failures = {case["name"]: case["error"] for case in cases if not case["ok"]}
    return {
        "source": f"jsforce {VERSION}",
        "tried": len(cases),
        "passed": len(cases) - len(failures),
        "failed": len(failures),
        "skipped": int(bool(skipped)),
        "why": skipped,
        "failures": failures,
    }


if __name__ == "__main__":
    outcome = report()
    print(json.dumps(outcome))  # noqa: T201
    sys.exit(1 if outcome["failed"] else 0)

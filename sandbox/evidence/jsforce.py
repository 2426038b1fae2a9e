"""``python -m sandbox.evidence.jsforce``: jsforce against the Salesforce sandbox.

Installs jsforce from the npm registry into a cache folder, lets it run its cases, and prints
one JSON line: how many were tried, passed, failed and skipped (and why).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.common.serve import running
from sandbox.salesforce.__main__ import METADATA
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import open_org

VERSION = "3.10.16"
CHECKS = Path(__file__).with_name("jsforce_checks.mjs")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
MODULES = CACHE / "salesforce-stripe-invoices" / f"jsforce-{VERSION}"


def report() -> dict[str, Any]:
    """Run all cases and count them."""
    missing = _install()
    if missing:
        return _summary([], skipped=missing)
    with running(lambda url: application(open_org(METADATA), url)) as url:
        ran = subprocess.run(  # noqa: S603
            [_program("node"), CHECKS, MODULES, url, CONSUMER_KEY, CONSUMER_SECRET],
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


def _install() -> str:
    """Install jsforce unless it is there; says why it cannot."""
    if (MODULES / "node_modules" / "jsforce").is_dir():
        return ""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    MODULES.mkdir(parents=True, exist_ok=True)
    command = [
        _program("npm"), "install", "--no-audit", "--no-fund", "--no-save", "--no-package-lock",
        "--ignore-scripts", "--prefix", str(MODULES), f"jsforce@{VERSION}",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return "" if ran.returncode == 0 else f"npm install failed: {ran.stderr[-300:]}"


def _program(name: str) -> str:
    return shutil.which(name) or name


if __name__ == "__main__":
    outcome = report()
    print(json.dumps(outcome))  # noqa: T201
    sys.exit(1 if outcome["failed"] else 0)

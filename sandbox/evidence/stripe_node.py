"""``python -m sandbox.evidence.stripe_node``: Stripe's SDK for Node against the sandbox.

Installs it from the npm registry, lets it tell the story of an invoice, and prints one JSON line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.common.serve import running
from sandbox.evidence.fetched import installed, program
from sandbox.stripe.app import make_app

VERSION = "23.1.0"
CHECKS = Path(__file__).with_name("stripe_node_checks.mjs")


def report() -> dict[str, Any]:
    """Run all cases and count them."""
    folder = installed("stripe", VERSION)
    if isinstance(folder, str):
        return _summary([], skipped=folder)
    with running(make_app) as url:
        ran = subprocess.run(  # noqa: S603
            [program("node"), CHECKS, folder, url, "sk_live_sandbox"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    cases = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode:
        cases.append({"name": "run to the end", "ok": False, "error": ran.stderr[-500:]})
    return _summary(cases)


def _summary(cases: list[dict[str, Any]], skipped: str = "") -> dict[str, Any]:
    failures = {case["name"]: case["error"] for case in cases if not case["ok"]}
    return {
        "source": f"stripe-node {VERSION}",
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

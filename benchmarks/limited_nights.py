"""A night's full sync against the services' live limits, and what these alone would take.

Stripe takes 25 list calls a second and answers each in 300 ms; what is more it refuses. A Bulk
query of Salesforce takes its job, polls until it is complete, and one call for each part of its
results, each with a latency of its own. Both sides are read at the same time, so that the bound
is the longer of both. Three nights: nothing differs, and the sync before told where invoices lie
in time; the first night of an org that has none of the invoices; and the first night of one where
all of them differ. What is written is read in Stripe once more first, so that the bound of the last
two has Stripe's pages twice. A call that makes records with their lines takes a second, and as many
are under way as there are lanes; updates travel in Bulk jobs of ten thousand rows. An invoice has
one line here, so that none lies beyond a page.
"""

import argparse
import json
import sys
import tempfile
from math import ceil
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks._sandboxes import admin, measured, sandbox
from invoicing.connectors.salesforce import GRAPHS
from tasks.full_sync.create_missing import LANES

CALLS_A_SECOND = 25.0
ANSWER_SECONDS = 0.3
PAGE = 100

CALL_SECONDS = 0.2
POLLS = 5
FIRST_WAIT, POLL_WAIT = 0.2, 0.2
PART_SECONDS = 0.8
PART = 10_000
"""Salesforce: each call, how often a job is not complete yet, and each part of the results."""

RETRIEVE_SECONDS = 0.3
"""Salesforce: a call that gives a thousand records by their ids. An assumption."""

GRAPH_SECONDS = 1.0
"""Salesforce: a call that writes up to 75 records with their lines. An assumption."""

NIGHTS = ("even", "missing", "differing")


def stripe_bound(invoices: int, rate: float) -> float:
    """Seconds that Stripe's limit alone takes: the pages at their rate, and the last answer."""
    return ceil(invoices / PAGE) / rate + ANSWER_SECONDS


def salesforce_bound(invoices: int) -> float:
    """Seconds that a Bulk query alone takes: job, polls, and the parts one after another."""
    return CALL_SECONDS + polling() + ceil(invoices / PART) * PART_SECONDS


def polling() -> float:
    """Seconds until a Bulk job is known to be complete."""
    return FIRST_WAIT + POLLS * (CALL_SECONDS + POLL_WAIT) + CALL_SECONDS


def writing_bound(night: str, invoices: int) -> float:
    """Seconds that Salesforce's side of the writing alone takes."""
    if night == "missing":
        return ceil(ceil(invoices / GRAPHS) / LANES) * GRAPH_SECONDS
    calls = 5 * CALL_SECONDS  # made, filled, closed, and two lists of what failed
    return ceil(invoices / PART) * (calls + polling()) if night == "differing" else 0.0


def limit(stripe_url: str, salesforce_url: str, rate: float) -> None:
    """Let both services be as they are in live mode."""
    admin(stripe_url, "settings", rate_limits={"enabled": True, "operation": int(rate)})
    slow = {"kind": "latency", "path": "/v1/invoices", "seconds": ANSWER_SECONDS}
    admin(stripe_url, "faults", rules=[slow])
    jobs = "/services/data/*/jobs/query"
    parts = {"kind": "latency", "path": f"{jobs}/*/results", "seconds": PART_SECONDS}
    calls = {"kind": "latency", "path": f"{jobs}*", "seconds": CALL_SECONDS}
    written = {"kind": "latency", "path": "/services/data/*/jobs/ingest*", "seconds": CALL_SECONDS}
    made = {"kind": "latency", "path": "*/composite/graph", "seconds": GRAPH_SECONDS}
    given = {"kind": "latency", "path": "*/composite/sobjects/*", "seconds": RETRIEVE_SECONDS}
    admin(salesforce_url, "faults", rules=[parts, calls, written, made, given])
    admin(salesforce_url, "bulk", pending_polls=POLLS)


def night(name: str, invoices: int, rate: float, limited: float, state: Path) -> dict[str, Any]:
    """Sync against the limits; where nothing differs, once before, to know the account."""
    state.mkdir()
    with (
        sandbox("stripe", state / "stripe.log") as stripe_url,
        sandbox("salesforce", state / "salesforce.log") as salesforce_url,
    ):
        accounts = max(10, invoices // 100)
        made = admin(stripe_url, "generate", business=True, customers=accounts, invoices=invoices)
        admin(salesforce_url, "reset", seed="empty")
        known = 0 if name == "missing" else invoices
        drift = 1 if name == "differing" else 0
        admin(salesforce_url, "generate", accounts=accounts, invoices=known, drift=drift)
        command = [
            sys.executable,
            "-m",
            "benchmarks._one_full_sync",
            stripe_url,
            salesforce_url,
            str(state),
        ]
        if name == "even":
            measured([*command, "100000"])
        limit(stripe_url, salesforce_url, limited)
        before = used(salesforce_url)
        httpx.delete(f"{stripe_url}/_sandbox/requests")
        spent = processor()
        figures = measured([*command, str(rate)])
        if figures is None:
            raise SystemExit("the sync failed")
        asked = httpx.get(f"{stripe_url}/_sandbox/requests?path=/v1/invoices").json()
        refused = sum(one.get("status") == 429 for one in asked["requests"])
        calls = used(salesforce_url) - before
        sandboxes = {name: round(now - spent[name], 1) for name, now in processor().items()}
    reading = stripe_bound(made["invoices"], limited)
    bounds = {
        "stripe": reading * (1 if name == "even" else 2),
        "salesforce": salesforce_bound(known) + writing_bound(name, made["invoices"]),
    }
    bound = max(reading, salesforce_bound(known)) + max(
        bounds["stripe"] - reading, writing_bound(name, made["invoices"])
    )
    found = {
        "ratio_to_bound": round(figures["seconds"] / bound, 2),
        "bound": round(bound, 1),
        "bound_seconds": {side: round(seconds, 1) for side, seconds in bounds.items()},
        "list_calls": asked["count"],
        "refused": refused,
        "salesforce_calls": calls,
        "sandbox_processor_seconds": sandboxes,
        **figures,
    }
    print({name: found}, flush=True)
    return found


def used(salesforce_url: str) -> int:
    """How many calls the org has counted so far."""
    return int(httpx.get(f"{salesforce_url}/_sandbox/limits", timeout=60).json()["used"])


def processor() -> dict[str, float]:
    """Seconds of processor that each sandbox has spent so far, by its module."""
    sandboxes = psutil.Process().children()
    return {one.cmdline()[2]: sum(one.cpu_times()[:2]) for one in sandboxes}


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks limited-nights", description=__doc__
    )
    parser.add_argument("--invoices", type=int, default=100_000)
    parser.add_argument(
        "--rate", type=float, default=24.5, help="what the readers allow themselves"
    )
    parser.add_argument("--limit", type=float, default=CALLS_A_SECOND, help="what Stripe allows")
    parser.add_argument("--nights", nargs="+", choices=NIGHTS, default=list(NIGHTS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        nights = {
            name: night(name, given.invoices, given.rate, given.limit, Path(folder) / name)
            for name in given.nights
        }
    worst = max(one["ratio_to_bound"] for one in nights.values())
    print(json.dumps({"ratio_to_bound": worst, "nights": nights}))


if __name__ == "__main__":
    main()

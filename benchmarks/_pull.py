"""One way to read all invoices of an account, in a process of its own.

Arguments: the way (floor, ours, sdk, dlt), the sandbox's URL, a working folder, and for ours the
ledger's URL. Prints one JSON line: seconds without imports, rows, peak memory in megabytes.
"""

import json
import logging
import os
import re
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

KEY = "sk_live_sandbox"
FAST = "100000"
INVOICE = re.compile(rb'"id":"(in_\w+)"')


def floor(url: str, _folder: Path) -> Callable[[], int]:
    """Page through the list, and look at nothing but where the next page begins."""
    client = httpx.Client(base_url=url, auth=(KEY, ""), timeout=60)

    def run() -> int:
        pages, after = 0, ""
        while True:
            body = client.get(f"/v1/invoices?limit=100{after}").content
            pages += 1
            if b'"has_more":true' not in body[-80:]:
                return pages
            last = INVOICE.findall(body)[-1]
            after = f"&starting_after={last.decode()}"

    return run


def ours(url: str, folder: Path) -> Callable[[], int]:
    """What the full sync does: windows side by side into the ledger."""
    values = {
        "STRIPE__API_KEY": KEY,
        "STRIPE__ACCOUNT_ID": "acct_1SandboxAcme",
        "STRIPE__LIVEMODE": "true",
        "STRIPE__BASE_URL": url,
        "STRIPE__REQUESTS_PER_SECOND": os.environ.get("BENCH_RATE", FAST),
        "SALESFORCE__DOMAIN": "acme.my",
        "SALESFORCE__ORG_ID": "00D000000000001",
        "SALESFORCE__CONSUMER_KEY": "key",
        "SALESFORCE__CONSUMER_SECRET": "secret",
        "LEDGER__URL": os.environ.get("BENCH_LEDGER") or f"sqlite:///{folder}/ledger.db",
    }
    os.environ.update({f"INVOICING_{name}": value for name, value in values.items()})
    from invoicing.ledger import database, staging
    from tasks.reading import Progress, read_windows

    database.migrate()

    def run() -> int:
        staging.begin("benchmark", dry_run=True)
        read_windows("benchmark", Progress(logging.getLogger()))
        return staging.counts()[0]

    return run


def sdk(url: str, folder: Path) -> Callable[[], int]:
    """Stripe's SDK, page by page by itself, each invoice into SQLite."""
    import stripe

    addresses = {"api": url, "connect": url, "files": url, "meter_events": url}
    client = stripe.StripeClient(KEY, base_addresses=addresses)  # type: ignore[arg-type]
    table = sqlite3.connect(folder / "sdk.db")
    table.execute("CREATE TABLE invoice (id TEXT PRIMARY KEY, status TEXT, total INTEGER)")

    def run() -> int:
        pages = client.v1.invoices.list({"limit": 100})
        rows = ((each.id, each.status, each.total) for each in pages.auto_paging_iter())
        with table:
            table.executemany("INSERT INTO invoice VALUES (?, ?, ?)", rows)
        return int(table.execute("SELECT COUNT(*) FROM invoice").fetchone()[0])

    return run


def dlt(url: str, folder: Path) -> Callable[[], int]:
    """Dlt's REST source into DuckDB, with the customers that it reads first."""
    from sandbox.evidence import stripe_dlt_checks

    return lambda: stripe_dlt_checks.pull(url, KEY, str(folder))["invoices"]


def main() -> None:
    """Read, and say how long it took."""
    way, url, folder = sys.argv[1:4]
    run = {"floor": floor, "ours": ours, "sdk": sdk, "dlt": dlt}[way](url, Path(folder))
    began = time.perf_counter()
    rows = run()
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": round(seconds, 2), "rows": rows, "peak_mb": memory}))


if __name__ == "__main__":
    main()

"""One way to read all invoices of an account, in a process of its own.

Arguments: the way, the sandbox's URL, a working folder; ours takes the ledger's URL from
BENCH_LEDGER. Prints one JSON line: seconds without imports, rows, peak memory in megabytes.
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
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

KEY = "sk_live_sandbox"
FAST = "100000"
READERS = 16
DAYS = 365  # that the sandbox spreads its invoices over
INVOICE = re.compile(rb'"id":"(in_\w+)"')


def floor(url: str, _folder: Path) -> Callable[[], int]:
    """Page through the list, and look at nothing but where the next page begins."""
    client = httpx.Client(base_url=url, auth=(KEY, ""), timeout=60)
    return lambda: _paged(client, "")


def parallel_floor(url: str, _folder: Path) -> Callable[[], int]:
    """The same by as many readers as ours has, the time shared out evenly beforehand."""
    client = httpx.Client(base_url=url, auth=(KEY, ""), timeout=60)
    [newest] = client.get("/v1/invoices?limit=1").json()["data"]
    span = DAYS * 86_400 // READERS + 1
    edges = [newest["created"] + 1 - n * span for n in range(READERS + 1)]
    slices = [f"&created[gte]={edges[n + 1]}&created[lt]={edges[n]}" for n in range(READERS)]

    def run() -> int:
        with ThreadPoolExecutor(READERS) as pool:
            return sum(pool.map(partial(_paged, client), slices))

    return run


def _paged(client: httpx.Client, part: str) -> int:
    pages, after = 0, ""
    while True:
        body = client.get(f"/v1/invoices?limit=100{part}{after}").content
        pages += 1
        if b'"has_more":true' not in body[-80:]:
            return pages
        last = INVOICE.findall(body)[-1]
        after = f"&starting_after={last.decode()}"


def _ledger(url: str, folder: Path) -> None:
    """Settings that read one account into a new ledger."""
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


def ours(url: str, folder: Path) -> Callable[[], int]:
    """What the full sync does: windows side by side into the ledger."""
    _ledger(url, folder)
    from invoicing.ledger import database, staging
    from tasks.full_sync.staging import Progress, read_windows

    database.migrate()

    def run() -> int:
        staging.begin("benchmark", dry_run=True)
        return read_windows("benchmark", Progress(logging.getLogger()))

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
    from sandbox.evidence import stripe_dlt_pull

    return lambda: stripe_dlt_pull.pull(url, KEY, str(folder))["invoices"]


WAYS = {
    "floor": floor,
    "parallel_floor": parallel_floor,
    "ours": ours,
    "sdk": sdk,
    "dlt": dlt,
}


def main() -> None:
    """Read, and say how long it took."""
    way, url, folder = sys.argv[1:4]
    run = WAYS[way](url, Path(folder))
    began = time.perf_counter()
    rows = run()
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": round(seconds, 2), "rows": rows, "peak_mb": memory}))


if __name__ == "__main__":
    main()

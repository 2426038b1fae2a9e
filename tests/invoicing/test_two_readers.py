"""Several processes read one account into one PostgreSQL: the same rows as one alone."""

import hashlib
import subprocess
import sys

import pytest
from sqlmodel import select

from invoicing.ledger import drift, staging
from invoicing.ledger.database import session
from invoicing.ledger.models import StagedStripe
from tests.conftest import ROOT, Sandbox

READER = """
import logging, sys
from tasks.full_sync import staging as reading
reading.READERS = 2
print("ready", flush=True)
sys.stdin.readline()
progress = reading.Progress(logging.getLogger(), tells=False)
print(reading.read_windows(sys.argv[1], progress), flush=True)
"""


def read_by(processes: int) -> tuple[str, list[int]]:
    """Read everything; a digest of what was staged, and how many each process has read."""
    sync = staging.begin(f"by {processes}", dry_run=True)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", READER, f"reader {number}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * processes
    with session() as ledger:
        rows = ledger.exec(select(StagedStripe).order_by(StagedStripe.stripe_id)).all()
        digest = hashlib.sha256(repr([row.model_dump() for row in rows]).encode()).hexdigest()
    drift.remember(sync.id, in_stripe=len(rows), in_salesforce=0)
    staging.finish(sync.id)
    return digest, [int(text) for text in said]


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_two_processes_stage_what_one_does(
    ledger_url: str, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take part, nothing is staged twice or left out, and few pages are read twice."""
    monkeypatch.setenv("INVOICING_STRIPE__API_KEY", "sk_live_sandbox")
    monkeypatch.setenv("INVOICING_STRIPE__BASE_URL", stripe_sandbox.url)
    monkeypatch.setenv("INVOICING_STRIPE__REQUESTS_PER_SECOND", "1000")
    stripe_sandbox.admin("POST", "generate", customers=5, invoices=5000)
    slow = {"kind": "latency", "path": "/v1/invoices", "seconds": 0.03}
    stripe_sandbox.admin("POST", "faults", rules=[slow])
    alone, _ = read_by(1)
    stripe_sandbox.admin("DELETE", "requests")
    together, shares = read_by(2)
    assert together == alone
    assert staging.counts()[0] == 5000
    assert all(shares)
    assert stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"] < 100

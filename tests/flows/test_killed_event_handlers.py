"""What a handler leaves behind when it is killed, and how soon others have it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.local.waiting import eventually, slowness
from flows.handle_events import handle_events
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.ledger import inbox, leases
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.flows.events import event_from
from tests.leases import acquire

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 2.0 * slowness()
HANDLER = f"""
import sys
from invoicing.ledger import inbox, leases
from tasks.records import locks
from tasks.events.event_processing import claiming_events
inbox.LEASE_SECONDS = leases.LEASE_SECONDS = {LEASE_SECONDS}
locks.HEARTBEAT_SECONDS = {LEASE_SECONDS} / 8
with claiming_events() as owner, locks.INVOICE.held(sys.argv[1]):
    print(len(inbox.claim(owner, account_id="acct_1SandboxAcme", limit=10)), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def handler(sent: InvoiceOutcome) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed an invoice's event and its lease, and gets no further."""
    body = {
        "id": "evt_1",
        "object": "event",
        "type": "invoice.paid",
        "livemode": True,
        "created": int(time.time()),
        "data": {"object": {"object": "invoice", "id": sent.stripe_id}},
    }
    inbox.receive([event_from(body)])
    process = subprocess.Popen(
        [sys.executable, "-c", HANDLER, sent.record_id],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "1\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.long
def test_a_handler_keeps_what_it_took_while_it_lives(
    handler: subprocess.Popen[str], sent: InvoiceOutcome
) -> None:
    """Three leases long, nobody else gets it; when it ends in order, at once."""
    over = time.monotonic() + 3 * LEASE_SECONDS
    while time.monotonic() < over:
        assert inbox.claim("next", account_id="acct_1SandboxAcme", limit=10) == []
        assert sent.record_id in leases.acquire_all([sent.record_id], "next")[1]
        time.sleep(LEASE_SECONDS / 8)
    handler.communicate("")
    assert len(inbox.claim("next", account_id="acct_1SandboxAcme", limit=10)) == 1
    acquire(sent.record_id, "next")


def test_the_events_of_a_killed_handler_are_processed_by_the_next(
    handler: subprocess.Popen[str], sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """SIGKILL: no farewell, and yet a lease later everything is done."""
    stripe_sandbox.post_form(sent.hosted_invoice_url, card="4242424242424242")
    handler.kill()

    def processed() -> bool:
        handle_events()
        return inbox.backlog() == {}

    eventually(processed, 60)
    assert org.record("INV-0001")["Status__c"] == "Paid"

"""The nightly sync puts right what drifted apart, and says what it was."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from flows.full_sync import full_sync
from flows.send_invoice import send_invoice
from invoicing.domain.forms import InvoiceOutcome
from invoicing.ledger import staging
from invoicing.ledger.database import session
from invoicing.ledger.models import DriftRow, SyncRun
from tests.conftest import Sandbox
from tests.flows.conftest import Org


def last_drift() -> dict[str, DriftRow]:
    """The drift of the newest full sync, by kind."""
    from sqlmodel import col, select

    with session() as ledger:
        run = ledger.exec(select(SyncRun).order_by(col(SyncRun.started_at).desc())).first()
    assert run is not None
    return {row.kind: row for row in staging.drift_of(run.id)}


@pytest.fixture
def drifted(
    draft: Callable[..., InvoiceOutcome], org: Org, dashboard: stripe.StripeClient
) -> Callable[[], Any]:
    """Three invoices that drifted: overwritten here, made there only, deleted there."""
    send_invoice(draft().name)
    customer = org.record("INV-0001")["Account__r"]["Stripe_Customer_Id__c"]
    org.set("INV-0001", Status__c="Void", Total__c=1)
    made = dashboard.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 14}
    )
    dashboard.v1.invoices.add_lines(
        made.id, {"lines": [{"amount": 9900, "description": "Workshop"}]}
    )
    dashboard.v1.invoices.finalize_invoice(made.id)
    lost = dashboard.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 14}
    )
    second = draft().name
    org.set(second, Stripe_Invoice_Id__c=lost.id)
    dashboard.v1.invoices.delete(lost.id)
    return lambda: (org.record("INV-0001"), org.record(second), org.record("INV-0003"))


def test_every_kind_of_drift_is_repaired_and_reported(drifted: Callable[[], Any]) -> None:
    """Overwritten, missing here, deleted there: each is put right, and said."""
    outcome = full_sync()
    overwritten, deleted, made = drifted()
    assert (overwritten["Status__c"], float(overwritten["Total__c"])) == ("Open", 2450)
    assert deleted["Status__c"] == "Deleted"
    assert (made["Status__c"], float(made["Total__c"])) == ("Open", 99)
    [line] = made["Lines__r"]["records"]
    assert (line["Description__c"], float(line["Amount__c"])) == ("Workshop", 99)
    drift = last_drift()
    assert set(drift) == {"status", "missing in Salesforce", "missing in Stripe"}
    assert all(row.outcome.startswith("repaired") for row in drift.values())
    assert "3 differed: 3 repaired" in outcome.sentence


def test_a_second_sync_finds_nothing(drifted: Callable[[], Any]) -> None:
    """After a repair both systems agree."""
    full_sync()
    assert full_sync().sentence == "2 invoices compared, 0 differed."


def test_a_dry_run_reports_and_writes_nothing(
    drifted: Callable[[], Any], org: Org, salesforce_sandbox: Sandbox
) -> None:
    """The same report, and not one write."""
    salesforce_sandbox.admin("DELETE", "requests")
    outcome = full_sync(dry_run=True)
    assert "3 differed: 3 found" in outcome.sentence
    assert org.record("INV-0001")["Status__c"] == "Void"
    assert org.count() == 2
    writes = salesforce_sandbox.admin("GET", "requests?method=PATCH")
    assert writes["count"] == 0


def test_agreement_costs_reading_only(sent: InvoiceOutcome, stripe_sandbox: Sandbox) -> None:
    """Nothing differs: no invoice is read one by one."""
    stripe_sandbox.admin("DELETE", "requests")
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    assert stripe_sandbox.admin("GET", "requests?path=/v1/invoices/*")["count"] == 0

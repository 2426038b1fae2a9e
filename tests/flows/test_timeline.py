"""Every change is on the record's own timeline: when, what, from which side, by which run."""

from typing import Any

import pytest
import requests
import stripe

from flows.full_sync import full_sync
from flows.poll_events import poll_events
from flows.resend_invoice import resend_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.ledger import timeline
from tests.conftest import Sandbox
from tests.flows.conftest import Org

ENTRIES = "What__c, Side__c, Amount__c, Currency__c, Happened_At__c, Changes__c, Run_URL__c"


def entries(org: Org) -> list[dict[str, Any]]:
    """The timelines in Salesforce, oldest first."""
    return org.query(f"SELECT {ENTRIES} FROM Stripe_Invoice_Event__c ORDER BY Name")


def pay(invoice: InvoiceOutcome, **form: str) -> None:
    """Pay as the customer does."""
    form = {"card": "4242424242424242", **form}
    assert requests.post(invoice.hosted_invoice_url, data=form, timeout=60).ok


def test_from_the_draft_to_the_money(sent: InvoiceOutcome, org: Org) -> None:
    """Raised, sent, paid in two parts, each once, with side and amount."""
    pay(sent, amount="450.00")
    poll_events()
    pay(sent)
    sync_invoice(sent.name)
    sync_invoice(sent.name)
    told = [(row["What__c"], row["Side__c"], float(row["Amount__c"] or 0)) for row in entries(org)]
    assert told == [
        ("Raised over 2,450.00 USD", "Salesforce", 2450),
        ("Mailed to billing@acme.example.com", "Salesforce", 0),
        ("Draft → Open over 2,450.00 USD", "Salesforce", 2450),
        ("Paid 450.00 USD", "Stripe", 450),
        ("Open → Paid; paid 2,000.00 USD more, 2,450.00 USD in all", "Stripe", 2000),
    ]
    assert "amount paid: 450.00 → 2,450.00\n" in entries(org)[-1]["Changes__c"]


def test_a_mail_that_goes_out_again_is_told_once(sent: InvoiceOutcome, org: Org) -> None:
    """To whom, in one sentence; that the record has another sending date is no news beside it."""
    before = len(entries(org))
    for request in ("first", "second"):
        org.set(sent.name, Sent_At__c="2026-01-01T00:00:00.000+0000")
        resend_invoice(sent.name, request_id=request)
        poll_events()
        sync_invoice(sent.name)
    told = {row["What__c"] for row in entries(org)[before:]}
    assert told == {"Mailed to billing@acme.example.com again"}
    assert org.record(sent.name)["Sent_At__c"] > "2026-01-01"


def test_a_sending_date_that_somebody_moved_is_told(sent: InvoiceOutcome, org: Org) -> None:
    """Later than any mail went out: it is put right, and the timeline says so."""
    before = len(entries(org))
    org.set(sent.name, Sent_At__c="2099-01-01T00:00:00.000+0000")
    sync_invoice(sent.name)
    [told] = entries(org)[before:]
    assert told["What__c"] == "Brought up to date: sent at"


def test_killed_between_the_record_and_its_timeline(
    sent: InvoiceOutcome, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record was changed, the run died: the next one finds that out and tells it once."""
    pay(sent)

    class Killed(BaseException):
        """The process is gone."""

    def die(*_: Any) -> None:
        raise Killed

    before = len(entries(org))
    with monkeypatch.context() as patch:
        patch.setattr(timeline, "confirm", die)
        with pytest.raises(Killed):
            sync_invoice(sent.name)
    assert org.record("INV-0001")["Status__c"] == "Paid"
    assert len(entries(org)) == before
    sync_invoice(sent.name)
    sync_invoice(sent.name)
    [told] = entries(org)[before:]
    assert told["What__c"] == "Open → Paid; paid 2,450.00 USD"


def test_killed_before_the_record_was_changed(
    sent: InvoiceOutcome, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was proposed and did not happen is not told; what happens then is."""
    pay(sent, amount="450.00")

    class Killed(BaseException):
        """The process is gone."""

    def die(*_: Any) -> None:
        raise Killed

    before = len(entries(org))
    with monkeypatch.context() as patch:
        patch.setattr(salesforce.Salesforce, "update_many", die)
        with pytest.raises(Killed):
            sync_invoice(sent.name)
    pay(sent)
    sync_invoice(sent.name)
    [told] = entries(org)[before:]
    assert told["What__c"] == "Open → Paid; paid 2,450.00 USD"


def test_salesforce_refuses_the_entry_for_a_while(
    sent: InvoiceOutcome, org: Org, salesforce_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is made all the same, and the next poll completes the timeline."""
    before = len(entries(org))
    pay(sent)
    rule = {"kind": "refuse", "status": 503, "path": "*/Stripe_Invoice_Event__c/*", "count": 1}
    salesforce_sandbox.admin("POST", "faults", rules=[rule | {"code": "SERVER_UNAVAILABLE"}])
    assert sync_invoice(sent.name).sentence == "INV-0001 moved from Open to Paid."
    assert len(entries(org)) == before
    poll_events()
    assert len(entries(org)) == before + 1


def test_an_invoice_made_in_the_dashboard_begins_its_timeline(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Linked to its Account by the customer; its first entry says where it came from."""
    before = len(entries(org))
    customer = str(dashboard.v1.invoices.retrieve(sent.stripe_id).customer)
    dashboard.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 30}
    )
    poll_events()
    [told] = entries(org)[before:]
    assert told["What__c"].startswith("Made in Stripe")
    assert told["Side__c"] == "Stripe"


def test_what_the_full_sync_repairs_is_told_in_bulk(
    sent: InvoiceOutcome, org: Org, salesforce_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At night thousands of entries travel as their repairs do: in jobs, not one by one."""
    before = len(entries(org))
    pay(sent)
    monkeypatch.setattr("tasks.full_sync.repair.MAX_SINGLE_REPAIRS", 0)
    monkeypatch.setattr("tasks.records.timeline.BULK_THRESHOLD", 0)
    assert "1 differed" in full_sync().sentence
    [told] = entries(org)[before:]
    assert told["Side__c"] == "Full Sync"
    assert told["What__c"] == "Open Unpaid → Paid Paid"
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    assert len(entries(org)) == before + 1

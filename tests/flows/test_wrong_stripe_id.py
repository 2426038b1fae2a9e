"""Somebody wrote another record's Stripe id into a record: nothing happens to the other invoice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import stripe

from flows.clone_invoice import clone_invoice
from flows.credit_invoice import credit_invoice
from flows.delete_draft import delete_draft
from flows.full_sync import full_sync
from flows.record_payment import record_payment
from flows.replace_invoice import replace_invoice
from flows.resend_invoice import resend_invoice
from flows.send_invoice import send_invoice
from flows.send_reminders import send_reminders
from flows.sync_invoice import sync_invoice
from flows.void_invoice import void_invoice
from flows.write_off_invoice import write_off_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import Conflict, InvoicingError, Rejected
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org, forget_links
from tests.flows.test_overdue_and_reminders import on, policy
from tests.flows.test_send_invoice import mails

__all__ = ["policy"]

Raise = Callable[..., InvoiceOutcome]
Pair = tuple[InvoiceOutcome, InvoiceOutcome]

ACTS: list[Callable[..., Any]] = [
    void_invoice,
    write_off_invoice,
    resend_invoice,
    record_payment,
    credit_invoice,
    replace_invoice,
    sync_invoice,
]


@pytest.fixture
def mistaken(draft: Raise, org: Org) -> Pair:
    """Acme's invoice and Globex's, both sent; Globex's record names Acme's."""
    acme, globex = (send_invoice(draft(account=who).name) for who in ("Acme Corporation", "Globex"))
    org.set(acme.name, Stripe_Invoice_Id__c=None)
    org.set(globex.name, Stripe_Invoice_Id__c=acme.stripe_id)
    return acme, globex


def seen(dashboard: stripe.StripeClient, stripe_id: str) -> dict[str, Any]:
    """An invoice in Stripe, but for its links, of which each reading gives others."""
    invoice = dashboard.v1.invoices.retrieve(stripe_id).to_dict()
    return {**invoice, "hosted_invoice_url": None, "invoice_pdf": None}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_the_other_invoice_is_left_alone_by_every_act(
    mistaken: Pair,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    act: Callable[..., Any],
) -> None:
    """The refusal names both ids, on the run and on the record."""
    _, globex = mistaken
    before = [seen(dashboard, one.stripe_id) for one in mistaken]
    said = f"INV-0002 is Stripe's invoice {globex.stripe_id}, but its field Stripe Invoice Id was"
    with pytest.raises((Conflict, Rejected), match=said):
        act(globex.name)
    after = [seen(dashboard, one.stripe_id) for one in mistaken]
    assert after == before
    record = org.record(globex.name)
    assert record["Sync_State__c"] == "Conflict"
    assert f"Write {globex.stripe_id} back" in record["Sync_Message__c"]
    assert len(mails(stripe_sandbox)) == 2
    assert org.query("SELECT Id FROM Stripe_Invoice__c WHERE Status__c = 'Draft'") == []


@pytest.mark.usefixtures("policy", "mistaken")
def test_nobody_is_reminded_of_the_other(
    stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose customer has paid, or was never asked."""
    on(monkeypatch, NEXT_MONTH + timedelta(days=1))
    before = len(mails(stripe_sandbox))
    assert send_reminders().sentence == "2 reminders planned, 0 sent."
    assert len(mails(stripe_sandbox)) == before


def test_the_other_is_not_cloned(mistaken: Pair, org: Org) -> None:
    """A copy would bill Globex what Acme was billed."""
    _, globex = mistaken
    with pytest.raises(Conflict, match=f"INV-0002 is Stripe's invoice {globex.stripe_id}, but"):
        clone_invoice(globex.name)
    assert org.query("SELECT Id FROM Stripe_Invoice__c WHERE Status__c = 'Draft'") == []


def test_put_right_it_goes_on(mistaken: Pair, org: Org) -> None:
    """What the message asks for is enough."""
    acme, globex = mistaken
    with pytest.raises(Conflict):
        void_invoice(globex.name)
    org.set(globex.name, Stripe_Invoice_Id__c=globex.stripe_id)
    org.set(acme.name, Stripe_Invoice_Id__c=acme.stripe_id)
    assert void_invoice(globex.name).status == "Void"
    assert org.record(acme.name)["Status__c"] == "Open"
    assert sync_invoice(acme.name).sentence == "INV-0001 was in step already."


def test_what_becomes_of_the_other_is_not_written_on_the_wrong_record(
    mistaken: Pair, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Acme's invoice is written off in Stripe; neither sync makes Globex's record say so."""
    acme, globex = mistaken
    dashboard.v1.invoices.mark_uncollectible(acme.stripe_id)
    with pytest.raises(Rejected, match="INV-0002 has its Stripe id"):
        sync_invoice(acme.name)
    full_sync()
    assert org.record(globex.name)["Status__c"] == "Open"
    assert org.record(acme.name)["Sync_State__c"] == "Conflict"


def test_the_invoice_itself_says_whose_it_is(
    mistaken: Pair, org: Org, dashboard: stripe.StripeClient
) -> None:
    """A ledger that was lost knows no links; the invoice's metadata names Acme's record."""
    acme, globex = mistaken
    forget_links()
    with pytest.raises(Conflict, match=f"{acme.stripe_id} is of INV-0001"):
        void_invoice(globex.name)
    assert dashboard.v1.invoices.retrieve(acme.stripe_id).status == "open"


def test_a_draft_that_names_anothers_draft_is_neither_sent_nor_deletes_it(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Acme's sending was stopped with its draft in Stripe; Globex's record names that."""
    acme, globex = draft().name, draft(account="Globex").name
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(acme)
    [theirs] = dashboard.v1.invoices.list().data
    org.set(globex, Stripe_Invoice_Id__c=theirs.id)
    for act in (send_invoice, delete_draft):
        with pytest.raises(Conflict, match=f"{theirs.id} is of INV-0001"):
            act(globex)
    assert [invoice.id for invoice in dashboard.v1.invoices.list().data] == [theirs.id]
    assert org.count() == 2

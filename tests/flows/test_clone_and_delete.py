"""Drafts are deleted on both sides, and invoices cloned into new ones."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
import stripe
from prefect import flow

from flows.clone_invoice import clone_invoice
from flows.delete_draft import delete_draft
from flows.poll_events import poll_events
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import Conflict, NotFound, Rejected
from invoicing.ledger import timeline
from invoicing.ledger.models import EntryState
from tasks.records.invoices import read_invoice
from tasks.records.locks import lock_invoice
from tasks.records.timeline import make_entry
from tasks.sending.customer import ensure_customer
from tasks.sending.stripe_draft import create_draft
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org

Raise = Callable[..., InvoiceOutcome]


@flow
def in_stripe_too(name: str) -> str:
    """Let a draft's sending come as far as Stripe's draft; returns its id there."""
    with lock_invoice(name) as record_id:
        content = read_invoice(record_id)
        return create_draft(content, ensure_customer(content))


def test_a_draft_is_deleted_with_its_lines(draft: Raise, org: Org) -> None:
    """Nothing is left; asked again, it is deleted still; what never was, is said so."""
    name = draft().name
    assert delete_draft(name).sentence.startswith("INV-0001 for Acme Corporation is deleted")
    assert org.count() == 0
    assert org.query("SELECT Id FROM Stripe_Invoice_Line__c") == []
    assert delete_draft(name).sentence == "INV-0001 is deleted."
    with pytest.raises(NotFound):
        delete_draft("INV-0777")


def test_it_is_deleted_by_whatever_name(draft: Raise, org: Org) -> None:
    """Asked for again by the record's id, long or short, or by Stripe's."""
    one = draft()
    stripe_id = in_stripe_too(one.name)
    delete_draft(one.name)
    for name in (one.record_id, one.record_id[:15], stripe_id):
        assert delete_draft(name).sentence == f"{name} is deleted."


def test_timelines_do_not_wait_for_a_deleted_record(draft: Raise, org: Org) -> None:
    """What a killed run had proposed, or had not copied yet, goes with the record."""
    one = draft()
    entries = [
        make_entry(key, "Sent", record_id=one.record_id, state=state)
        for key, state in (("a", EntryState.PROPOSED), ("b", EntryState.HAPPENED))
    ]
    timeline.add(entries)
    delete_draft(one.name)
    poll_events()
    assert timeline.proposed() == []
    assert timeline.waiting() == []


def test_a_draft_that_stripe_has_too(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Stripe's goes first; its event changes nothing afterwards."""
    name = draft().name
    in_stripe_too(name)
    delete_draft(name)
    assert dashboard.v1.invoices.list().data == []
    assert org.count() == 0
    poll_events()
    assert org.count() == 0


@pytest.mark.parametrize(
    ("service", "path"), [("stripe", "/v1/invoices/*"), ("salesforce", "*/sobjects/*")]
)
def test_an_answer_to_the_deletion_is_lost(
    draft: Raise,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    salesforce_sandbox: Sandbox,
    service: str,
    path: str,
) -> None:
    """It is looked at before it is tried again."""
    name = draft().name
    in_stripe_too(name)
    sandbox = stripe_sandbox if service == "stripe" else salesforce_sandbox
    rule = {"kind": "lost", "method": "DELETE", "path": path, "count": 1}
    sandbox.admin("POST", "faults", rules=[rule])
    delete_draft(name)
    assert dashboard.v1.invoices.list().data == []
    assert org.count() == 0


def test_what_was_sent_is_not_deleted(sent: InvoiceOutcome, org: Org) -> None:
    """The record says why, and both sides keep it."""
    with pytest.raises(Rejected, match="void it instead"):
        delete_draft(sent.name)
    assert org.record(sent.name)["Status__c"] == "Open"


def test_a_draft_that_was_finalized_in_the_dashboard(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Both versions stay, for a person to decide."""
    name = draft().name
    dashboard.v1.invoices.add_lines(
        stripe_id := in_stripe_too(name), {"lines": [{"amount": 100, "description": "Extra"}]}
    )
    dashboard.v1.invoices.finalize_invoice(stripe_id)
    with pytest.raises(Conflict, match="no draft any more"):
        delete_draft(name)
    assert org.record(name)["Sync_State__c"] == "Conflict"


def test_a_sent_invoice_is_cloned(sent: InvoiceOutcome, org: Org) -> None:
    """The same lines and total, a life of its own; the same request makes one."""
    for _ in range(2):
        clone = clone_invoice(sent.name, due_date=NEXT_MONTH, request_id="december")
        assert clone.name == "INV-0002"
    assert org.count() == 2
    old, new = org.record(sent.name), org.record("INV-0002")
    assert (old["Status__c"], new["Status__c"]) == ("Open", "Draft")
    assert new["Stripe_Invoice_Id__c"] is None
    assert new["Total__c"] == old["Total__c"]
    descriptions = [line["Amount__c"] for line in new["Lines__r"]["records"]]
    assert descriptions == [line["Amount__c"] for line in old["Lines__r"]["records"]]


def test_terms_instead_of_a_due_date(draft: Raise, org: Org) -> None:
    """Days from the day of sending; both at once is refused, and so is a day that has passed."""
    name = draft().name
    assert "due Net 30" in clone_invoice(name, payment_terms="Net 30").sentence
    with pytest.raises(Rejected, match="not both"):
        clone_invoice(name, due_date=NEXT_MONTH, payment_terms="Net 30")
    org.set(name, Due_Date__c=(date.today() - timedelta(days=9)).isoformat())
    with pytest.raises(Rejected, match="has passed"):
        clone_invoice(name)
    assert org.count() == 2


def test_a_request_id_is_for_one_invoice(draft: Raise, org: Org) -> None:
    """Asked for another one under the same id, it is refused."""
    first, second = draft().name, draft().name
    clone_invoice(first, request_id="copy")
    with pytest.raises(Rejected, match="used before for INV-0003, with other content"):
        clone_invoice(second, request_id="copy")
    with pytest.raises(Rejected, match="used before for INV-0003, with other content"):
        clone_invoice(first, due_date=NEXT_MONTH + timedelta(days=1), request_id="copy")
    assert org.count() == 3

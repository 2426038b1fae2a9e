"""What happens to an invoice's money after it was sent comes back to the record."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from flows.full_sync import full_sync
from flows.handle_events import handle_events
from flows.poll_events import poll_events
from flows.send_invoice import send_invoice
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.errors import Rejected
from invoicing.ledger import inbox
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.flows.events import event_from

MONEY = (
    "Id, Name, Status__c, Payment_State__c, Amount_Paid__c, Amount_Remaining__c, "
    "Amount_Credited__c, Amount_Refunded__c, Amount_Overpaid__c, Amount_Disputed__c, "
    "Dispute_Status__c, Payment_Problem__c"
)


def money(org: Org) -> dict[str, Any]:
    """Where the money of the only invoice stands."""
    [record] = org.query(f"SELECT {MONEY} FROM Stripe_Invoice__c")
    return record


def pay(invoice: InvoiceOutcome, card: str = "4242424242424242", **form: str) -> None:
    """Pay as the customer does, on the hosted page; a refused card is an answer as well."""
    requests.post(invoice.hosted_invoice_url, data={"card": card, **form}, timeout=60)


@pytest.fixture
def paid(sent: InvoiceOutcome, stripe_sandbox: Sandbox) -> InvoiceOutcome:
    """An invoice that was paid by card, and everybody knows."""
    pay(sent)
    poll_events()
    return sent


def payment_intent(dashboard: stripe.StripeClient, invoice: InvoiceOutcome) -> str:
    """The payment intent that paid an invoice."""
    listed = dashboard.v1.invoice_payments.list({"invoice": invoice.stripe_id, "status": "paid"})
    return str(listed.data[0].payment.payment_intent)


def test_refunds_in_parts(paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient) -> None:
    """Two refunds in the dashboard: partly refunded, then refunded; the invoice stays paid."""
    intent = payment_intent(dashboard, paid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 45000})
    assert "1 invoice looked at, 1 changed" in poll_events().sentence
    record = money(org)
    assert (record["Status__c"], record["Payment_State__c"]) == ("Paid", "Partly Refunded")
    assert record["Amount_Refunded__c"] == 450
    dashboard.v1.refunds.create({"payment_intent": intent})
    poll_events()
    assert money(org)["Payment_State__c"] == "Refunded"
    assert money(org)["Amount_Refunded__c"] == 2450


def test_a_refund_that_the_bank_returns(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The money is back with the merchant, and the record says paid again."""
    intent = payment_intent(dashboard, paid)
    refund = dashboard.v1.refunds.create({"payment_intent": intent})
    poll_events()
    stripe_sandbox.admin("POST", "refunds/fail", refund=refund.id)
    poll_events()
    assert money(org)["Payment_State__c"] == "Paid"
    assert money(org)["Amount_Refunded__c"] is None


def test_a_payment_that_is_unapplied_opens_its_invoice_again(
    paid: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """In the dashboard; the record is open, is to be paid again, and can be."""
    stripe_sandbox.admin("POST", "payments/unapply", invoice=paid.stripe_id)
    assert "1 invoice looked at, 1 changed" in poll_events().sentence
    record = money(org)
    assert (record["Status__c"], record["Payment_State__c"]) == ("Open", "Unpaid")
    assert (record["Amount_Paid__c"], record["Amount_Remaining__c"]) == (0, 2450)
    [*_, reopened] = org.query(
        "SELECT What__c FROM Stripe_Invoice_Event__c ORDER BY Happened_At__c, Name"
    )
    assert reopened["What__c"].startswith("Paid → Open")
    pay(paid)
    poll_events()
    assert (money(org)["Status__c"], money(org)["Payment_State__c"]) == ("Paid", "Paid")


@pytest.mark.parametrize(
    ("verdict", "state", "held"), [("won", "Paid", None), ("lost", "Disputed", 2450)]
)
def test_a_dispute_from_its_opening_to_its_end(
    paid: InvoiceOutcome,
    org: Org,
    stripe_sandbox: Sandbox,
    verdict: str,
    state: str,
    held: float | None,
) -> None:
    """Disputed while it is open; afterwards it depends on who won."""
    dispute = stripe_sandbox.admin("POST", "disputes", invoice=paid.stripe_id)
    poll_events()
    record = money(org)
    assert (record["Payment_State__c"], record["Dispute_Status__c"]) == (
        "Disputed",
        "Needs response",
    )
    assert record["Amount_Disputed__c"] == 2450
    stripe_sandbox.admin("POST", "disputes/close", dispute=dispute["id"], status=verdict)
    poll_events()
    record = money(org)
    assert (record["Payment_State__c"], record["Dispute_Status__c"]) == (state, verdict.title())
    assert record["Amount_Disputed__c"] == held


def test_a_full_sync_keeps_what_it_cannot_see(
    paid: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """An invoice's page says nothing of disputes: no drift, and nothing is erased."""
    stripe_sandbox.admin("POST", "disputes", invoice=paid.stripe_id)
    poll_events()
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    org.set("INV-0001", Payment_State__c="Paid", Amount_Disputed__c=None)
    assert "1 differed" in full_sync().sentence
    assert money(org)["Payment_State__c"] == "Disputed"
    assert money(org)["Amount_Disputed__c"] == 2450


def test_a_refused_card_is_said_in_words(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """The reason stands on the record until the customer pays with another card."""
    pay(sent, card="4000000000009995")
    poll_events()
    record = money(org)
    assert (record["Status__c"], record["Payment_State__c"]) == ("Open", "Unpaid")
    assert (
        record["Payment_Problem__c"]
        == "The customer's card was declined. Reason: insufficient funds."
    )
    pay(sent)
    poll_events()
    assert money(org)["Payment_Problem__c"] is None


@pytest.fixture
def unconfirmed(
    draft: Callable[..., InvoiceOutcome], dashboard: stripe.StripeClient
) -> InvoiceOutcome:
    """An invoice charged to a saved card whose holder confirms each payment with the bank."""
    drafted = draft(due_date=None, options=Options(collection="Charge Automatically"))
    with pytest.raises(Rejected, match="no payment method saved"):
        send_invoice(drafted.name)
    [customer] = dashboard.v1.customers.list().data
    card = dashboard.v1.payment_methods.attach(
        "pm_card_authenticationRequired", {"customer": customer.id}
    )
    dashboard.v1.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": card.id}}
    )
    with pytest.raises(Rejected, match="the customer has to confirm the payment with their bank"):
        send_invoice(drafted.name)
    return drafted


def confirm(dashboard: stripe.StripeClient, answer: str) -> None:
    """Answer the bank, as the customer does who followed the link on the invoice's page."""
    [invoice] = dashboard.v1.invoices.list().data
    page = requests.get(str(invoice.hosted_invoice_url), timeout=60).text
    link = re.search(r'href="([^"]+/3ds/[^"]+)"', page)
    assert link is not None
    requests.post(link[1], data={"answer": answer}, timeout=60)


def test_an_automatic_charge_that_the_customer_has_to_confirm(
    unconfirmed: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """The record says what the payment waits for, until the customer has confirmed it."""
    poll_events()
    record = money(org)
    assert (record["Status__c"], record["Payment_State__c"]) == ("Open", "Unpaid")
    waits = "The customer has to confirm the payment with their bank."
    assert record["Payment_Problem__c"] == waits
    confirm(dashboard, "complete")
    poll_events()
    record = money(org)
    assert (record["Status__c"], record["Payment_State__c"]) == ("Paid", "Paid")
    assert record["Payment_Problem__c"] is None
    assert org.record(unconfirmed.name)["Sync_State__c"] == "Clean"
    assert full_sync().sentence == "1 invoice compared, 0 differed."


def test_a_charge_that_the_bank_did_not_confirm(
    unconfirmed: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """It is a failed payment; the customer pays otherwise, and sending again charges nobody."""
    confirm(dashboard, "fail")
    poll_events()
    assert "bank did not confirm the payment" in money(org)["Payment_Problem__c"]
    [invoice] = dashboard.v1.invoices.list().data
    requests.post(str(invoice.hosted_invoice_url), data={"card": "4242424242424242"}, timeout=60)
    assert send_invoice(unconfirmed.name).status == "Paid"
    assert money(org)["Payment_Problem__c"] is None
    assert len(dashboard.v1.charges.list().data) == 1


def test_a_credit_note_before_payment(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """It lowers what remains, and the record says by how much."""
    dashboard.v1.credit_notes.create({"invoice": sent.stripe_id, "amount": 5000})
    poll_events()
    record = money(org)
    assert (record["Amount_Credited__c"], record["Amount_Remaining__c"]) == (50, 2400)


def test_a_credit_note_with_a_refund(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Credited and given back at once."""
    dashboard.v1.credit_notes.create(
        {"invoice": paid.stripe_id, "amount": 45000, "refund_amount": 45000}
    )
    poll_events()
    record = money(org)
    assert (record["Amount_Credited__c"], record["Amount_Refunded__c"]) == (450, 450)
    assert record["Payment_State__c"] == "Partly Refunded"


def test_a_missed_credit_note_is_found_by_the_full_sync(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """The invoice's page tells of the credit, and that tells where to look for the refund."""
    dashboard.v1.credit_notes.create(
        {"invoice": paid.stripe_id, "amount": 45000, "refund_amount": 45000}
    )
    assert "1 differed" in full_sync().sentence
    assert money(org)["Amount_Refunded__c"] == 450
    assert full_sync().sentence == "1 invoice compared, 0 differed."


def test_refunds_and_disputes_that_nobody_told_of(
    paid: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """No event came: the full sync lists what went back since its last look, once."""
    full_sync()
    intent = payment_intent(dashboard, paid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 45000})
    full_sync()
    assert money(org)["Payment_State__c"] == "Partly Refunded"
    stripe_sandbox.admin("POST", "disputes", invoice=paid.stripe_id)
    full_sync()
    assert money(org)["Payment_State__c"] == "Disputed"
    assert full_sync().sentence == "1 invoice compared, 0 differed."


def test_a_dispute_that_ended_while_nobody_listened(
    paid: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Its opening was told, its end was not: the full sync asks for it until it is over."""
    dispute = stripe_sandbox.admin("POST", "disputes", invoice=paid.stripe_id)
    poll_events()
    assert money(org)["Payment_State__c"] == "Disputed"
    stripe_sandbox.admin("POST", "disputes/close", dispute=dispute["id"], status="won")
    full_sync()
    assert money(org)["Payment_State__c"] == "Paid"


def test_a_refund_that_the_bank_returned_while_nobody_listened(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Its beginning was told, its failure was not: the full sync sees that the money is back."""
    refund = dashboard.v1.refunds.create({"payment_intent": payment_intent(dashboard, paid)})
    poll_events()
    full_sync()
    assert money(org)["Payment_State__c"] == "Refunded"
    stripe_sandbox.admin("POST", "refunds/fail", refund=refund.id)
    full_sync()
    assert money(org)["Payment_State__c"] == "Paid"


def test_a_refund_that_stripe_lists_late(
    paid: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The night that should have seen it did not; the next one does."""
    intent = payment_intent(dashboard, paid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 45000})
    with monkeypatch.context() as patch:
        patch.setattr(Stripe, "refunds_and_disputes", lambda *_: iter(()))
        full_sync()
    assert money(org)["Payment_State__c"] == "Paid"
    full_sync()
    assert money(org)["Payment_State__c"] == "Partly Refunded"


def test_more_money_than_was_asked_for(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """What is too much is the customer's credit, and the record says so."""
    customer = dashboard.v1.invoices.retrieve(sent.stripe_id).customer
    intent = dashboard.v1.payment_intents.create(
        {
            "amount": 250000,
            "currency": "usd",
            "customer": str(customer),
            "payment_method": "pm_card_visa",
            "confirm": True,
        }
    )
    dashboard.v1.invoices.attach_payment(sent.stripe_id, {"payment_intent": intent.id})
    poll_events()
    record = money(org)
    assert (record["Payment_State__c"], record["Amount_Overpaid__c"]) == ("Overpaid", 50)


def test_a_burst_about_one_payment_is_looked_up_once(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Four events of one refund: the payment's invoice, the invoice, its refunds and disputes."""
    intent = payment_intent(dashboard, paid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 100})
    news = [
        event_from(event.to_dict())
        for event in dashboard.v1.events.list({"limit": 100}).data
        if event.type in ("refund.created", "refund.updated", "charge.refunded")
    ]
    inbox.receive(news)
    stripe_sandbox.admin("DELETE", "requests")
    handle_events()
    assert money(org)["Amount_Refunded__c"] == 1
    assert stripe_sandbox.admin("GET", "requests")["count"] == 4


def test_money_of_other_business_is_nothing_to_us(
    org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """A refund of a payment without an invoice is passed over without a word."""
    intent = dashboard.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    dashboard.v1.refunds.create({"payment_intent": intent.id})
    assert poll_events().sentence.endswith("Nothing was waiting.")
    assert not inbox.backlog()


def test_a_customer_changed_in_stripe_shows_on_the_account(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Another address in Stripe is seen in Salesforce before the next invoice goes there."""
    poll_events()
    [account] = org.query(
        "SELECT Stripe_Customer_Id__c FROM Account WHERE Name = 'Acme Corporation'"
    )
    customer = account["Stripe_Customer_Id__c"]
    dashboard.v1.customers.update(customer, {"email": "ap@acme.example.com"})
    poll_events()
    fields = "Stripe_Customer_Email__c, Stripe_Customer_Name__c"
    query = f"SELECT {fields} FROM Account WHERE Name = 'Acme Corporation'"
    assert org.query(query)[0]["Stripe_Customer_Email__c"] == "ap@acme.example.com"
    assert org.query(query)[0]["Stripe_Customer_Name__c"] is None
    dashboard.v1.customers.delete(customer)
    poll_events()
    assert org.query(query)[0]["Stripe_Customer_Name__c"] == "(deleted in Stripe)"


def test_a_thin_event_names_the_refund_only(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """The refund is read, its payment named, and the payment's invoice put right."""
    intent = payment_intent(dashboard, paid)
    refund = dashboard.v1.refunds.create({"payment_intent": intent, "amount": 45000})
    about = {"id": refund.id, "type": "refund", "url": f"/v1/refunds/{refund.id}"}
    event = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.refund.created",
        "livemode": True,
        "created": "2026-11-23T00:00:00.000Z",
        "context": None,
        "related_object": about,
    }
    inbox.receive([event_from(event)])
    handle_events()
    assert money(org)["Amount_Refunded__c"] == 450
    assert not inbox.backlog()

"""Money that went back is known: nothing is given twice, whoever gave it first."""

from decimal import Decimal
from typing import Any

import pytest
import stripe

from flows.credit_invoice import credit_invoice
from flows.full_sync import full_sync
from flows.handle_events import handle_events
from flows.poll_events import poll_events
from flows.record_payment import record_payment
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors.stripe import client
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import CreditLine, LineItem
from invoicing.domain.stripe.payment_facts import PaymentName
from invoicing.errors import InvoicingError, Rejected
from invoicing.ledger import inbox
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.flows.events import event_from
from tests.flows.test_payments_after_sending import money, pay, payment_intent

IN_STEP = "1 invoice compared, 0 differed."


@pytest.fixture
def paid(sent: InvoiceOutcome) -> InvoiceOutcome:
    """An invoice over 2,450 dollars that was paid by card, and everybody knows."""
    pay(sent)
    poll_events()
    return sent


def state(org: Org) -> tuple[str, str]:
    """Status and payment state of the only invoice."""
    record = money(org)
    return record["Status__c"], record["Payment_State__c"]


def notes(dashboard: stripe.StripeClient) -> list[stripe.CreditNote]:
    """All credit notes, newest first."""
    return dashboard.v1.credit_notes.list().data


def lose(stripe_sandbox: Sandbox, invoice: InvoiceOutcome, **about: Any) -> None:
    """The customer's bank claims a payment back, and gets it."""
    dispute = stripe_sandbox.admin("POST", "disputes", invoice=invoice.stripe_id, **about)
    stripe_sandbox.admin("POST", "disputes/close", dispute=dispute["id"], status="lost")
    poll_events()


@pytest.mark.parametrize("way", ["refund", "customer balance", "out of band"])
def test_what_was_refunded_in_the_dashboard_is_not_given_again(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, way: Any
) -> None:
    """Refused, with the way that is right: a credit note for the refund, by which none moves."""
    refund = dashboard.v1.refunds.create({"payment_intent": payment_intent(dashboard, paid)})
    with pytest.raises(Rejected, match=r"2,450.00 USD of INV-0001 .*already, on \d+ \w{3} 20"):
        credit_invoice(paid.name, give_back=way)
    assert notes(dashboard) == []
    for _ in range(2):
        outcome = credit_invoice(paid.name, give_back="refunded already", request_id="books")
    assert "2,450.00 USD credited (2,450.00 USD refunded before)" in outcome.sentence
    [note] = notes(dashboard)
    assert [(str(each.refund), each.amount_refunded) for each in note.refunds] == [
        (refund.id, 245000)
    ]
    assert len(dashboard.v1.refunds.list().data) == 1
    assert state(org) == ("Paid", "Refunded")
    assert (money(org)["Amount_Credited__c"], money(org)["Amount_Refunded__c"]) == (2450, 2450)
    assert full_sync().sentence == IN_STEP


def test_a_refund_of_a_part_gets_its_credit_note_before_more_is_given(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """450 were refunded: first the credit note for those, then the rest, and no more."""
    intent = payment_intent(dashboard, paid)
    for cents in (10000, 35000):
        dashboard.v1.refunds.create({"payment_intent": intent, "amount": cents})
    with pytest.raises(Rejected, match=r"Credit 450.00 USD first, and choose refunded already"):
        credit_invoice(paid.name, Decimal("450"), give_back="refund")
    with pytest.raises(Rejected, match=r"Only 450.00 USD of INV-0001 was refunded without"):
        credit_invoice(paid.name, give_back="refunded already")
    credit_invoice(paid.name, Decimal("350"), give_back="refunded already")
    credit_invoice(paid.name, Decimal("100"), give_back="refunded already")
    linked = [[each.amount_refunded for each in note.refunds] for note in notes(dashboard)]
    assert linked == [[10000], [35000]]
    with pytest.raises(Rejected, match="No refund of INV-0001 lacks its credit note"):
        credit_invoice(paid.name, Decimal("100"), give_back="refunded already", request_id="more")
    credit_invoice(paid.name, give_back="refund")
    assert sum(refund.amount for refund in dashboard.v1.refunds.list().data) == 245000
    assert state(org) == ("Paid", "Refunded")
    assert money(org)["Payment_Problem__c"] is None


@pytest.mark.parametrize("kind", ["lost", "fail_after"])
def test_a_lost_answer_makes_one_credit_note_for_a_refund(
    paid: InvoiceOutcome, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox, kind: str
) -> None:
    """The same request goes on, and finds what it made."""
    dashboard.v1.refunds.create({"payment_intent": payment_intent(dashboard, paid)})
    rule = {"kind": kind, "method": "POST", "path": "/v1/credit_notes", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    try:
        credit_invoice(paid.name, give_back="refunded already", request_id="r")
    except InvoicingError:
        credit_invoice(paid.name, give_back="refunded already", request_id="r")
    assert [note.amount for note in notes(dashboard)] == [245000]


@pytest.mark.parametrize("way", ["refund", "customer balance"])
def test_what_a_lost_dispute_took_is_credited_for_the_books_only(
    paid: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    way: Any,
) -> None:
    """Refused for refund and balance; out of band, and nobody is told to pay it back."""
    lose(stripe_sandbox, paid)
    with pytest.raises(Rejected, match=r"a dispute was lost.*choose out of band"):
        credit_invoice(paid.name, give_back=way)
    for _ in range(2):
        told = credit_invoice(paid.name, give_back="out of band", request_id="books").sentence
        assert "(2,450.00 USD taken back by the lost dispute)" in told
    [note] = notes(dashboard)
    assert note.out_of_band_amount == 245000
    assert state(org) == ("Paid", "Disputed")
    assert money(org)["Payment_Problem__c"] is None


def test_what_a_lost_dispute_took_is_paid_again(
    paid: InvoiceOutcome, stripe_sandbox: Sandbox
) -> None:
    """Nobody is told to send that money back: it belongs on a new invoice."""
    lose(stripe_sandbox, paid)
    with pytest.raises(Rejected, match=r"2,450.00 USD went back by a dispute.*raise a new invoice"):
        record_payment(paid.name, Decimal("2450"))


def test_a_part_lost_and_the_rest_given_back(
    paid: InvoiceOutcome, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The books first; what is left may go to the balance, and no more than that."""
    lose(stripe_sandbox, paid, amount=45000)
    with pytest.raises(Rejected, match=r"Credit 450.00 USD first"):
        credit_invoice(paid.name, give_back="out of band")
    credit_invoice(paid.name, Decimal("450"), give_back="out of band")
    credit_invoice(paid.name, give_back="customer balance")
    assert [note.post_payment_amount for note in notes(dashboard)] == [200000, 45000]
    [customer] = dashboard.v1.customers.list().data
    assert customer.balance == -200000


def test_a_refund_that_failed_behind_its_credit_note(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The credit note stays, the money is with us: the record says so until it is refunded anew."""
    credit_invoice(paid.name, Decimal("450"), give_back="refund")
    [refund] = dashboard.v1.refunds.list().data
    stripe_sandbox.admin("POST", "refunds/fail", refund=refund.id)
    poll_events()
    assert state(org) == ("Paid", "Paid")
    assert str(money(org)["Payment_Problem__c"]).startswith(
        "450.00 USD that a credit note says is refunded never arrived: the bank returned it"
    )
    assert full_sync().sentence == IN_STEP
    intent = payment_intent(dashboard, paid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 45000})
    poll_events()
    assert money(org)["Payment_Problem__c"] is None
    assert state(org) == ("Paid", "Partly Refunded")


def test_an_inquiry_takes_nothing(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The bank only asks: nothing is withdrawn, and a refund is the way to have it closed."""
    asked = stripe_sandbox.admin("POST", "disputes", invoice=paid.stripe_id, inquiry=True)
    poll_events()
    assert state(org) == ("Paid", "Paid")
    record = money(org)
    assert record["Dispute_Status__c"] == "Warning needs response"
    assert record["Amount_Disputed__c"] is None
    credit_invoice(paid.name, give_back="refund")
    assert [refund.amount for refund in dashboard.v1.refunds.list().data] == [245000]
    stripe_sandbox.admin("POST", "disputes/close", dispute=asked["id"], status="warning_closed")
    poll_events()
    assert state(org) == ("Paid", "Refunded")
    assert full_sync().sentence == IN_STEP


def test_what_is_disputed_is_not_given_back_meanwhile(
    paid: InvoiceOutcome, stripe_sandbox: Sandbox
) -> None:
    """The bank may take it for good."""
    stripe_sandbox.admin("POST", "disputes", invoice=paid.stripe_id)
    with pytest.raises(Rejected, match=r"2,450.00 USD of INV-0001 is disputed.*Wait until"):
        credit_invoice(paid.name, give_back="customer balance")


def test_a_dispute_in_other_money(paid: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox) -> None:
    """Euros are not taken for dollars: all of the payment is held, and the status says how much."""
    about = {"invoice": paid.stripe_id, "amount": 210000, "currency": "eur"}
    stripe_sandbox.admin("POST", "disputes", **about)
    poll_events()
    record = money(org)
    assert record["Amount_Disputed__c"] == 2450
    assert record["Dispute_Status__c"] == "Needs response, 2,100.00 EUR"


def test_a_cheque_that_is_given_back_by_hand(sent: InvoiceOutcome, org: Org) -> None:
    """Credited out of band: partly refunded, then refunded."""
    record_payment(sent.name, paid_by="cheque")
    credit_invoice(sent.name, Decimal("450"), give_back="out of band")
    assert state(org) == ("Paid", "Partly Refunded")
    credit_invoice(sent.name, give_back="out of band")
    assert state(org) == ("Paid", "Refunded")
    assert money(org)["Amount_Credited__c"] == 2450
    assert full_sync().sentence == IN_STEP


def test_what_came_in_two_ways_goes_back_in_two_ways(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """450 by cheque and 2,000 by card: no card is given back the cheque, and nothing goes twice."""
    record_payment(sent.name, Decimal("450"), paid_by="cheque")
    pay(sent)
    poll_events()
    assert state(org) == ("Paid", "Paid")
    with pytest.raises(Rejected, match=r"Stripe collected only 2,000\.00 USD"):
        credit_invoice(sent.name, give_back="refund")
    credit_invoice(sent.name, Decimal("2000"), give_back="refund")
    assert state(org) == ("Paid", "Partly Refunded")
    with pytest.raises(Rejected, match="Stripe collected only"):
        credit_invoice(sent.name, Decimal("450"), give_back="refund")
    credit_invoice(sent.name, give_back="out of band")
    assert state(org) == ("Paid", "Refunded")
    assert [note.amount for note in notes(dashboard)] == [45000, 200000]
    assert [refund.amount for refund in dashboard.v1.refunds.list().data] == [200000]
    assert full_sync().sentence == IN_STEP


@pytest.mark.parametrize(
    ("currency", "price", "part", "minor"),
    [("JPY", "12500", "5000", 1), ("KWD", "12.50", "5.01", 1000)],
)
def test_money_without_cents_and_with_three_decimals(
    draft: Any,
    org: Org,
    dashboard: stripe.StripeClient,
    currency: str,
    price: str,
    part: str,
    minor: int,
) -> None:
    """A part by cheque, the rest by card, each given back: equal on both sides to the last coin."""
    lines = [LineItem(description="Work", unit_price=price)]
    sent = send_invoice(draft(currency=currency, lines=lines).name)
    there = dashboard.v1.invoices.retrieve(sent.stripe_id)
    whole, some = round(Decimal(price) * minor), round(Decimal(part) * minor)
    assert (there.amount_due, there.currency) == (whole, currency.lower())
    record_payment(sent.name, Decimal(part), paid_by="cheque")
    dashboard.v1.invoices.pay(sent.stripe_id, {"payment_method": "pm_card_visa"})
    poll_events()
    assert money(org)["Amount_Paid__c"] == Decimal(price)
    credit_invoice(sent.name, Decimal(price) - Decimal(part), give_back="refund")
    credit_invoice(sent.name, give_back="out of band")
    assert [refund.amount for refund in dashboard.v1.refunds.list().data] == [whole - some]
    record = money(org)
    assert (record["Status__c"], record["Payment_State__c"]) == ("Paid", "Refunded")
    assert record["Amount_Credited__c"] == Decimal(price)
    assert record["Amount_Refunded__c"] == Decimal(price) - Decimal(part)
    assert full_sync().sentence == IN_STEP


@pytest.fixture
def overpaid(sent: InvoiceOutcome, dashboard: stripe.StripeClient) -> InvoiceOutcome:
    """An invoice over 2,450 dollars on which 2,500 were paid; 50 are on the balance."""
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
    return sent


@pytest.mark.parametrize(
    ("refunded", "payment_state", "twice"),
    [(2000, "Overpaid", "20.00"), (5000, "Paid", "50.00"), (250000, "Refunded", "50.00")],
)
def test_what_was_too_much_and_was_given_twice(
    overpaid: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    refunded: int,
    payment_state: str,
    twice: str,
) -> None:
    """It is on the balance already; refunding it too is a warning and no refund of the invoice."""
    intent = payment_intent(dashboard, overpaid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": refunded})
    poll_events()
    assert state(org) == ("Paid", payment_state)
    assert money(org)["Payment_Problem__c"] == (
        f"{twice} USD went back twice: on the customer's balance and by a refund. "
        "If nobody meant that, take it off the customer's balance in Stripe."
    )
    assert full_sync().sentence == IN_STEP


def test_a_credit_of_an_overpaid_invoice(
    overpaid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """The refund of what was too much needs no credit note, and stops no other credit."""
    intent = payment_intent(dashboard, overpaid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 5000})
    credit_invoice(overpaid.name, Decimal("450"), give_back="refund")
    assert state(org) == ("Paid", "Partly Refunded")
    assert "50.00 USD went back twice" in money(org)["Payment_Problem__c"]


def test_credited_to_the_balance_and_refunded_by_somebody_else(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Nobody can stop the dashboard, but the record says it."""
    credit_invoice(paid.name, Decimal("450"), give_back="customer balance")
    assert state(org) == ("Paid", "Paid")
    intent = payment_intent(dashboard, paid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 45000})
    poll_events()
    assert "450.00 USD went back twice" in money(org)["Payment_Problem__c"]


def test_a_part_payment_and_its_refund(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Of a part that was paid, a part goes back, then all of it; the invoice stays open."""
    pay(sent, amount="450.00")
    poll_events()
    intent = payment_intent(dashboard, sent)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 10000})
    poll_events()
    assert state(org) == ("Open", "Partly Refunded")
    dashboard.v1.refunds.create({"payment_intent": intent})
    poll_events()
    assert state(org) == ("Open", "Refunded")
    with pytest.raises(Rejected, match="a credit lowers that first"):
        credit_invoice(sent.name, Decimal("450"), give_back="refunded already")
    credit_invoice(sent.name, give_back="refunded already")
    assert state(org) == ("Paid", "Refunded")


def test_a_line_is_credited_once(paid: InvoiceOutcome, dashboard: stripe.StripeClient) -> None:
    """A second time is refused, and so is more than earlier credits have left of it."""
    line, part = [CreditLine(line=1)], [CreditLine(line=1, amount="300")]
    credit_invoice(paid.name, lines=part, give_back="refund")
    with pytest.raises(Rejected, match=r"Line 1 \(.*\) has 150.00 USD left to credit; 300.00 USD"):
        credit_invoice(paid.name, lines=part, give_back="refund", request_id="again")
    with pytest.raises(Rejected, match=r"has 150.00 USD left to credit"):
        credit_invoice(paid.name, lines=[CreditLine(line=1, quantity=2)], give_back="refund")
    credit_invoice(paid.name, lines=line, give_back="refund")
    with pytest.raises(Rejected, match=r"Line 1 \(.*\) has been credited whole already"):
        credit_invoice(paid.name, lines=line, give_back="refund", request_id="again")
    assert [note.amount for note in notes(dashboard)] == [15000, 30000]


def test_a_line_credited_by_quantity_in_the_dashboard(
    paid: InvoiceOutcome, dashboard: stripe.StripeClient
) -> None:
    """Stripe takes no amount of it then: units are credited, up to what is left."""
    first = dashboard.v1.invoices.retrieve(paid.stripe_id).lines.data
    [line] = [each for each in first if each.quantity == 3]
    entry: Any = {"type": "invoice_line_item", "invoice_line_item": line.id, "quantity": 1}
    dashboard.v1.credit_notes.create(
        {"invoice": paid.stripe_id, "lines": [entry], "refund_amount": 15000}
    )
    with pytest.raises(Rejected, match="give a quantity, up to 2"):
        credit_invoice(paid.name, lines=[CreditLine(line=1, amount="50")], give_back="refund")
    with pytest.raises(Rejected, match=r"300.00 USD left to credit"):
        credit_invoice(paid.name, lines=[CreditLine(line=1, quantity=3)], give_back="refund")
    credit_invoice(paid.name, lines=[CreditLine(line=1, quantity=1)], give_back="refund")
    credit_invoice(paid.name, lines=[CreditLine(line=1)], give_back="refund")
    assert sum(refund.amount for refund in dashboard.v1.refunds.list().data) == 45000


def test_charges_without_a_payment_intent_do_not_stop_the_night(
    paid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Refunds and disputes of other business are passed over, with their own amounts and money."""
    v1 = dashboard.v1
    [customer] = v1.customers.list().data
    for whose in ({}, {"customer": customer.id}):
        made: Any = {"amount": 5000, "currency": "usd", "source": "tok_visa", **whose}
        charge = v1.charges.create(made)
        v1.refunds.create({"charge": charge.id, "amount": 1000})
        about = {"charge": charge.id, "amount": 3700, "currency": "eur"}
        stripe_sandbox.admin("POST", "disputes", **about)
        assert client().invoice_of_payment(PaymentName("charge", charge.id)) is None
    assert full_sync().sentence == IN_STEP
    poll_events()
    assert not inbox.backlog()
    assert money(org)["Payment_State__c"] == "Paid"


def test_paid_and_disputed_in_the_same_moment(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """The dispute names a charge only, and still goes where the payment goes: one reading."""
    pay(sent)
    stripe_sandbox.admin("POST", "disputes", invoice=sent.stripe_id)
    stripe_sandbox.admin("DELETE", "requests")
    poll_events()
    asked = [request["path"] for request in stripe_sandbox.admin("GET", "requests")["requests"]]
    assert asked.count(f"/v1/invoices/{sent.stripe_id}") == 1
    assert state(org) == ("Paid", "Disputed")


def test_a_charge_that_stripe_does_not_have(paid: InvoiceOutcome, org: Org) -> None:
    """A dispute names a charge that is gone: passed over, and no dead letter."""
    about = {"id": "du_1", "object": "dispute", "charge": "ch_gone", "payment_intent": None}
    event = {
        "id": "evt_gone",
        "object": "event",
        "type": "charge.dispute.created",
        "livemode": True,
        "created": 1764000000,
        "data": {"object": about},
    }
    inbox.receive([event_from(event)])
    handle_events()
    assert not inbox.backlog()
    assert inbox.dead_letters("acct_1SandboxAcme") == []


def test_an_old_invoice_that_was_paid_by_a_charge(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Without a payment intent too, its refund and its dispute reach the record."""
    charge = stripe_sandbox.admin("POST", "charges", invoice=sent.stripe_id)
    poll_events()
    assert state(org) == ("Paid", "Paid")
    dashboard.v1.refunds.create({"charge": charge["id"], "amount": 45000})
    poll_events()
    assert state(org) == ("Paid", "Partly Refunded")
    with pytest.raises(Rejected, match=r"450.00 USD of INV-0001 was refunded already"):
        credit_invoice(sent.name, Decimal("450"), give_back="refund")
    credit_invoice(sent.name, Decimal("450"), give_back="refunded already")
    stripe_sandbox.admin("POST", "disputes", charge=charge["id"], amount=200000)
    full_sync()
    assert state(org) == ("Paid", "Disputed")
    assert money(org)["Amount_Disputed__c"] == 2000


def test_what_the_record_says_can_be_read_again(
    overpaid: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """An erased warning comes back by a sync, though nothing has changed in Stripe."""
    intent = payment_intent(dashboard, overpaid)
    dashboard.v1.refunds.create({"payment_intent": intent, "amount": 5000})
    poll_events()
    org.set(overpaid.name, Payment_Problem__c=None)
    sync_invoice(overpaid.name)
    assert "went back twice" in money(org)["Payment_Problem__c"]

"""What was checked is looked at once more before each try: somebody may have been faster."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import stripe

from flows.credit_invoice import credit_invoice
from flows.record_payment import record_payment
from flows.void_invoice import void_invoice
from flows.write_off_invoice import write_off_invoice
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import Rejected, TransientError
from tests.flows.conftest import Org
from tests.flows.test_money_back import notes
from tests.flows.test_payments_after_sending import pay, payment_intent

Before = Callable[[str, Callable[[], Any]], None]


@pytest.fixture
def before_a_retry(monkeypatch: pytest.MonkeyPatch) -> Before:
    """Lose the first call of a method of the connector, and let something happen then."""

    def lose(method: str, happens: Callable[[], Any]) -> None:
        call = getattr(Stripe, method)

        def first(*_: Any) -> Any:
            monkeypatch.setattr(Stripe, method, call)
            happens()
            raise TransientError("Stripe did not answer.")

        monkeypatch.setattr(Stripe, method, first)

    return lose


@pytest.fixture
def at_the_call(monkeypatch: pytest.MonkeyPatch) -> Before:
    """Let something happen in the last moment before a call, when nothing is looked at any more."""

    def happens_at(method: str, happens: Callable[[], Any]) -> None:
        call = getattr(Stripe, method)

        def at(*arguments: Any) -> Any:
            monkeypatch.setattr(Stripe, method, call)
            happens()
            return call(*arguments)

        monkeypatch.setattr(Stripe, method, at)

    return happens_at


@pytest.mark.parametrize("way", ["refund", "customer balance", "out of band"])
def test_refunded_in_the_dashboard_before_the_credit_was_tried_again(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, before_a_retry: Before, way: Any
) -> None:
    """The same money is not given twice, and the person reads which way is left."""
    pay(sent)
    intent = payment_intent(dashboard, sent)
    before_a_retry(
        "create_credit_note", lambda: dashboard.v1.refunds.create({"payment_intent": intent})
    )
    with pytest.raises(Rejected, match=r"changed in Stripe meanwhile.*choose refunded already"):
        credit_invoice(sent.name, give_back=way, request_id="once")
    assert notes(dashboard) == []
    assert dashboard.v1.customers.list().data[0].balance == 0
    credit_invoice(sent.name, give_back="refunded already", request_id="books")
    assert [note.amount for note in notes(dashboard)] == [245000]


def test_paid_before_the_credit_was_tried_again(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, before_a_retry: Before
) -> None:
    """What was to lower the debt would give money back now: a person chooses where it goes."""
    before_a_retry("create_credit_note", lambda: pay(sent))
    with pytest.raises(Rejected, match=r"changed in Stripe meanwhile.*Choose where that goes"):
        credit_invoice(sent.name, request_id="once")
    assert notes(dashboard) == []
    credit_invoice(sent.name, give_back="refund", request_id="again")
    assert [note.post_payment_amount for note in notes(dashboard)] == [245000]


def test_credited_in_part_before_the_credit_of_all_was_tried_again(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, before_a_retry: Before
) -> None:
    """All that was left is less now; both sums are said, and asking again credits the rest."""

    def credit_a_part() -> None:
        dashboard.v1.credit_notes.create({"invoice": sent.stripe_id, "amount": 45000})

    before_a_retry("create_credit_note", credit_a_part)
    with pytest.raises(Rejected, match=r"checked was 2,450.00 USD.*now it would be 2,000.00 USD"):
        credit_invoice(sent.name, request_id="once")
    credit_invoice(sent.name, request_id="once")
    assert [note.amount for note in notes(dashboard)] == [200000, 45000]


def pay_a_part(dashboard: stripe.StripeClient, sent: InvoiceOutcome) -> None:
    """The customer pays 450 dollars by card."""
    [made] = dashboard.v1.customers.list().data
    part = dashboard.v1.payment_intents.create(
        {
            "amount": 45000,
            "currency": "usd",
            "customer": made.id,
            "confirm": True,
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    dashboard.v1.invoices.attach_payment(sent.stripe_id, {"payment_intent": part.id})


@pytest.mark.parametrize("method", ["report_payment", "attach_payment"])
def test_paid_by_card_before_the_transfer_was_tried_again(
    sent: InvoiceOutcome,
    dashboard: stripe.StripeClient,
    before_a_retry: Before,
    method: str,
) -> None:
    """The transfer counts for nothing, and the person reads that it is to be sent back."""
    before_a_retry(method, lambda: pay(sent))
    with pytest.raises(Rejected, match=r"changed in Stripe meanwhile.*send it back the way it"):
        record_payment(sent.name)
    invoice = dashboard.v1.invoices.retrieve(sent.stripe_id)
    assert (invoice.amount_paid, invoice.amount_overpaid) == (245000, 0)


def test_paid_in_part_before_the_transfer_was_tried_again(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, before_a_retry: Before
) -> None:
    """Stripe would take it, and put what is too much onto the customer's balance."""
    before_a_retry("attach_payment", partial(pay_a_part, dashboard, sent))
    with pytest.raises(Rejected, match=r"Only 2,000.00 USD of INV-0001 remains to be paid, not"):
        record_payment(sent.name, request_id="all")
    invoice = dashboard.v1.invoices.retrieve(sent.stripe_id)
    assert (invoice.amount_remaining, invoice.amount_overpaid) == (200000, 0)


ENDS: dict[str, tuple[Callable[[str], InvoiceOutcome], str]] = {
    "write off": (write_off_invoice, "mark_uncollectible"),
    "void": (void_invoice, "void"),
}


@pytest.mark.parametrize("end", ENDS)
def test_paid_before_its_end_was_tried_again(
    sent: InvoiceOutcome, org: Org, before_a_retry: Before, end: str
) -> None:
    """It is paid, on both sides, and the person reads what can be done with a paid one."""
    act, method = ENDS[end]
    before_a_retry(method, lambda: pay(sent))
    with pytest.raises(Rejected, match=r"INV-0001 changed in Stripe meanwhile\. .* is Paid and"):
        act(sent.name)
    assert "is Paid and cannot be" in org.record(sent.name)["Sync_Message__c"]


def test_paid_in_part_before_it_was_voided_by_another_try(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, before_a_retry: Before
) -> None:
    """Stripe would void it, and the money would belong to nothing."""
    before_a_retry("void", partial(pay_a_part, dashboard, sent))
    with pytest.raises(Rejected, match=r"450.00 USD has been paid on INV-0001, so it cannot be"):
        void_invoice(sent.name)
    assert dashboard.v1.invoices.retrieve(sent.stripe_id).status == "open"


@pytest.mark.parametrize("end", ENDS)
def test_paid_in_the_moment_of_its_end(sent: InvoiceOutcome, at_the_call: Before, end: str) -> None:
    """Stripe refuses, in words for programs; what is said is what can be done."""
    act, method = ENDS[end]
    at_the_call(method, lambda: pay(sent))
    with pytest.raises(
        Rejected, match=r"changed in Stripe meanwhile\. .* press Credit on its page"
    ):
        act(sent.name)


def test_paid_in_the_moment_of_the_payment(sent: InvoiceOutcome, at_the_call: Before) -> None:
    """The same of a transfer."""
    at_the_call("attach_payment", lambda: pay(sent))
    with pytest.raises(Rejected, match=r"changed in Stripe meanwhile\. .* send it back the way"):
        record_payment(sent.name)

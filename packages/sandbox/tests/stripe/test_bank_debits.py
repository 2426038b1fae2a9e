"""Payments that are under way for days, and payments without an intent."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]
DAY = 24 * 3600


def types(live: stripe.StripeClient) -> list[str]:
    """The types of all events, oldest first."""
    return [str(event.type) for event in live.v1.events.list({"limit": 100}).data][::-1]


def intent_of(live: stripe.StripeClient, invoice: stripe.Invoice) -> stripe.PaymentIntent:
    """The payment intent of an invoice."""
    paths = ["data.payment.payment_intent"]
    found = live.v1.invoice_payments.list({"invoice": invoice.id, "expand": paths}).data
    intent = found[-1].payment.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    return intent


@pytest.fixture
def under_way(live: stripe.StripeClient, make_draft: MakeDraft) -> stripe.Invoice:
    """An invoice of 100.00 EUR whose SEPA debit is under way."""
    return live.v1.invoices.pay(make_draft(10_000, "eur").id, {"payment_method": "pm_success_de"})


def test_a_debit_leaves_its_invoice_open(
    live: stripe.StripeClient, under_way: stripe.Invoice
) -> None:
    """Nothing is paid yet, and the payment says that it is processing."""
    assert (under_way.status, under_way.amount_paid) == ("open", 0)
    assert (under_way.attempted, under_way.attempt_count) == (True, 1)
    intent = intent_of(live, under_way)
    assert (intent.status, intent.amount_received) == ("processing", 0)
    charge = live.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.status, charge.paid) == ("pending", False)
    assert charge.payment_method_details
    assert charge.payment_method_details.type == "sepa_debit"
    assert "payment_intent.processing" in types(live)
    assert "invoice.paid" not in types(live)


def test_days_later_it_is_paid(
    live: stripe.StripeClient, admin: httpx.Client, under_way: stripe.Invoice
) -> None:
    """After four days it is still under way; after five it is paid."""
    admin.post("/_sandbox/clock", json={"advance": 4 * DAY})
    assert live.v1.invoices.retrieve(under_way.id).status == "open"
    admin.post("/_sandbox/clock", json={"advance": DAY})
    paid = live.v1.invoices.retrieve(under_way.id)
    assert (paid.status, paid.amount_paid) == ("paid", 10_000)
    assert intent_of(live, paid).status == "succeeded"
    told = types(live)
    for event in ("charge.succeeded", "payment_intent.succeeded", "invoice.paid"):
        assert told.index(event) > told.index("payment_intent.processing")


def test_it_may_fail_and_be_tried_again(
    live: stripe.StripeClient, admin: httpx.Client, under_way: stripe.Invoice
) -> None:
    """The bank refuses days later; the invoice is as open as before, and a card pays it."""
    order = {"invoice": under_way.id, "failure": "insufficient_funds"}
    admin.post("/_sandbox/debits", json=order).raise_for_status()
    intent = intent_of(live, under_way)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error
    assert intent.last_payment_error.code == "insufficient_funds"
    assert live.v1.invoices.retrieve(under_way.id).status == "open"
    assert types(live)[-3:] == ["charge.failed", "payment_intent.payment_failed",
                                "invoice.payment_failed"]  # fmt: skip
    assert live.v1.invoices.retrieve(under_way.id).attempt_count == 1
    paid = live.v1.invoices.pay(under_way.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "paid"


@pytest.mark.parametrize(
    ("currency", "method", "status"),
    [
        ("eur", "pm_failed_de", "requires_payment_method"),
        ("usd", "pm_usBankAccount_success", "succeeded"),
        ("usd", "pm_usBankAccount_accountClosed", "requires_payment_method"),
        ("gbp", "pm_bacsDebit_success", "succeeded"),
        ("gbp", "pm_bacsDebit_insufficientFunds", "requires_payment_method"),
    ],
)
def test_each_account_ends_as_documented(
    live: stripe.StripeClient,
    admin: httpx.Client,
    make_draft: MakeDraft,
    currency: str,
    method: str,
    status: str,
) -> None:
    """Every test account is under way at first, and ends as Stripe's documentation says."""
    invoice = live.v1.invoices.pay(make_draft(10_000, currency).id, {"payment_method": method})
    assert intent_of(live, invoice).status == "processing"
    admin.post("/_sandbox/clock", json={"advance": 5 * DAY})
    assert intent_of(live, invoice).status == status


def test_nothing_else_is_done_meanwhile(
    live: stripe.StripeClient, under_way: stripe.Invoice
) -> None:
    """While a debit is under way its invoice can neither be paid again nor be void."""
    invoices = live.v1.invoices
    attempts: list[Callable[[], object]] = [
        lambda: invoices.pay(under_way.id, {"payment_method": "pm_card_visa"}),
        lambda: invoices.pay(under_way.id, {"paid_out_of_band": True}),
        lambda: invoices.void_invoice(under_way.id),
    ]
    for attempt in attempts:
        with pytest.raises(stripe.InvalidRequestError, match="processing"):
            attempt()


def test_a_cheque_and_a_debit_pay_twice(
    live: stripe.StripeClient,
    admin: httpx.Client,
    customer: stripe.Customer,
    under_way: stripe.Invoice,
) -> None:
    """A payment attached meanwhile settles the invoice; the debit becomes the customer's credit."""
    record = live.v1.payment_records.report_payment(
        {
            "amount_requested": {"value": 10_000, "currency": "eur"},
            "initiated_at": 1,
            "payment_method_details": {"custom": {"display_name": "Cheque"}},
            "outcome": "guaranteed",
            "guaranteed": {"guaranteed_at": 1},
        }
    )
    paid = live.v1.invoices.attach_payment(under_way.id, {"payment_record": record.id})
    assert (paid.status, paid.amount_overpaid) == ("paid", 0)
    admin.post("/_sandbox/debits", json={"invoice": under_way.id}).raise_for_status()
    again = live.v1.invoices.retrieve(under_way.id)
    assert (again.status, again.amount_paid, again.amount_overpaid) == ("paid", 10_000, 10_000)
    assert live.v1.customers.retrieve(customer.id).balance == -10_000


def test_a_debit_has_its_currency(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """A SEPA account cannot pay dollars."""
    with pytest.raises(stripe.InvalidRequestError, match="eur"):
        live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_success_de"})


def test_a_saved_account_is_debited(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """An account made from its IBAN and kept for a customer can be charged."""
    details: Any = {
        "type": "sepa_debit",
        "sepa_debit": {"iban": "DE89 3704 0044 0532 0130 00"},
        "billing_details": {"name": "Ann", "email": "ann@globex.example"},
    }
    method = live.v1.payment_methods.create(details)
    live.v1.payment_methods.attach(method.id, {"customer": customer.id})
    live.v1.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": method.id}}
    )
    invoice = live.v1.invoices.pay(make_draft(10_000, "eur").id)
    assert intent_of(live, invoice).status == "processing"


def test_an_invoice_paid_by_a_charge_without_an_intent(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """Its payment names the charge, whose refund a credit note of it can link."""
    invoice = live.v1.invoices.finalize_invoice(make_draft().id)
    order = {"invoice": invoice.id}
    charge = admin.post("/_sandbox/charges", json=order).raise_for_status().json()
    assert live.v1.invoices.retrieve(invoice.id).status == "paid"
    [paid] = live.v1.invoice_payments.list({"invoice": invoice.id, "status": "paid"}).data
    assert (paid.payment.type, paid.payment.charge) == ("charge", charge["id"])
    refund = live.v1.refunds.create({"charge": charge["id"], "amount": 1_000})
    link: Any = {"invoice": invoice.id, "amount": 1_000, "refunds": [{"refund": refund.id}]}
    assert live.v1.credit_notes.create(link).post_payment_amount == 1_000
    assert admin.post("/_sandbox/charges", json=order).status_code == 400


def test_a_charge_without_an_intent(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """Its refunds and disputes have none either, and the dispute has a currency of its own."""
    charge = live.v1.charges.create({"amount": 5_000, "currency": "usd", "source": "tok_visa"})
    assert charge.payment_intent is None
    refund = live.v1.refunds.create({"charge": charge.id, "amount": 1_000})
    assert (refund.payment_intent, refund.charge) == (None, charge.id)
    order = {"charge": charge.id, "amount": 3_700, "currency": "eur"}
    dispute = admin.post("/_sandbox/disputes", json=order).raise_for_status().json()
    assert (dispute["payment_intent"], dispute["charge"]) == (None, charge.id)
    assert (dispute["amount"], dispute["currency"]) == (3_700, "eur")

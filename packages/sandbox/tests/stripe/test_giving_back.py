"""What can be given back, linked and found again, and what cannot be given twice."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]


@pytest.fixture
def paid(live: stripe.StripeClient, make_draft: MakeDraft) -> stripe.Invoice:
    """An invoice of 100.00, paid by card."""
    return live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"})


def intent_of(live: stripe.StripeClient, invoice: stripe.Invoice) -> str:
    """The payment intent that paid an invoice."""
    (payment,) = live.v1.invoice_payments.list({"invoice": invoice.id}).data
    return str(payment.payment.payment_intent)


def test_a_payment_is_taken_off_its_invoice(
    live: stripe.StripeClient, admin: httpx.Client, paid: stripe.Invoice
) -> None:
    """The invoice is open again, asks for all of it by a new default payment, and can be paid."""
    order = {"invoice": paid.id}
    assert admin.post("/_sandbox/payments/unapply", json=order).json()["status"] == "open"
    invoice = live.v1.invoices.retrieve(paid.id, {"expand": ["payments"]})
    assert (invoice.amount_due, invoice.amount_paid, invoice.amount_remaining) == (
        10_000,
        0,
        10_000,
    )
    assert invoice.status_transitions.paid_at is None
    assert invoice.payments
    payments = [(one.status, one.amount_requested) for one in invoice.payments.data]
    assert sorted(payments) == [("canceled", 10_000), ("open", 10_000)]
    assert admin.post("/_sandbox/payments/unapply", json=order).status_code == 400
    assert live.v1.invoices.pay(paid.id, {"payment_method": "pm_card_visa"}).status == "paid"


def test_a_line_is_credited_once(live: stripe.StripeClient, paid: stripe.Invoice) -> None:
    """Of a line of 100.00, 60.00 are credited; another 60.00 are refused, 40.00 are not."""
    line = paid.lines.data[0].id

    def credit(*amounts: int) -> stripe.CreditNote:
        lines: list[Any] = [
            {"type": "invoice_line_item", "invoice_line_item": line, "amount": amount}
            for amount in amounts
        ]
        return live.v1.credit_notes.create(
            {"invoice": paid.id, "lines": lines, "out_of_band_amount": sum(amounts)}
        )

    credit(6_000)
    with pytest.raises(stripe.InvalidRequestError, match="left of the line"):
        credit(6_000)
    with pytest.raises(stripe.InvalidRequestError, match="left of the line"):
        credit(2_000, 2_001)
    assert credit(4_000).total == 4_000


def test_a_line_beside_an_amount(live: stripe.StripeClient, paid: stripe.Invoice) -> None:
    """An amount that was credited is of no line, and a line can be credited after it."""
    live.v1.credit_notes.create({"invoice": paid.id, "amount": 1_000, "out_of_band_amount": 1_000})
    line: Any = {"type": "invoice_line_item", "invoice_line_item": paid.lines.data[0].id}
    note = live.v1.credit_notes.create(
        {"invoice": paid.id, "lines": [line | {"amount": 9_000}], "out_of_band_amount": 9_000}
    )
    assert note.total == 9_000


def test_a_line_is_credited_in_one_way(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """A line of which a quantity was credited is not credited by amount, nor the reverse."""
    price: Any = {"currency": "usd", "unit_amount": 1_000, "product_data": {"name": "Hours"}}
    lines: list[Any] = [{"price_data": price, "quantity": 5}, {"price_data": price, "quantity": 5}]
    draft = live.v1.invoices.add_lines(make_draft(None).id, {"lines": lines})
    invoice = live.v1.invoices.finalize_invoice(draft.id)
    first, second = (line.id for line in invoice.lines.data)

    def credit(line: str, **how: int) -> None:
        entry: Any = {"type": "invoice_line_item", "invoice_line_item": line} | how
        live.v1.credit_notes.create({"invoice": invoice.id, "lines": [entry]})

    credit(first, quantity=1)
    credit(second, amount=500)
    for line, how in ((first, {"amount": 500}), (second, {"quantity": 1})):
        with pytest.raises(stripe.InvalidRequestError, match="not by both"):
            credit(line, **how)
    credit(first, quantity=4)
    assert live.v1.invoices.retrieve(invoice.id).amount_remaining == 4_500


def test_a_credit_note_for_a_refund_made_before(
    live: stripe.StripeClient, paid: stripe.Invoice
) -> None:
    """The whole refund counts unless told otherwise, no money moves, and it counts once."""
    refund = live.v1.refunds.create({"payment_intent": intent_of(live, paid), "amount": 3_000})
    link: Any = {"invoice": paid.id, "amount": 3_000, "refunds": [{"refund": refund.id}]}
    note = live.v1.credit_notes.create(link)
    assert [(str(each.refund), each.amount_refunded) for each in note.refunds] == [
        (refund.id, 3_000)
    ]
    assert len(live.v1.refunds.list().data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="can be linked"):
        live.v1.credit_notes.create(link)


def test_a_refund_is_linked_in_parts(live: stripe.StripeClient, paid: stripe.Invoice) -> None:
    """A refund of 30.00 covers a note of 10.00 and one of 20.00."""
    refund = live.v1.refunds.create({"payment_intent": intent_of(live, paid), "amount": 3_000})
    for amount in (1_000, 2_000):
        note = live.v1.credit_notes.create(
            {
                "invoice": paid.id,
                "amount": amount,
                "refunds": [{"refund": refund.id, "amount_refunded": amount}],
            }
        )
        assert note.post_payment_amount == amount


def test_a_refund_of_another_invoice_or_that_failed(
    live: stripe.StripeClient, admin: httpx.Client, paid: stripe.Invoice, make_draft: MakeDraft
) -> None:
    """Neither can be linked."""
    other = live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"})
    refund = live.v1.refunds.create({"payment_intent": intent_of(live, other)})

    def link(invoice: stripe.Invoice) -> None:
        live.v1.credit_notes.create(
            {"invoice": invoice.id, "amount": 10_000, "refunds": [{"refund": refund.id}]}
        )

    with pytest.raises(stripe.InvalidRequestError, match="another invoice"):
        link(paid)
    admin.post("/_sandbox/refunds/fail", json={"refund": refund.id}).raise_for_status()
    with pytest.raises(stripe.InvalidRequestError, match="failed"):
        link(other)


def test_payments_are_found_by_what_was_paid_with(
    live: stripe.StripeClient, make_draft: MakeDraft, paid: stripe.Invoice
) -> None:
    """Invoice payments are filtered by type and id; there is no filter by charge."""
    part = live.v1.invoices.finalize_invoice(make_draft().id)
    wire = record(live, 4_000)
    live.v1.invoices.attach_payment(part.id, {"payment_record": wire.id})
    payments = live.v1.invoice_payments
    found = payments.list({"payment": {"type": "payment_record"}}).data
    assert [str(each.invoice) for each in found] == [part.id]
    intent = intent_of(live, paid)
    by_intent: Any = {"payment": {"type": "payment_intent", "payment_intent": intent}}
    assert [str(each.invoice) for each in payments.list(by_intent).data] == [paid.id]
    by_charge: Any = {"payment": {"type": "charge", "charge": "ch_1"}}
    with pytest.raises(stripe.InvalidRequestError):
        payments.list(by_charge)


def record(live: stripe.StripeClient, amount: int) -> stripe.PaymentRecord:
    """A wire that was received."""
    return live.v1.payment_records.report_payment(
        {
            "amount_requested": {"currency": "usd", "value": amount},
            "initiated_at": 1,
            "payment_method_details": {"type": "custom", "custom": {"display_name": "Wire"}},
            "outcome": "guaranteed",
            "guaranteed": {"guaranteed_at": 1},
        }
    )


def test_payment_records_by_the_time_they_were_made(
    live: stripe.StripeClient, admin: httpx.Client
) -> None:
    """They are listed newest first, after a moment and before one."""
    records = live.v1.payment_records
    old = record(live, 100)
    admin.post("/_sandbox/clock", json={"advance": 3600})
    new = record(live, 200)
    assert [each.id for each in records.list().data] == [new.id, old.id]
    assert [each.id for each in records.list({"created_after": old.created}).data] == [new.id]
    assert [each.id for each in records.list({"created_before": new.created}).data] == [old.id]


def test_products_gone_and_archived(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """A deleted product is missing, an archived one is refused, one with prices stays."""
    draft = make_draft()

    def bill(product: str) -> stripe.Invoice:
        price: Any = {"currency": "usd", "product": product, "unit_amount": 100}
        return live.v1.invoices.add_lines(draft.id, {"lines": [{"price_data": price}]})

    products = live.v1.products
    gone = products.create({"id": "sf_gone", "name": "Gone"})
    bill(gone.id)
    assert [each.id for each in products.list({"ids": [gone.id, "sf_never"]}).data] == [gone.id]
    assert products.delete(gone.id).deleted
    assert products.list({"ids": [gone.id]}).data == []
    with pytest.raises(stripe.InvalidRequestError) as missing:
        bill(gone.id)
    assert (missing.value.code, missing.value.param) == (
        "resource_missing",
        "price_data[product]",
    )
    old = products.create({"name": "Old"})
    products.update(old.id, {"active": False})
    with pytest.raises(stripe.InvalidRequestError, match="marked as inactive"):
        bill(old.id)
    products.update(old.id, {"active": True})
    bill(old.id)
    live.v1.prices.create({"product": old.id, "currency": "usd", "unit_amount": 5})
    with pytest.raises(stripe.InvalidRequestError, match="prices"):
        products.delete(old.id)


def test_two_hundred_and_fifty_lines(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """An invoice has 250 lines at most."""
    draft = make_draft(None)
    lines: list[Any] = [{"amount": 100}] * 250
    full = live.v1.invoices.add_lines(draft.id, {"lines": lines})
    assert (len(full.lines.data), full.lines.has_more) == (10, True)
    with pytest.raises(stripe.InvalidRequestError, match="250"):
        live.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 100}]})


def test_metadata_have_limits_everywhere(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """Keys of 40, values of 500, on lines too; and fifty keys in all, those before counted."""
    draft = make_draft(metadata={f"k{n}": "v" for n in range(50)})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.invoices.update(draft.id, {"metadata": {"one": "more"}})
    assert refusal.value.param == "metadata"
    live.v1.invoices.update(draft.id, {"metadata": {"k0": "", "one": "more"}})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.invoices.add_lines(
            draft.id, {"lines": [{"amount": 1, "metadata": {"key": "v" * 501}}]}
        )
    assert refusal.value.param == "lines[0][metadata][key]"


def test_taxes_worked_out_by_stripe_allow_no_lines_of_ones_own(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """With automatic tax a credit note takes lines of the invoice only."""
    live.v1.customers.update(customer.id, {"address": {"country": "DE"}})
    invoice = live.v1.invoices.finalize_invoice(make_draft(automatic_tax={"enabled": True}).id)
    own: Any = {"type": "custom_line_item", "description": "Sorry", "unit_amount": 100}
    with pytest.raises(stripe.InvalidRequestError, match="automatically"):
        live.v1.credit_notes.create({"invoice": invoice.id, "lines": [own]})

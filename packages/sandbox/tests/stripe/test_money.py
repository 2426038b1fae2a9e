"""Amounts as Stripe computes them."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]


@pytest.mark.parametrize(
    ("currency", "line", "amount"),
    [
        ("usd", {"unit_amount_decimal": "816.5", "quantity": 2}, 1_633),
        ("usd", {"unit_amount_decimal": "8.165", "quantity": 2}, 16),
        ("usd", {"unit_amount_decimal": "0.5", "quantity": 1}, 1),
        ("usd", {"unit_amount": 1_000, "quantity_decimal": "1.5"}, 1_500),
        ("usd", {"unit_amount": 333, "quantity_decimal": "0.333333333333"}, 111),
        ("jpy", {"unit_amount": 1_000, "quantity": 3}, 3_000),
        ("kwd", {"unit_amount": 1_230, "quantity": 3}, 3_690),
        ("isk", {"unit_amount": 50_000, "quantity": 2}, 100_000),
    ],
)
def test_a_line_is_rounded_once(
    live: stripe.StripeClient,
    make_draft: MakeDraft,
    currency: str,
    line: dict[str, Any],
    amount: int,
) -> None:
    """Unit amount times quantity is rounded half up, on the line."""
    product = live.v1.products.create({"name": "Hours"})
    quantity = {name: line.pop(name) for name in ("quantity", "quantity_decimal") if name in line}
    price_data: Any = {"currency": currency, "product": product.id, **line}
    draft = make_draft(None, currency)
    invoice = live.v1.invoices.add_lines(
        draft.id,
        {"lines": [{"price_data": price_data, **quantity}]},  # type: ignore[typeddict-item]
    )
    assert (invoice.total, invoice.lines.data[0].amount) == (amount, amount)


@pytest.mark.parametrize(("currency", "amount"), [("kwd", 1_231), ("isk", 150), ("ugx", 99)])
def test_amounts_a_currency_cannot_express(
    live: stripe.StripeClient, make_draft: MakeDraft, currency: str, amount: int
) -> None:
    """Three-decimal and whole-unit currencies have coarser steps."""
    draft = make_draft(None, currency)
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.invoices.add_lines(draft.id, {"lines": [{"amount": amount}]})


def test_one_currency_per_invoice(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """A price in another currency is refused."""
    product = live.v1.products.create({"name": "Hours"})
    price = live.v1.prices.create({"product": product.id, "currency": "eur", "unit_amount": 100})
    draft = make_draft(None)
    with pytest.raises(stripe.InvalidRequestError, match="currency"):
        live.v1.invoices.add_lines(draft.id, {"lines": [{"pricing": {"price": price.id}}]})


def test_fractional_quantities_are_told_exactly(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """Quantity is truncated, quantity_decimal is exact."""
    draft = make_draft(None)
    line = live.v1.invoices.add_lines(
        draft.id,
        {
            "lines": [
                {
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": 200,
                        "product_data": {"name": "Hours"},
                    },
                    "quantity_decimal": "2.25",  # type: ignore[typeddict-item]
                }
            ]
        },
    ).lines.data[0]
    assert (line.quantity, str(line.quantity_decimal), line.amount) == (2, "2.25", 450)
    assert line.description == "Hours"


def test_credit_is_used_at_finalization(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """Credit lowers what is due, and comes back when the invoice is voided."""
    live.v1.customers.update(customer.id, {"balance": -4_000})
    invoice = live.v1.invoices.finalize_invoice(make_draft().id)
    assert (invoice.total, invoice.amount_due, invoice.starting_balance) == (10_000, 6_000, -4_000)
    assert invoice.ending_balance == 0
    assert live.v1.customers.retrieve(customer.id).balance == 0
    live.v1.invoices.void_invoice(invoice.id)
    assert live.v1.customers.retrieve(customer.id).balance == -4_000

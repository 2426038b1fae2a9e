"""Both sides add up to the same: our arithmetic against the sandbox's own, over HTTP.

Each example is one invoice that Stripe is asked to preview, through the parameters that the
flows use. Our total before tax must be Stripe's to the minor unit, whatever the currency.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invoicing.connectors import stripe as connector
from invoicing.domain.model.invoice import Account, Invoice, Line, draft_problems
from invoicing.domain.model.invoice_details import Details, Discount
from invoicing.domain.model.money import CURRENCIES, Money, chargeable_step, exponent
from invoicing.domain.model.status import Status
from invoicing.domain.stripe import request_params
from invoicing.settings import Stripe as StripeSettings
from tests.conftest import Sandbox

ODD = ["ISK", "UGX", "JPY", "KRW", "CLP", "KWD", "BHD", "OMR"]
TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def stripe(stripe_process: Sandbox) -> connector.Stripe:
    """Our own client, at the sandbox, which starts empty."""
    stripe_process.admin("POST", "reset")
    return connector.Stripe(
        StripeSettings.model_validate(
            {
                "api_key": "sk_live_sandbox",
                "account_id": "acct_1SandboxAcme",
                "livemode": True,
                "base_url": stripe_process.url,
            }
        )
    )


def invoice_of(currency: str, lines: list[Line], discount: Discount | None = None) -> Invoice:
    """A draft of these lines."""
    return Invoice(
        record_id="a00",
        name="INV-1",
        account=Account("001", "Acme", currency),
        currency=currency,
        description="",
        due_date=TODAY,
        status=Status.DRAFT,
        lines=tuple(lines),
        details=Details(discount=discount),
    )


def line(position: int, quantity: Any, price: Any, discount: Discount | None = None) -> Line:
    """A line of free text."""
    return Line(
        key=f"k-{position}",
        position=position,
        description=f"Line {position}",
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        discount=discount,
    )


def previewed(stripe: connector.Stripe, invoice: Invoice, **tax: Any) -> Any:
    """What Stripe would bill."""
    for coupon, discount in request_params.discounts(invoice).items():
        stripe.ensure_coupon(coupon, request_params.coupon_params(discount, invoice.currency))
    params = request_params.preview_params(
        invoice, None, rates=tax.get("rates", ()), tax_behavior=tax.get("tax_behavior")
    )
    return stripe._v1.invoices.create_preview(params).to_dict()


PERCENTS = st.decimals("0.01", "100", places=2).map(lambda percent: Discount(percent=percent))
QUANTITIES = st.one_of(
    st.integers(1, 1000).map(Decimal), st.decimals("0.000001", "10000", places=6)
)


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    """An invoice that our own rules find nothing wrong with."""
    currency = draw(st.sampled_from([*ODD, *sorted(CURRENCIES)]))
    whole = chargeable_step(currency) > 1
    places = draw(st.sampled_from([0, exponent(currency), 6, 12]))
    lines = []
    for position in range(1, draw(st.integers(1, 5)) + 1):
        if whole:
            step = Money(currency, chargeable_step(currency)).decimal
            quantity, price = Decimal(draw(st.integers(1, 999))), step * draw(st.integers(1, 9999))
        else:
            quantity = draw(QUANTITIES)
            price = draw(st.decimals("0", "99999", places=places))
        lines.append(line(position, quantity, price, draw(st.none() | PERCENTS)))
    invoice = invoice_of(currency, lines)
    return replace(invoice, details=Details(discount=draw(st.none() | PERCENTS)))


@st.composite
def amounts_off(draw: st.DrawFn) -> Invoice:
    """The same with amounts off, which never are more than there is."""
    invoice = draw(invoices())
    step, currency = chargeable_step(invoice.currency), invoice.currency

    def part(whole: Money) -> Discount | None:
        steps = whole.minor // step
        if steps < 1 or draw(st.booleans()):
            return None
        return Discount(amount=Money(currency, draw(st.integers(1, steps)) * step).decimal)

    lines = tuple(replace(one, discount=part(one.amount(currency))) for one in invoice.lines)
    invoice = replace(invoice, lines=lines)
    return replace(invoice, details=Details(discount=part(invoice.subtotal)))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(invoices(), amounts_off()))
def test_our_total_is_stripes(stripe: connector.Stripe, invoice: Invoice) -> None:
    """Subtotal, discounts and each line, in every currency, with fractions of everything."""
    assert not draft_problems(invoice, TODAY)
    there = previewed(stripe, invoice)
    assert [one["amount"] for one in there["lines"]["data"]] == [
        one.amount(invoice.currency).minor for one in invoice.lines
    ]
    assert Money(there["currency"], there["subtotal"]) == invoice.subtotal
    assert request_params.net_of_exclusive_tax(there) == invoice.total


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    invoices(),
    st.decimals("0.1", "30", places=1),
    st.booleans(),
)
def test_taxes_change_nothing_but_the_tax(
    stripe: connector.Stripe, invoice: Invoice, percentage: Decimal, inclusive: bool
) -> None:
    """With a tax rate on top or within, our total is still Stripe's before tax on top."""
    rate = stripe._v1.tax_rates.create(
        {"display_name": "Tax", "percentage": float(percentage), "inclusive": inclusive}
    )
    there = previewed(stripe, invoice, rates=[rate.id])
    assert request_params.net_of_exclusive_tax(there) == invoice.total
    tax = request_params.tax_of(there)
    total = Money(there["currency"], there["total"])
    assert total == (invoice.total if inclusive else invoice.total + tax)
    assert Money(there["currency"], there["total_excluding_tax"]) == total - tax


HAND_WORKED = [
    # currency, lines (quantity, price, discount), invoice discount, total before tax
    ("USD", [("2", "8.165", None)], None, 1633),
    ("USD", [("1000", "0.0045", None)], None, 450),
    ("USD", [("3", "0.333", None), ("3", "0.333", None)], None, 200),
    ("USD", [("1", "0.000000000049", None), ("1", "1", None)], None, 100),
    ("USD", [("1", "10", Discount(percent=Decimal("12.5")))], None, 875),
    ("USD", [("1", "0.05", None)] * 3, Discount(percent=Decimal(10)), 12),
    ("USD", [("1", "10", Discount(amount=Decimal(10))), ("1", "1", None)], None, 100),
    ("USD", [("1", "10", Discount(percent=Decimal(50)))], Discount(amount=Decimal(5)), 0),
    ("EUR", [("1", "33.33", None)] * 3, Discount(amount=Decimal("0.01")), 9998),
    ("JPY", [("1.5", "101", None)], None, 152),
    ("JPY", [("1", "600", None)], Discount(percent=Decimal("33.33")), 400),
    ("KWD", [("1", "1.250", None)], Discount(percent=Decimal(10)), 1120),
    ("ISK", [("1", "1005", None)], Discount(percent=Decimal(15)), 85400),
    ("UGX", [("3", "700", Discount(amount=Decimal(100)))], None, 200000),
]


@pytest.mark.parametrize(("currency", "lines", "discount", "minor"), HAND_WORKED)
def test_cases_worked_by_hand(
    stripe: connector.Stripe,
    currency: str,
    lines: list[tuple[str, str, Discount | None]],
    discount: Discount | None,
    minor: int,
) -> None:
    """Rounding on the line, line discounts before the invoice's, steps of the currency."""
    made = [line(n, quantity, price, off) for n, (quantity, price, off) in enumerate(lines, 1)]
    invoice = invoice_of(currency, made, discount)
    assert invoice.total == Money(currency, minor)
    assert request_params.net_of_exclusive_tax(previewed(stripe, invoice)) == invoice.total


def test_tax_is_rounded_on_each_line(stripe: connector.Stripe) -> None:
    """Two lines of 0.33 at 20 percent carry 0.14 tax, not 0.13: Stripe's figure is taken."""
    rate = stripe._v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 20, "inclusive": False}
    )
    invoice = invoice_of("USD", [line(1, 1, "0.33"), line(2, 1, "0.33")])
    there = previewed(stripe, invoice, rates=[rate.id])
    assert (invoice.total.minor, request_params.tax_of(there).minor, there["total"]) == (66, 14, 80)

"""A draft adds up in Salesforce as it does here: the package's formula, currency by currency."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.model.invoice import Content, Line, draft_problems
from invoicing.domain.model.invoice_details import Details, Discount, Terms
from invoicing.domain.model.money import CURRENCIES, Money, chargeable_step
from invoicing.domain.salesforce.record import line_fields
from sandbox.salesforce.computed import formulas
from sandbox.salesforce.schema_loader import load_schema
from tests.invoicing.test_totals_match_stripe import TODAY

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
LINE = load_schema(PACKAGE).objects["Stripe_Invoice_Line__c"]


def drafted(line: Line, currency: str) -> Decimal:
    """What Salesforce makes of a line as it is written there."""
    return Decimal(str(formulas(LINE, line_fields(line, currency))["Draft_Amount__c"]))


@pytest.mark.parametrize(
    ("price", "read"),
    [
        (0, "0.00"),
        (0.000001, "0.000001"),
        (0.5, "0.50"),
        (999.999, "999.999"),
        (1000, "1,000.00"),
        (1000.05, "1,000.05"),
        (12000.1, "12,000.10"),
        (1000000.5, "1,000,000.50"),
        (999999999999, "999,999,999,999.00"),
        (-1234.5, "-1,234.50"),
        (-0.25, "-0.25"),
    ],
)
def test_a_price_is_read_with_two_decimals_or_more(price: float, read: str) -> None:
    """Thousands are set apart, and no zero stands that is not needed."""
    shown = formulas(LINE, {"Quantity__c": 0.5, "Unit_Price__c": price})
    assert shown["Unit_Price_Text__c"] == read


@pytest.mark.parametrize(
    ("quantity", "read"),
    [
        (1, "1"),
        (0.000001, "0.000001"),
        (0.5, "0.5"),
        (999.999, "999.999"),
        (1000, "1,000"),
        (12000.05, "12,000.05"),
        (2500000, "2,500,000"),
        (999999999999, "999,999,999,999"),
        (-1234.5, "-1,234.5"),
    ],
)
def test_a_quantity_is_read_with_the_decimals_that_it_has(quantity: float, read: str) -> None:
    """Thousands are set apart, and no zero stands that is not needed."""
    shown = formulas(LINE, {"Quantity__c": quantity, "Unit_Price__c": 1})
    assert shown["Quantity_Text__c"] == read


def right(line: Line, currency: str) -> bool:
    """Whether such a line may be raised."""
    terms = Details(terms=Terms.NET_30)
    return not draft_problems(Content(currency=currency, lines=(line,), details=terms), TODAY)


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_every_currency_is_rounded_as_stripe_does(currency: str) -> None:
    """A third of something, and a half of that, in each currency."""
    step = Money(currency, chargeable_step(currency)).decimal
    for discount in (None, Discount(percent=Decimal(50)), Discount(amount=step)):
        line = Line("k", 1, "Work", Decimal(1), 333 * step, discount=discount)
        assert drafted(line, currency) == line.net(currency).decimal


@given(
    currency=st.sampled_from(["USD", "EUR", "JPY", "KWD", "ISK"]),
    quantity=st.decimals("0.000001", "1000000", places=6),
    price=st.decimals("0", "10000", places=9),
    percent=st.none() | st.decimals("0.01", "100", places=2),
)
def test_any_line_is_rounded_as_stripe_does(
    currency: str, quantity: Decimal, price: Decimal, percent: Decimal | None
) -> None:
    """Fractions of the smallest unit, prices that Salesforce cannot show, and discounts."""
    discount = Discount(percent=percent) if percent else None
    line = Line("k", 1, "Work", quantity, price, discount=discount)
    if right(line, currency):
        assert drafted(line, currency) == line.net(currency).decimal

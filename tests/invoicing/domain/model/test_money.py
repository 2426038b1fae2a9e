"""Money never gains or loses a minor unit."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.model.money import (
    THREE_DECIMAL,
    ZERO_DECIMAL,
    Money,
    chargeable_step,
    exponent,
    line_amount,
    shown,
    to_minor,
    unit_amount_decimal,
)

CURRENCIES = st.sampled_from(["USD", "EUR", "ISK", "UGX", *sorted(ZERO_DECIMAL | THREE_DECIMAL)])
MINOR = st.integers(-(10**14), 10**14)
QUANTITIES = st.decimals("0.000001", "100000", places=6)
PRICES = st.decimals("0", "100000", places=6)


@given(CURRENCIES, MINOR)
def test_an_amount_survives_the_way_to_people_and_back(currency: str, minor: int) -> None:
    """Minor units to decimals and back is the same amount."""
    money = Money(currency, minor)
    assert Money.of(money.decimal, currency) == money


@pytest.mark.parametrize(
    ("number", "least_decimals", "text"),
    [
        ("12000", 2, "12,000.00"),
        ("1234567.5000", 2, "1,234,567.50"),
        ("0.0045", 2, "0.0045"),
        ("1000000", 0, "1,000,000"),
        ("2.50", 0, "2.5"),
        ("1E+3", 0, "1,000"),
    ],
)
def test_prices_and_quantities_are_shown_as_people_read_them(
    number: str, least_decimals: int, text: str
) -> None:
    """Thousands set apart, the currency's decimals, and no needless zeros."""
    assert shown(Decimal(number), least_decimals) == text


@given(CURRENCIES, QUANTITIES, PRICES)
def test_a_line_is_rounded_once_half_up(currency: str, quantity: Decimal, price: Decimal) -> None:
    """The line amount is within half a minor unit of the exact product, rounded half up."""
    exact = (quantity * price).scaleb(exponent(currency))
    amount = line_amount(quantity, price, currency).minor
    assert amount == exact.quantize(Decimal(1), ROUND_HALF_UP)
    assert abs(amount - exact) <= Decimal("0.5")


@given(CURRENCIES, PRICES)
def test_a_unit_price_reaches_stripe_exactly(currency: str, price: Decimal) -> None:
    """``unit_amount_decimal`` says the same number, in minor units, without an exponent."""
    text = unit_amount_decimal(price, currency)
    assert Decimal(text).scaleb(-exponent(currency)) == price
    assert "E" not in text


@pytest.mark.parametrize(
    ("quantity", "price", "currency", "minor"),
    [
        ("2", "8.165", "USD", 1633),
        ("1000", "0.0045", "USD", 450),
        ("3", "0.333", "USD", 100),
        ("1", "600", "JPY", 600),
        ("1.5", "101", "JPY", 152),
        ("1", "1.2345", "KWD", 1235),
        ("2", "100", "ISK", 20000),
    ],
)
def test_hand_worked_lines(quantity: str, price: str, currency: str, minor: int) -> None:
    """Cases worked by hand, among them those that others got wrong."""
    assert line_amount(Decimal(quantity), Decimal(price), currency) == Money(currency, minor)


def test_zero_decimal_currencies_are_not_multiplied() -> None:
    """600 yen are 600, not 60,000."""
    assert to_minor(Decimal(600), "jpy") == 600
    assert str(Money("jpy", 12000)) == "12,000 JPY"


def test_steps_that_stripe_charges() -> None:
    """Krona and shilling go by the hundred, dinars by the ten."""
    assert [chargeable_step(c) for c in ("USD", "ISK", "UGX", "KWD", "JPY")] == [1, 100, 100, 10, 1]


def test_currencies_do_not_mix() -> None:
    """Adding euros to dollars is a mistake, not a sum."""
    with pytest.raises(ValueError, match="cannot add EUR to USD"):
        Money("USD", 1) + Money("EUR", 1)

"""Numbers as people type them into forms: understood, or refused in words."""

from decimal import Decimal

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate
from pydantic import ValidationError

from flows.record_payment import record_payment
from invoicing.domain.forms.parameters import CreditLine, LineItem, typed_number
from invoicing.domain.forms.wizard import offered_price


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("50,00", "50.00"),
        (" 50.00 ", "50.00"),
        ("1.234,50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1 234,5", "1234.5"),
        ("-3,5", "-3.5"),
        ("1.234", "1.234"),
        ("0.500", "0.5"),
        ("1.5000", "1.5"),
        ("1.500.000", "1500000"),
        ("0", "0"),
    ],
)
def test_a_number_is_understood(typed: str, meant: str) -> None:
    """With a comma or a point, where it can mean one thing only."""
    assert LineItem(product="x", quantity=typed).quantity == Decimal(meant)
    assert CreditLine(line=1, amount=typed).amount == Decimal(meant)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("1,234", "'1,234' can be read in two ways; write 1234 or 1.234"),
        ("1.500", "'1.500' can be read in two ways; write 1500 or 1.5"),
        ("-10.000", "'-10.000' can be read in two ways; write -10 or -10000"),
        ("lots", "'lots' is no number; write it like 1234.50"),
        ("1e5", "'1e5' is no number"),
        ("NaN", "'NaN' is no number"),
    ],
)
def test_what_is_no_number_is_refused_in_words(typed: str, said: str) -> None:
    """Not by a pattern that nobody reads."""
    with pytest.raises(ValidationError) as refusal:
        CreditLine.model_validate({"line": 1, "amount": typed})
    assert said in str(refusal.value)
    form = parameter_schema(record_payment.fn).model_dump()
    assert validate({"invoice": "INV-1", "amount": typed}, form, raise_on_error=True) == []


def test_nothing_typed_is_no_number_and_zero_is_one() -> None:
    """As the form comes back when it is left alone."""
    assert CreditLine(line=1, amount="").amount is None
    assert CreditLine(line=1, amount=0).amount == 0


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
@pytest.mark.parametrize("price", ["0", "0.0045", "1.2", "1.23", "1.235", "150", "1000", "2500.5"])
def test_an_offered_price_is_read_as_it_was(price: str, currency: str) -> None:
    """What the wizard fills in comes back as the same number, and is not asked about."""
    assert typed_number(offered_price(Decimal(price), currency)) == Decimal(price)

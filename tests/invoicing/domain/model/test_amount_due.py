"""What is due is the total and the balance, and Stripe collects neither too little nor too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.model.amount_due import AmountDue, collection_problems, due_rows
from invoicing.domain.model.money import CURRENCIES, Money
from sandbox.stripe import money as at_stripe

ANY = st.sampled_from(sorted(CURRENCIES))
MINOR = st.integers(0, 10**13)


@given(ANY, MINOR, st.integers(-(10**13), 10**13))
def test_debt_is_added_and_credit_taken_off_as_far_as_it_goes(
    currency: str, total: int, balance: int
) -> None:
    """Nothing is ever given out, and a limit sees the larger of both."""
    asked = AmountDue.expected(Money(currency, total), Money(currency, balance))
    assert asked.due.minor == max(0, total + balance)
    assert asked.larger.minor == max(total, total + balance)
    assert bool(asked.note) == (balance != 0)
    assert due_rows(asked)[-1] == ("**Amount due**", f"**{asked.due}**")


@given(ANY, MINOR)
def test_what_stripe_would_not_collect_is_refused_and_nothing_else(
    currency: str, minor: int
) -> None:
    """In every currency, by Stripe's table; too little may be meant, too much may not."""
    code = currency.lower()
    small, large = at_stripe.too_small(minor, code), at_stripe.too_large(minor, code)
    due = Money(currency, minor)
    assert bool(collection_problems(due, small_amount_is_meant=False)) == (small or large)
    assert bool(collection_problems(due, small_amount_is_meant=True)) == large


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_the_bounds_themselves_are_collected(currency: str) -> None:
    """The least and the most are fine; a unit beyond is not."""
    code = currency.lower()
    least = at_stripe.MINIMUM.get(code, 0)
    most = at_stripe.MAXIMUM_OF.get(code, at_stripe.MAXIMUM)
    for minor, fine in ((least, True), (least - 1, least <= 1), (most, True), (most + 1, False)):
        problems = collection_problems(Money(currency, minor), small_amount_is_meant=False)
        assert (not problems) == fine


def test_what_was_agreed_is_held_to() -> None:
    """Less or the same is fine, more is not, and where nothing was said everything is."""
    total, none = Money("USD", 100), Money("USD", 0)
    for agreed, more in ((Money("USD", 99), True), (total, False), (None, False)):
        assert AmountDue.expected(total, none, agreed=agreed).is_more_than_agreed is more

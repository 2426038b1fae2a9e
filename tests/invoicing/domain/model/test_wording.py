"""Words of others, said so that whoever reads them knows who is meant."""

import pytest

from invoicing.domain.model.wording import of_the_customer


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Your card was declined.", "The customer's card was declined."),
        ("Your card's number is wrong.", "The customer's card's number is wrong."),
        ("Your account cannot make live charges.", "Your account cannot make live charges."),
    ],
)
def test_a_card_that_was_declined_is_the_customers(said: str, read: str) -> None:
    """Stripe speaks to whoever pays; whoever bills reads it."""
    assert of_the_customer(said) == read

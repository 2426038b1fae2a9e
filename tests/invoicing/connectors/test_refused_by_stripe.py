"""Stripe refuses a request: what passes with time, and what a person has to look at."""

import pytest

from invoicing.connectors import stripe
from invoicing.errors import Conflict


def test_the_same_key_for_something_else_is_a_conflict(environment: None) -> None:
    """It is never tried again as if the first request were still under way; nothing is made."""
    client = stripe.client()
    first = client.create_customer({"name": "Acme", "email": "a@example.com"}, "key-1")
    with pytest.raises(Conflict, match="in another way under the same key, so nothing was done"):
        client.create_customer({"name": "Globex", "email": "a@example.com"}, "key-1")
    assert [one["id"] for one in client.customers_by_email("a@example.com")] == [first["id"]]

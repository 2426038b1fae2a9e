"""Keys that may do less than everything, or nothing any more."""

from collections.abc import Callable

import httpx
import pytest
import stripe

Connect = Callable[[str], stripe.StripeClient]


def made(admin: httpx.Client, connect: Connect, **order: object) -> stripe.StripeClient:
    """A client whose key was made just now."""
    answer = admin.post("/_sandbox/keys", json={"key": "rk_live_made", **order})
    answer.raise_for_status()
    return connect("rk_live_made")


def test_a_restricted_key_does_what_it_was_given(admin: httpx.Client, connect: Connect) -> None:
    """To write implies to read; a refusal names the permission that would do."""
    client = made(admin, connect, permissions=["customer_write", "charge_read"])
    customer = client.v1.customers.create({"email": "a@b.example"})
    assert client.v1.customers.retrieve(customer.id).email == "a@b.example"
    assert client.v1.refunds.list().data == []
    for refused, right in (
        (client.v1.invoices.list, "rak_invoice_read"),
        (lambda: client.v1.charges.update("ch_1", {}), "rak_charge_write"),
        (client.v1.tax.settings.retrieve, "rak_tax_settings_read"),
    ):
        with pytest.raises(stripe.PermissionError, match=right):
            refused()


def test_an_expired_key_is_told_so(admin: httpx.Client, connect: Connect) -> None:
    """It is no longer accepted, and Stripe says why; a reset takes it away."""
    client = made(admin, connect, expired=True)
    with pytest.raises(stripe.AuthenticationError) as caught:
        client.v1.customers.list()
    assert '"code":"api_key_expired"' in str(caught.value.http_body)
    admin.post("/_sandbox/reset").raise_for_status()
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key"):
        client.v1.customers.list()

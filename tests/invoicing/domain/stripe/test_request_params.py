"""A draft's header as it was told, and as Stripe gives it back."""

from typing import Any, cast

import pytest

from invoicing.domain.stripe.request_params import changed_header
from invoicing.domain.stripe.resources import WholeInvoice

TOLD: Any = {
    "description": "Work in May\r\n\r\nfor Acme ",
    "due_date": 1_790_000_000,
    "footer": "",
    "custom_fields": [{"name": "PO number", "value": "47"}, {"name": "Ref", "value": "9"}],
    "collection_method": "send_invoice",
    "automatic_tax": {"enabled": False},
    "default_tax_rates": ["txr_1", "txr_2"],
    "payment_settings": {"payment_method_types": ["card", "sepa_debit"]},
    "discounts": "",
}


def there(**changed: Any) -> WholeInvoice:
    """The invoice in Stripe's words; nothing is null there, and lists come in another order."""
    itself = {
        "description": "Work in May\n\nfor Acme",
        "due_date": 1_790_000_000,
        "footer": None,
        "custom_fields": [{"name": "PO number", "value": "47"}, {"name": "Ref", "value": "9"}],
        "collection_method": "send_invoice",
        "automatic_tax": {"enabled": False, "status": None},
        "default_tax_rates": [{"id": "txr_2"}, {"id": "txr_1"}],
        "payment_settings": {"payment_method_types": ["sepa_debit", "card"]},
        "discounts": [],
    }
    return cast(WholeInvoice, itself | changed)


def test_what_was_told_is_no_change() -> None:
    """Whatever became of blanks, of what is empty, and of the order of lists."""
    assert changed_header(there(), TOLD) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("description", "Work in June"),
        ("due_date", 1_790_086_400),
        ("footer", "Pay soon"),
        ("custom_fields", None),
        ("collection_method", "charge_automatically"),
        ("automatic_tax", {"enabled": True}),
        ("default_tax_rates", [{"id": "txr_1"}]),
        ("payment_settings", {"payment_method_types": None}),
        ("discounts", ["di_1"]),
    ],
)
def test_each_part_is_compared(name: str, value: Any) -> None:
    """What somebody changed in Stripe is named."""
    assert [*changed_header(there(**{name: value}), TOLD)] == [name]

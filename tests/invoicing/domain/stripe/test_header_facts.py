"""A draft's header as it was told, as it was agreed, and as Stripe gives it back."""

from typing import Any, cast

import pytest

from invoicing.domain.stripe.header_facts import (
    WORDS,
    checksums,
    header_of,
    other_parts,
    said,
    told_header,
)
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
    "discounts": [{"coupon": "ten"}],
    "rendering": {"template": "inrtem_1"},
}
COUPONS: Any = {"di_1": {"id": "ten"}, "di_2": {"id": "loyal"}}


def there(**changed: Any) -> WholeInvoice:
    """The invoice in Stripe's words; nothing is null there, and lists come in another order."""
    itself = {
        "status_transitions": {"finalized_at": None},
        "description": "Work in May\n\nfor Acme",
        "due_date": 1_790_000_000,
        "footer": None,
        "custom_fields": [{"name": "PO number", "value": "47"}, {"name": "Ref", "value": "9"}],
        "collection_method": "send_invoice",
        "automatic_tax": {"enabled": False, "status": None},
        "default_tax_rates": [{"id": "txr_2"}, {"id": "txr_1"}],
        "payment_settings": {"payment_method_types": ["sepa_debit", "card"]},
        "discounts": ["di_1"],
        "rendering": {"template": "inrtem_1", "amount_tax_display": None},
        "account_tax_ids": ["atxi_1"],
        "customer_name": "Acme",
        "customer_address": {"line1": "Am Ufer 1", "country": "DE"},
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [{"type": "eu_vat", "value": "DE1"}],
        "default_payment_method": None,
        "default_source": None,
        "effective_at": None,
        "issuer": {"type": "self"},
        "on_behalf_of": None,
        "shipping_cost": None,
        "shipping_details": None,
        "statement_descriptor": None,
        "number": "ACME-0001",
    }
    return cast(WholeInvoice, itself | changed)


def test_what_was_told_is_no_change() -> None:
    """Whatever became of blanks, of what is empty, and of the order of lists."""
    assert other_parts(header_of(there(), COUPONS), told_header(TOLD)) == []


FIELD = {"name": "Ref", "value": "9"}
ASKED_FOR: Any = [
    ("memo", "description", "Work in June"),
    ("due date", "due_date", 1_790_086_400),
    ("footer", "footer", "Pay soon"),
    ("PO number, custom field 'Ref'", "custom_fields", None),
    ("PO number", "custom_fields", [{"name": "PO number", "value": "48"}, FIELD]),
    ("custom field 'New'", "custom_fields", [*TOLD["custom_fields"], FIELD | {"name": "New"}]),
    ("collection", "collection_method", "charge_automatically"),
    ("Stripe Tax", "automatic_tax", {"enabled": True}),
    ("tax rates", "default_tax_rates", [{"id": "txr_1"}]),
    ("payment methods", "payment_settings", {"payment_method_types": None}),
    ("discounts", "discounts", []),
    ("discounts", "discounts", ["di_2"]),
    ("template", "rendering", {"template": "inrtem_2", "amount_tax_display": None}),
]
"""Words, name and another value of each part that a record asks for."""

NOT_ASKED_FOR: Any = [
    ("way of showing taxes", "rendering", {"template": "inrtem_1", "amount_tax_display": "net"}),
    ("your own tax ids", "account_tax_ids", ["atxi_1", "atxi_2"]),
    ("customer's name", "customer_name", "Acme Holding"),
    ("customer's address", "customer_address", {"line1": "Am Ufer 2", "country": "DE"}),
    ("customer's phone", "customer_phone", "+49 30 1"),
    ("customer's shipping address", "customer_shipping", {"name": "Bo"}),
    ("customer's tax exemption", "customer_tax_exempt", "reverse"),
    ("customer's tax ids", "customer_tax_ids", []),
    ("payment method to be charged", "default_payment_method", "pm_1"),
    ("payment source to be charged", "default_source", "card_1"),
    ("date of issue", "effective_at", 1_789_000_000),
    ("issuer", "issuer", {"type": "account", "account": "acct_1"}),
    ("account that it is billed for", "on_behalf_of", "acct_1"),
    ("shipping costs", "shipping_cost", {"amount_total": 500}),
    ("shipping address", "shipping_details", {"name": "Bo"}),
    ("text on statements of cards", "statement_descriptor", "ACME MAY"),
    ("number", "number", "ACME-0002"),
]
"""The same of each part that a customer reads besides."""


@pytest.mark.parametrize(("words", "name", "value"), ASKED_FOR)
def test_what_is_not_as_it_was_told_is_named(words: str, name: str, value: Any) -> None:
    """What somebody changed in Stripe, in the words of people."""
    now = header_of(there(**{name: value}), COUPONS)
    assert said(other_parts(now, told_header(TOLD))) == words


@pytest.mark.parametrize(("words", "name", "value"), [*ASKED_FOR, *NOT_ASKED_FOR])
def test_what_is_not_as_it_was_agreed_is_named(words: str, name: str, value: Any) -> None:
    """Also what the record says nothing of; checksums are enough."""
    agreed = checksums(header_of(there(), COUPONS))
    now = checksums(header_of(there(**{name: value}), COUPONS))
    assert said(other_parts(now, agreed)) == words


def test_each_part_has_a_case() -> None:
    """And is called something."""
    tried = {word for words, *_ in ASKED_FOR + NOT_ASKED_FOR for word in words.split(", ")}
    assert {*WORDS.values()} <= tried
    parts = {name for name in header_of(there(), COUPONS) if not name.startswith("custom_fields:")}
    assert parts == {*WORDS}


def test_what_finalization_itself_adds_is_no_change() -> None:
    """Its date of issue; a number and the account's own tax ids, where nobody has chosen any."""
    agreed = checksums(header_of(there(account_tax_ids=None, number=None), COUPONS))
    times = {"finalized_at": 1_790_000_000}
    final = there(effective_at=1_790_000_000, status_transitions=times)
    assert other_parts(checksums(header_of(final, COUPONS)), agreed) == []

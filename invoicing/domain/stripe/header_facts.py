"""The header of an invoice in Stripe: what its customer reads of it beside its lines and sums.

https://docs.stripe.com/api/invoices/object
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice_details import PO_NUMBER
from invoicing.domain.stripe.resources import Coupon, CustomField, WholeInvoice

if TYPE_CHECKING:
    from stripe import params as sdk

Header = Mapping[str, object]
"""Values by name, in a form in which those that mean the same are equal. A custom field has a name
of its own."""

CUSTOM_FIELD = "custom_fields:"
"""Begins the name of a custom field; the rest is as the customer reads it."""

WORDS = {
    "description": "memo",
    "due_date": "due date",
    "footer": "footer",
    "collection_method": "collection",
    "automatic_tax": "Stripe Tax",
    "default_tax_rates": "tax rates",
    "payment_method_types": "payment methods",
    "discounts": "discounts",
    "template": "template",
    "amount_tax_display": "way of showing taxes",
    "account_tax_ids": "your own tax ids",
    "customer_name": "customer's name",
    "customer_address": "customer's address",
    "customer_phone": "customer's phone",
    "customer_shipping": "customer's shipping address",
    "customer_tax_exempt": "customer's tax exemption",
    "customer_tax_ids": "customer's tax ids",
    "default_payment_method": "payment method to be charged",
    "default_source": "payment source to be charged",
    "effective_at": "date of issue",
    "issuer": "issuer",
    "on_behalf_of": "account that it is billed for",
    "shipping_cost": "shipping costs",
    "shipping_details": "shipping address",
    "statement_descriptor": "text on statements of cards",
    "number": "number",
}
"""What people call the parts of a header."""


STRIPES_UNLESS_CHOSEN: tuple[Literal["number", "account_tax_ids"], ...] = (
    "number",
    "account_tax_ids",
)
"""What finalization adds to an invoice that has none."""


def told_header(params: "sdk.InvoiceUpdateParams") -> Header:
    """The header that a draft is told to have; what is not told stays whatever it is there."""
    payment, fields = params.get("payment_settings") or {}, params.get("custom_fields") or ()
    told: dict[str, object] = {
        "description": params.get("description"),
        "due_date": params.get("due_date"),
        "footer": params.get("footer"),
        "collection_method": params.get("collection_method"),
        "automatic_tax": params["automatic_tax"]["enabled"],
        "default_tax_rates": params.get("default_tax_rates"),
        "payment_method_types": payment.get("payment_method_types"),
        "discounts": [one.get("coupon") for one in params.get("discounts") or ()],
    }
    if "rendering" in params:
        told["template"] = params["rendering"].get("template")
    return _comparable(told, [{"name": one["name"], "value": one["value"]} for one in fields])


def header_of(invoice: WholeInvoice, coupons: Mapping[str, Coupon]) -> Header:
    """The header that an invoice has, whole, but for whom it is mailed to.

    Number and own tax ids are in it once somebody has chosen them: Stripe adds its own when it
    finalizes an invoice that has none.
    Sources: https://docs.stripe.com/invoicing/taxes/account-tax-ids, and ``number`` of
    https://docs.stripe.com/api/invoices/update

    Args:
        invoice: The invoice.
        coupons: Those of its discounts, by the discounts' ids.
    """
    looks, issued = invoice["rendering"], invoice["effective_at"]
    there: dict[str, object] = {
        "description": invoice["description"],
        "due_date": invoice["due_date"],
        "footer": invoice["footer"],
        "collection_method": invoice["collection_method"],
        "automatic_tax": invoice["automatic_tax"]["enabled"],
        "default_tax_rates": [rate["id"] for rate in invoice["default_tax_rates"]],
        "payment_method_types": invoice["payment_settings"]["payment_method_types"],
        "discounts": [coupon_of(one, coupons) for one in invoice["discounts"]],
        "template": looks and looks["template"],
        "amount_tax_display": looks and looks["amount_tax_display"],
        "customer_name": invoice["customer_name"],
        "customer_address": invoice["customer_address"],
        "customer_phone": invoice["customer_phone"],
        "customer_shipping": invoice["customer_shipping"],
        "customer_tax_exempt": invoice["customer_tax_exempt"],
        "customer_tax_ids": invoice["customer_tax_ids"],
        "default_payment_method": invoice["default_payment_method"],
        "default_source": invoice["default_source"],
        "effective_at": issued != invoice["status_transitions"]["finalized_at"] and issued,
        "issuer": invoice["issuer"],
        "on_behalf_of": invoice["on_behalf_of"],
        "shipping_cost": invoice["shipping_cost"],
        "shipping_details": invoice["shipping_details"],
        "statement_descriptor": invoice["statement_descriptor"],
    }
    there |= {name: invoice[name] for name in STRIPES_UNLESS_CHOSEN if invoice[name]}
    return _comparable(there, invoice["custom_fields"] or ())


def coupon_of(discount: str, coupons: Mapping[str, Coupon]) -> str:
    """What a discount is known by: its coupon, or its own id where it has none any more."""
    return coupons[discount]["id"] if discount in coupons else discount


def checksums(header: Header) -> dict[str, str]:
    """The header with a checksum in place of each value."""
    return {name: fingerprint(value)[:CHECKSUM_DIGITS] for name, value in header.items()}


CHECKSUM_DIGITS = 12
"""Of a value's fingerprint."""


def other_parts(there: Header, wanted: Header) -> list[str]:
    """What a header has otherwise than wanted, by name; what nothing is wanted of does not count.

    Args:
        there: Values or checksums.
        wanted: The same of what is wanted.
    """
    named = {name for name in there if name.startswith(CUSTOM_FIELD)} | wanted.keys()
    return sorted(
        (name for name in named if there.get(name) != wanted.get(name)),
        key=lambda name: (list(WORDS).index(name) if name in WORDS else len(WORDS), name),
    )


def said(names: Iterable[str]) -> str:
    """Parts of a header for people."""
    return ", ".join(map(_word, names))


def _word(name: str) -> str:
    field = name.removeprefix(CUSTOM_FIELD)
    if field == PO_NUMBER:
        return PO_NUMBER
    return WORDS.get(name) or f"custom field {field!r}"


def _comparable(values: Header, fields: Iterable[CustomField]) -> Header:
    fields_by_name = {f"{CUSTOM_FIELD}{field['name']}": field["value"] for field in fields}
    return {name: _plain(value) for name, value in {**values, **fields_by_name}.items()}


def _plain(value: object) -> object:
    """A value as it is compared: whatever blanks it has, in any order; nothing is nothing."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, dict):
        return [(name, _plain(inner)) for name, inner in sorted(value.items()) if inner] or ""
    if isinstance(value, list | tuple):
        return sorted(map(_plain, value), key=str) if value else ""
    return value or ""

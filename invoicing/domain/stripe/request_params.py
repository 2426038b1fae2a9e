"""An invoice in Stripe's words: the parameters of its API.

https://docs.stripe.com/api/invoices/create
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from invoicing.domain.model.invoice import Address, Invoice, Line
from invoicing.domain.model.money import Money, plain, unit_amount_decimal
from invoicing.domain.model.terms import Collection, Discount
from invoicing.domain.stripe.projection import LINE_KEY

Params = dict[str, Any]

COUPON_KEY = "salesforce_line_coupon"
"""Metadata of a line: the coupon that it was given, which the line itself shows as a number."""


def stripe_product(product_id: str) -> str:
    """The id that a Salesforce product has in Stripe."""
    return f"salesforce_{product_id}"


def coupon_id(discount: Discount, currency: str) -> str:
    """The id of the coupon for a discount: made of its terms, so that each exists once."""
    if discount.percent is not None:
        return f"salesforce_{plain(discount.percent).replace('.', '_')}_percent"
    amount = Money.of(discount.amount or 0, currency)
    return f"salesforce_{amount.minor}_{currency.lower()}"


def coupon_terms(discount: Discount, currency: str) -> tuple[Params, str]:
    """A coupon's parameters, and what the customer reads of it."""
    if discount.percent is not None:
        return {"percent_off": float(discount.percent)}, f"{plain(discount.percent)} % off"
    amount = Money.of(discount.amount or 0, currency)
    return {"amount_off": amount.minor, "currency": currency.lower()}, f"{amount} off"


def discounts(invoice: Invoice) -> dict[str, Discount]:
    """Every discount of an invoice and its lines, by the id of its coupon."""
    given = [invoice.details.discount, *(line.discount for line in invoice.lines)]
    return {coupon_id(one, invoice.currency): one for one in given if one}


def _redeemed(discount: Discount | None, currency: str) -> list[Params]:
    return [{"coupon": coupon_id(discount, currency)}] if discount else []


def header_params(invoice: Invoice, *, due: int | None, rates: Sequence[str]) -> Params:
    """Everything about an invoice but its lines; what is not wanted is emptied.

    Args:
        invoice: The record.
        due: Unix time at which payment is due; None when the customer is charged.
        rates: Stripe's ids of the tax rates.
    """
    details = invoice.billed
    charged = details.collection is Collection.CHARGE
    fields = [{"name": entry.name, "value": entry.value} for entry in details.all_custom_fields]
    params: Params = {
        "description": invoice.description,
        "footer": details.footer,
        "custom_fields": fields or "",
        "collection_method": "charge_automatically" if charged else "send_invoice",
        "discounts": _redeemed(details.discount, invoice.currency) or "",
        "automatic_tax": {"enabled": details.automatic_tax},
        "default_tax_rates": list(rates) or "",
        "payment_settings": {"payment_method_types": list(details.payment_methods) or ""},
    }
    if details.template:
        params["rendering"] = {"template": details.template}
    return params if charged else params | {"due_date": due}


def line_params(line: Line, currency: str, *, tax_behavior: str | None) -> Params:
    """One line, with a product of its own when it has none in the price book."""
    params: Params = {
        "description": line.label,
        "quantity_decimal": plain(line.quantity),
        "metadata": {LINE_KEY: line.key},
    }
    product = (
        {"product": stripe_product(line.product_id)}
        if line.product_id
        else {"product_data": {"name": line.label}}
    )
    if line.discount:
        params["discounts"] = _redeemed(line.discount, currency)
        params["metadata"] |= {COUPON_KEY: coupon_id(line.discount, currency)}
    return params | {"price_data": _price(line, currency, tax_behavior) | product}


def _price(line: Line, currency: str, tax_behavior: str | None) -> Params:
    price = {
        "currency": currency.lower(),
        "unit_amount_decimal": unit_amount_decimal(line.unit_price, currency),
    }
    return price | {"tax_behavior": tax_behavior} if tax_behavior else price


LineFacts = tuple[str, str, int, str]
"""Facts that must be the same on both sides: our key, the text, the minor units, the coupon."""


def wanted_facts(invoice: Invoice) -> list[LineFacts]:
    """Facts that the lines of the Stripe draft must have."""
    return [
        (
            line.key,
            line.label,
            line.amount(invoice.currency).minor,
            coupon_id(line.discount, invoice.currency) if line.discount else "",
        )
        for line in invoice.lines
    ]


def line_facts(line: Mapping[str, Any]) -> LineFacts:
    """Facts of a line in Stripe."""
    metadata = line.get("metadata") or {}
    return (
        metadata.get(LINE_KEY) or "",
        str(line["description"]),
        int(line["amount"]),
        metadata.get(COUPON_KEY) or "",
    )


def preview_params(
    invoice: Invoice,
    customer: Mapping[str, Any] | None,
    tax_ids: Sequence[Mapping[str, Any]] = (),
    *,
    rates: Sequence[str],
    tax_behavior: str | None,
) -> Params:
    """Parameters of ``create_preview``: the invoice as sending it would make it.

    The customer's details are given instead of the customer, whose pending items and own
    discount Stripe would put on the preview, and never on the invoice.

    Args:
        invoice: The record.
        customer: The customer in Stripe, if there is one already.
        tax_ids: The customer's tax ids in Stripe.
        rates: Stripe's ids of the tax rates.
        tax_behavior: How Stripe Tax takes the prices; None without Stripe Tax.
    """
    details = _customer_details(invoice.account.address, customer or {})
    if tax_ids:
        details["tax_ids"] = [{"type": one["type"], "value": one["value"]} for one in tax_ids]
    return {
        "currency": invoice.currency.lower(),
        "customer_details": details,
        "automatic_tax": {"enabled": invoice.billed.automatic_tax},
        "discounts": _redeemed(invoice.details.discount, invoice.currency) or "",
        "invoice_items": [
            _preview_item(line, invoice.currency, rates, tax_behavior) for line in invoice.lines
        ],
    }


def _customer_details(address: Address | None, customer: Mapping[str, Any]) -> Params:
    details: Params = {"tax_exempt": customer.get("tax_exempt") or "none"}
    known = address_params(address) if address else customer.get("address")
    if known:
        details["address"] = _filled(known)
    shipping = customer.get("shipping")
    if shipping:
        details["shipping"] = {"name": shipping["name"], "address": _filled(shipping["address"])}
    return details


def _filled(address: Mapping[str, Any]) -> Params:
    return {name: value for name, value in address.items() if value}


def address_params(address: Address) -> Params:
    """An address as Stripe takes it."""
    return _filled(asdict(address))


def _preview_item(
    line: Line, currency: str, rates: Sequence[str], tax_behavior: str | None
) -> Params:
    params: Params = {"description": line.label, "quantity_decimal": plain(line.quantity)}
    if line.discount:
        params["discounts"] = _redeemed(line.discount, currency)
    if rates:
        params["tax_rates"] = list(rates)
    price = _price(line, currency, tax_behavior)
    if line.product_id:
        return params | {"price_data": price | {"product": stripe_product(line.product_id)}}
    return params | price


def net_of_exclusive_tax(invoice: Mapping[str, Any]) -> Money:
    """Total of an invoice in Stripe after discounts, before the taxes put on top of it."""
    on_top = sum(
        tax["amount"]
        for tax in invoice.get("total_taxes") or ()
        if tax["tax_behavior"] == "exclusive"
    )
    return Money(invoice["currency"], invoice["total"] - on_top)


def tax_of(invoice: Mapping[str, Any]) -> Money:
    """Sum of an invoice's taxes in Stripe, those within its prices too."""
    taxes = invoice.get("total_taxes") or ()
    return Money(invoice["currency"], sum(tax["amount"] for tax in taxes))

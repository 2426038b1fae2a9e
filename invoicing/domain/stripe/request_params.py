"""An invoice in Stripe's words: the parameters of its API.

https://docs.stripe.com/api/invoices/create
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar, cast

from invoicing.domain.model.invoice import Account, Address, Invoice, Line
from invoicing.domain.model.invoice_details import Collection, Discount
from invoicing.domain.model.money import Money, plain, unit_amount_decimal
from invoicing.domain.stripe.projection import LINE_KEY
from invoicing.domain.stripe.resources import Customer, StripeAddress, TaxId, Totals

if TYPE_CHECKING:
    from stripe import params as sdk

Header = TypeVar("Header", "sdk.InvoiceCreateParams", "sdk.InvoiceUpdateParams")
Whom = TypeVar("Whom", "sdk.CustomerCreateParams", "sdk.CustomerUpdateParams")


PRODUCT_PREFIX = "salesforce_"


def stripe_product(product_id: str) -> str:
    """The id that a Salesforce product has in Stripe."""
    return f"{PRODUCT_PREFIX}{product_id}"


def salesforce_product(product_id: str) -> str | None:
    """The Salesforce product that one of Stripe's stands for, by its id, if it stands for any."""
    own = product_id.removeprefix(PRODUCT_PREFIX)
    return own if own != product_id else None


def coupon_id(discount: Discount, currency: str) -> str:
    """The id of the coupon for a discount: made of its terms, so that each exists once."""
    if discount.percent is not None:
        return f"salesforce_{plain(discount.percent).replace('.', '_')}_percent"
    amount = Money.of(discount.amount or 0, currency)
    return f"salesforce_{amount.minor}_{currency.lower()}"


def coupon_params(discount: Discount, currency: str) -> "sdk.CouponCreateParams":
    """A coupon's terms, and as its name what the customer reads of it."""
    if discount.percent is not None:
        name = f"{plain(discount.percent)} % off"
        return {"name": name, "duration": "once", "percent_off": float(discount.percent)}
    amount = Money.of(discount.amount or 0, currency)
    return {
        "name": f"{amount} off",
        "duration": "once",
        "amount_off": amount.minor,
        "currency": currency.lower(),
    }


def discounts(invoice: Invoice) -> dict[str, Discount]:
    """Every discount of an invoice and its lines, by the id of its coupon."""
    given = [invoice.details.discount, *(line.discount for line in invoice.lines)]
    return {coupon_id(one, invoice.currency): one for one in given if one}


def _redeemed(discount: Discount | None, currency: str) -> "list[sdk.InvoiceUpdateParamsDiscount]":
    return [{"coupon": coupon_id(discount, currency)}] if discount else []


def header_params(
    invoice: Invoice, *, due: int | None, rates: Sequence[str]
) -> "sdk.InvoiceUpdateParams":
    """Everything about an invoice but its lines; what is not wanted is emptied.

    Args:
        invoice: The record.
        due: Unix time at which payment is due; None when the customer is charged.
        rates: Stripe's ids of the tax rates.
    """
    params: sdk.InvoiceUpdateParams = {} if rates else {"default_tax_rates": ""}
    return _with_header(params, invoice, due=due, rates=rates)


def draft_params(
    invoice: Invoice, customer_id: str, *, due: int | None, rates: Sequence[str]
) -> "sdk.InvoiceCreateParams":
    """A new draft without lines, its header as :func:`header_params` has it.

    What is meant to be empty or off is said to be: whatever a draft leaves out is filled in from
    the settings of the customer or the account.
    Sources: https://docs.stripe.com/invoicing/invoice-rendering-template, "Override and update
    templates"; https://docs.stripe.com/tax/invoicing/automatic-tax-default
    """
    params: sdk.InvoiceCreateParams = {
        "customer": customer_id,
        "currency": invoice.currency.lower(),
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
    }
    return _with_header(params, invoice, due=due, rates=rates)


def _with_header(
    params: Header, invoice: Invoice, *, due: int | None, rates: Sequence[str]
) -> Header:
    details = invoice.billed
    charged = details.collection is Collection.CHARGE
    params["description"] = invoice.description
    params["footer"] = details.footer
    params["custom_fields"] = [
        {"name": entry.name, "value": entry.value} for entry in details.all_custom_fields
    ] or ""
    params["collection_method"] = "charge_automatically" if charged else "send_invoice"
    params["discounts"] = _redeemed(details.discount, invoice.currency) or ""
    params["automatic_tax"] = {"enabled": details.automatic_tax}
    if rates:
        params["default_tax_rates"] = list(rates)
    params["payment_settings"] = {"payment_method_types": list(details.payment_methods) or ""}
    if details.template:
        params["rendering"] = {"template": details.template}
    if due is not None and not charged:
        params["due_date"] = due
    return params


class PlainDecimal(Decimal):
    """A decimal that the SDK writes without an exponent."""

    def __str__(self) -> str:
        return f"{self:f}"


def line_params(
    line: Line, currency: str, *, tax_behavior: str | None
) -> "sdk.InvoiceAddLinesParamsLine":
    """One line, with a product of its own when it has none in the price book."""
    price: sdk.InvoiceAddLinesParamsLinePriceData = {
        "currency": currency.lower(),
        "unit_amount_decimal": _unit_amount(line, currency),
    }
    if tax_behavior:
        price["tax_behavior"] = tax_behavior
    if line.product_id:
        price["product"] = stripe_product(line.product_id)
    else:
        price["product_data"] = {"name": line.label}
    return {
        "description": line.label,
        "quantity_decimal": PlainDecimal(plain(line.quantity)),
        "metadata": {LINE_KEY: line.key},
        "price_data": price,
        "discounts": _redeemed(line.discount, currency),
    }


def _unit_amount(line: Line, currency: str) -> Decimal:
    return PlainDecimal(unit_amount_decimal(line.unit_price, currency))


def preview_params(
    invoice: Invoice,
    customer: Customer | None,
    tax_ids: Sequence[TaxId] = (),
    *,
    rates: Sequence[str],
    tax_behavior: str | None,
) -> "sdk.InvoiceCreatePreviewParams":
    """What to ask ``create_preview``: the invoice as sending it would make it.

    The customer's details are given instead of the customer, whose pending items and own
    discount Stripe would put on the preview, and never on the invoice.

    Args:
        invoice: The record.
        customer: The customer in Stripe, if there is one already.
        tax_ids: The customer's tax ids in Stripe.
        rates: Stripe's ids of the tax rates.
        tax_behavior: How Stripe Tax takes the prices; None without Stripe Tax.
    """
    details = _customer_details(invoice.account.address, customer)
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


def _customer_details(
    address: Address | None, customer: Customer | None
) -> "sdk.InvoiceCreatePreviewParamsCustomerDetails":
    details: sdk.InvoiceCreatePreviewParamsCustomerDetails = {"tax_exempt": "none"}
    there = None
    if customer:
        details["tax_exempt"] = customer.get("tax_exempt") or "none"
        there = customer.get("address")
        shipping = customer.get("shipping") or {}
        to, name = shipping.get("address"), shipping.get("name")
        if to and name:
            details["shipping"] = {"name": name, "address": _filled(to)}
    if address:
        details["address"] = address_params(address)
    elif there:
        details["address"] = _filled(there)
    return details


def new_customer_params(
    account: Account, email: str, metadata: dict[str, str]
) -> "sdk.CustomerCreateParams":
    """A customer for an Account."""
    params: sdk.CustomerCreateParams = {"metadata": metadata}
    return _with_whom(params, account, email)


def customer_params(account: Account, email: str) -> "sdk.CustomerUpdateParams":
    """What Salesforce decides of a customer; the address only where it has a country code."""
    params: sdk.CustomerUpdateParams = {}
    return _with_whom(params, account, email)


def _with_whom(params: Whom, account: Account, email: str) -> Whom:
    params["name"] = account.name
    if email:
        params["email"] = email
    if account.address:
        params["address"] = address_params(account.address)
    return params


def is_in_step(customer: Customer, account: Account, email: str) -> bool:
    """Whether a customer is already what :func:`customer_params` would make of it."""
    there = customer.get("address")
    has = _filled(there) if there else {}
    wanted = address_params(account.address) if account.address else {}
    named = (customer["email"] or "", customer.get("name")) == (email, account.name)
    return named and wanted.items() <= has.items()


def address_params(address: Address) -> "sdk.CustomerUpdateParamsAddress":
    """An address as Stripe takes it."""
    return _filled(
        {
            "line1": address.line1,
            "line2": None,
            "city": address.city,
            "state": address.state,
            "postal_code": address.postal_code,
            "country": address.country,
        }
    )


def _filled(address: StripeAddress) -> "sdk.CustomerUpdateParamsAddress":
    """What an address has; empty parts are left out."""
    filled = {name: value for name, value in address.items() if value}
    return cast("sdk.CustomerUpdateParamsAddress", filled)


def _preview_item(
    line: Line, currency: str, rates: Sequence[str], tax_behavior: str | None
) -> "sdk.InvoiceCreatePreviewParamsInvoiceItem":
    params: sdk.InvoiceCreatePreviewParamsInvoiceItem = {
        "description": line.label,
        "quantity_decimal": PlainDecimal(plain(line.quantity)),
        "discounts": _redeemed(line.discount, currency),
        "tax_rates": list(rates),
    }
    if line.product_id:
        params["price_data"] = {
            "currency": currency.lower(),
            "product": stripe_product(line.product_id),
            "unit_amount_decimal": _unit_amount(line, currency),
        }
    else:
        params["currency"] = currency.lower()
        params["unit_amount_decimal"] = _unit_amount(line, currency)
    if tax_behavior:
        (params["price_data"] if line.product_id else params)["tax_behavior"] = tax_behavior
    return params


def reported_payment_params(
    money: Money,
    received: int,
    *,
    paid_by: str,
    description: str,
    reference: str,
    metadata: dict[str, str],
) -> "sdk.PaymentRecordReportPaymentParams":
    """A payment that was received outside Stripe.

    Args:
        money: What was paid.
        received: Unix time.
        paid_by: The way it came, as the customer reads it.
        description: What it was for.
        reference: What the payer or the bank calls it; may be empty.
        metadata: Whose request it was.
    """
    params: sdk.PaymentRecordReportPaymentParams = {
        "amount_requested": {"currency": money.currency.lower(), "value": money.minor},
        "initiated_at": received,
        "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": received},
        "description": description,
        "payment_method_details": {"type": "custom", "custom": {"display_name": paid_by}},
        "metadata": metadata,
    }
    if reference:
        params["processor_details"] = {
            "type": "custom",
            "custom": {"payment_reference": reference},
        }
    return params


def net_of_exclusive_tax(invoice: Totals) -> Money:
    """What an invoice in Stripe comes to after discounts, before the taxes put on top of it."""
    on_top = sum(
        tax["amount"] for tax in invoice["total_taxes"] or () if tax["tax_behavior"] == "exclusive"
    )
    return Money(invoice["currency"], invoice["total"] - on_top)


def tax_of(invoice: Totals) -> Money:
    """Sum of an invoice's taxes in Stripe, those within its prices too."""
    taxes = invoice["total_taxes"] or ()
    return Money(invoice["currency"], sum(tax["amount"] for tax in taxes))

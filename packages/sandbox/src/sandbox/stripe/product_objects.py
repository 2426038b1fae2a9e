"""Building products and prices: for the catalogue, or for a single line."""

from decimal import Decimal

from sandbox.stripe import money
from sandbox.stripe.api import Params
from sandbox.stripe.apply_params import check_length, number, put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc

PRODUCT_FIELDS = (
    "active",
    "description",
    "images",
    "marketing_features",
    "name",
    "package_dimensions",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "tax_details",
    "unit_label",
    "url",
)


NAME_LENGTH = 250
"""Stripe's changes of 2018-10-31, quoted in https://github.com/Dolibarr/dolibarr/pull/9933"""


def new_product(context: Context, product_id: str, params: Params, *, shown: bool = True) -> Doc:
    """Build a product. One that is not shown was made for a single line."""
    product: Doc = {
        "id": product_id,
        "object": "product",
        "active": shown,
        "created": context.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": context.livemode,
        "marketing_features": [],
        "metadata": {},
        "name": None,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": params.get("type", "service"),
        "unit_label": None,
        "updated": context.now,
        "url": None,
        "_": {"shown": shown},
    }
    describe_product(product, params)
    return product


def describe_product(product: Doc, params: Params) -> None:
    """Apply a product's parameters.

    Raises:
        StripeError: If the name is too long.
    """
    check_length(params.get("name"), NAME_LENGTH, "name")
    put(product, params, PRODUCT_FIELDS)
    put_metadata(product, params)


def new_price(context: Context, params: Params, param: str = "", *, shown: bool = True) -> Doc:
    """Build a price. One that is not shown was made for a single line.

    Raises:
        StripeError: If the amount is missing, given twice, negative or not of the currency.
    """

    def named(name: str) -> str:
        return f"{param}[{name}]" if param else name

    currency = money.check_currency(params["currency"], named("currency"))
    unit_amount = _unit_amount(params, currency, named("unit_amount"))
    recurring = params.get("recurring")
    price: Doc = {
        "id": new_id("price"),
        "object": "price",
        "active": shown,
        "billing_scheme": params.get("billing_scheme", "per_unit"),
        "created": context.now,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": context.livemode,
        "lookup_key": params.get("lookup_key"),
        "metadata": {},
        "nickname": params.get("nickname"),
        "product": params["product"],
        "recurring": _recurring(recurring) if recurring else None,
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": int(unit_amount) if unit_amount == int(unit_amount) else None,
        "unit_amount_decimal": money.plain(unit_amount),
        "_": {"shown": shown},
    }
    if "active" in params:
        price["active"] = params["active"]
    put_metadata(price, params)
    return price


def _unit_amount(params: Params, currency: str, param: str) -> Decimal:
    whole, exact = params.get("unit_amount"), params.get("unit_amount_decimal")
    if whole is not None and exact is not None:
        raise invalid(
            "Provide only one of unit_amount and unit_amount_decimal.",
            param,
            "parameters_exclusive",
        )
    amount = number(whole if whole is not None else exact)
    if amount is None:
        raise missing_param(param)
    check_decimal(amount, param)
    if amount == int(amount):
        money.check_amount(int(amount), currency, param)
    return amount


def check_decimal(value: Decimal, param: str) -> None:
    """Refuse what is negative or has more than twelve decimals."""
    if value < 0:
        raise invalid("This value must be greater than or equal to 0.", param)
    if -int(value.as_tuple().exponent) > 12:
        raise invalid("Invalid decimal: at most 12 decimal places are supported.", param)


def _recurring(recurring: Params) -> Doc:
    return {
        "interval": recurring["interval"],
        "interval_count": recurring.get("interval_count", 1),
        "meter": recurring.get("meter"),
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": recurring.get("usage_type", "licensed"),
    }

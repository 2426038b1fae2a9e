"""What one line costs: from a price, an inline price, a unit amount or a plain amount."""

from dataclasses import dataclass
from decimal import Decimal

from sandbox.stripe import money
from sandbox.stripe.api import Params
from sandbox.stripe.apply_params import number
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, missing_param, wrong_state
from sandbox.stripe.ids import new_id
from sandbox.stripe.product_objects import NAME_LENGTH, check_decimal, new_price, new_product
from sandbox.stripe.store import Doc

WAYS = ("amount", "pricing", "price_data", "unit_amount_decimal")


@dataclass(frozen=True)
class Cost:
    """A priced line: minor units, and the catalogue entries behind it."""

    amount: int
    unit_amount: Decimal
    quantity: Decimal
    price: str
    product: str
    description: str | None

    def fields(self) -> Doc:
        """Return the fields that lines and invoice items share."""
        return {
            "amount": self.amount,
            "pricing": {
                "price_details": {"price": self.price, "product": self.product},
                "type": "price_details",
                "unit_amount_decimal": money.plain(self.unit_amount),
            },
            "quantity": int(self.quantity),
            "quantity_decimal": money.plain(self.quantity),
        }


def cost(context: Context, params: Params, currency: str, current: Doc | None = None) -> Cost:
    """Price a line.

    Args:
        context: The act.
        params: The line's parameters; exactly one of ``WAYS``, or none to keep the current price.
        currency: The invoice's currency, which the price must have.
        current: The line or item that is being changed.

    Raises:
        StripeError: If the parameters contradict each other or name nothing.
    """
    given = [name for name in WAYS if params.get(name) is not None]
    if len(given) > 1:
        raise invalid(
            f"You may only specify one of these parameters: {', '.join(given)}.",
            given[1],
            "parameters_exclusive",
        )
    if not given and current is None:
        raise missing_param("pricing[price]")
    quantity = _quantity(params, current)
    match given[0] if given else None:
        case "amount":
            return _plain_amount(context, params, currency)
        case "pricing":
            return _catalogue_price(context, params, currency, quantity)
        case "price_data":
            return _inline_price(context, params, currency, quantity)
        case "unit_amount_decimal":
            unit = params["unit_amount_decimal"]
            return _made_for_line(context, params, currency, unit, quantity)
        case _:
            return _repriced(current or {}, currency, quantity)


def _quantity(params: Params, current: Doc | None) -> Decimal:
    whole, exact = params.get("quantity"), params.get("quantity_decimal")
    if whole is not None and exact is not None:
        raise invalid(
            "You may only specify one of these parameters: quantity, quantity_decimal.",
            "quantity_decimal",
            "parameters_exclusive",
        )
    if (whole is not None or exact is not None) and params.get("amount") is not None:
        raise invalid(
            "You cannot set a quantity along with amount.", "quantity", "parameters_exclusive"
        )
    quantity = number(whole if whole is not None else exact)
    if quantity is None:
        return Decimal(current["quantity_decimal"]) if current else Decimal(1)
    check_decimal(quantity, "quantity" if whole is not None else "quantity_decimal")
    return quantity


def _plain_amount(context: Context, params: Params, currency: str) -> Cost:
    amount = money.check_amount(params["amount"], currency, "amount")
    return _made_for_line(context, params, currency, Decimal(amount), Decimal(1))


def _catalogue_price(context: Context, params: Params, currency: str, quantity: Decimal) -> Cost:
    price_id = params["pricing"].get("price")
    if not price_id:
        raise missing_param("pricing[price]")
    price = context.require("price", price_id, "pricing[price]")
    if not price["active"]:
        raise wrong_state(f"Price `{price_id}` is not active.", param="pricing[price]")
    if price["type"] != "one_time":
        raise wrong_state(
            "The price specified is set to `type=recurring` but this field only accepts prices "
            "with `type=one_time`.",
            param="pricing[price]",
        )
    if price["currency"] != currency:
        raise wrong_state(
            f"The price's currency ({price['currency']}) must match the invoice's ({currency}).",
            param="pricing[price]",
        )
    product = context.require("product", price["product"])
    _check_active(product, "pricing[price]")
    return _at_price(price, product, currency, quantity)


def _check_active(product: Doc, param: str) -> None:
    """Refuse an archived product.

    Sources: https://github.com/useautumn/autumn/pull/3149 and
    https://github.com/stripe/stripe-go/issues/1031
    """
    if not product["active"]:
        raise wrong_state(
            f"The product {product['id']} is marked as inactive, and thus nothing new can be "
            "charged for it.",
            "product_inactive",
            param,
        )


def _inline_price(context: Context, params: Params, currency: str, quantity: Decimal) -> Cost:
    data = dict(params["price_data"])
    if data["currency"].lower() != currency:
        raise invalid(
            f"The currency of price_data must match the invoice's ({currency}).",
            "price_data[currency]",
        )
    if "product_data" in data:
        made = data.pop("product_data")
        product = new_product(context, new_id("product"), made, shown=False)
        context.space.insert("product", product)
        data["product"] = product["id"]
    elif "product" not in data:
        raise missing_param("price_data[product]")
    else:
        product = context.require("product", data["product"], "price_data[product]")
        _check_active(product, "price_data[product]")
    price = new_price(context, data, "price_data", shown=False)
    context.space.insert("price", price)
    return _at_price(price, product, currency, quantity)


def _made_for_line(
    context: Context, params: Params, currency: str, unit: Decimal, quantity: Decimal
) -> Cost:
    """Stripe makes a product and a price of its own for a line that names none."""
    name = (params.get("description") or "Invoice item")[:NAME_LENGTH]
    product = new_product(context, new_id("product"), {"name": name}, shown=False)
    data = {"currency": currency, "product": product["id"], "unit_amount_decimal": abs(unit)}
    price = new_price(context, data, shown=False)
    context.space.insert("product", product)
    context.space.insert("price", price)
    amount = money.multiplied(unit, quantity, currency)
    return Cost(amount, unit, quantity, price["id"], product["id"], params.get("description"))


def _repriced(current: Doc, currency: str, quantity: Decimal) -> Cost:
    unit = Decimal(current["pricing"]["unit_amount_decimal"])
    details = current["pricing"]["price_details"]
    amount = money.multiplied(unit, quantity, currency)
    return Cost(
        amount, unit, quantity, details["price"], details["product"], current["description"]
    )


def _at_price(price: Doc, product: Doc, currency: str, quantity: Decimal) -> Cost:
    unit = Decimal(price["unit_amount_decimal"])
    amount = money.multiplied(unit, quantity, currency)
    money.check_amount(amount, currency, "quantity")
    return Cost(amount, unit, quantity, price["id"], product["id"], product["name"])

"""An invoice's sums: discounts line by line, taxes line by line, each rounded on the line.

Order of https://docs.stripe.com/billing/invoices/subscription: line discounts, invoice discounts in
their order, then taxes on what is left. Percentages are rounded per line; fixed amounts are spread
over the lines in proportion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.stripe import money
from sandbox.stripe.context import Context
from sandbox.stripe.store import Doc


@dataclass
class Tally:
    """A line on its way through discounts and taxes."""

    line: Doc
    net: int

    @property
    def discountable(self) -> bool:
        """Whether a discount may lower it further."""
        return bool(self.line["discountable"]) and self.net > 0


def compute(context: Context, invoice: Doc, lines: Sequence[Doc], rates: "Rates") -> None:
    """Set everything on an invoice and its lines that follows from the lines.

    Args:
        context: The act.
        invoice: Gets its totals.
        lines: All lines; they get their discount amounts and taxes.
        rates: The tax rates of each line.
    """
    currency = invoice["currency"]
    tallies = [Tally(line, line["amount"]) for line in lines]
    for tally in tallies:
        tally.line["discount_amounts"] = []
        for discount_id in tally.line["discounts"]:
            _reduce(context, [tally], discount_id, currency)
    subtotal = sum(tally.net for tally in tallies)
    for discount_id in invoice["discounts"]:
        _reduce(context, tallies, discount_id, currency)
    for tally in tallies:
        tally.line["subtotal"] = tally.line["amount"]
        tally.line["taxes"] = _taxes(tally, rates(tally.line), invoice)
    _total(invoice, tallies, subtotal)


class Rates:
    """Says which tax rates a line has, or which tax amounts were given for it."""

    def __call__(self, line: Doc) -> "list[Doc] | list[GivenTax]":
        """Return the line's tax rates."""
        raise NotImplementedError


@dataclass(frozen=True)
class GivenTax:
    """A tax amount the client worked out itself."""

    amount: int
    taxable_amount: int
    rate: Doc
    reason: str


def _reduce(context: Context, tallies: Sequence[Tally], discount_id: str, currency: str) -> None:
    """Apply one discount to the lines it is for."""
    discount = context.space.get("discount", discount_id)
    coupon = discount and context.space.get("coupon", discount["source"]["coupon"])
    if not coupon:
        return
    products = coupon["_"].get("products")
    hit = [
        tally
        for tally in tallies
        if tally.discountable and (not products or _product(tally.line) in products)
    ]
    for tally, cut in zip(hit, _cuts(coupon, hit, currency), strict=True):
        tally.net -= cut
        tally.line["discount_amounts"].append({"amount": cut, "discount": discount_id})


def _cuts(coupon: Doc, hit: Sequence[Tally], currency: str) -> list[int]:
    nets = [tally.net for tally in hit]
    if coupon["percent_off"] is not None:
        share = Decimal(str(coupon["percent_off"])) / 100
        return [money.rounded(net * share, currency) for net in nets]
    if coupon["currency"] != currency:
        return [0 for _ in nets]
    return money.allocated(min(coupon["amount_off"], sum(nets)), nets, currency)


def _product(line: Doc) -> str | None:
    product: str | None = line["pricing"]["price_details"]["product"]
    return product


def _taxes(tally: Tally, rates: Sequence[Any], invoice: Doc) -> list[Doc]:
    if rates and isinstance(rates[0], GivenTax):
        return [
            _tax(given.rate, given.amount, given.taxable_amount, given.reason) for given in rates
        ]
    currency, exempt = invoice["currency"], invoice["customer_tax_exempt"]
    if exempt in ("exempt", "reverse"):
        reason = "customer_exempt" if exempt == "exempt" else "reverse_charge"
        return [_tax(rate, 0, tally.net, reason) for rate in rates]
    reason = "standard_rated" if invoice["automatic_tax"]["enabled"] else "not_available"
    percentages = [Decimal(str(rate["percentage"])) for rate in rates if rate["inclusive"]]
    inclusive = sum(percentages, start=Decimal(0))
    base = tally.net / (1 + inclusive / 100)
    taxable = money.rounded(base, currency)
    taxes = []
    for rate in rates:
        amount = money.rounded(base * Decimal(str(rate["percentage"])) / 100, currency)
        taxes.append(_tax(rate, amount, taxable, reason))
    return taxes


def _tax(rate: Doc, amount: int, taxable: int, reason: str) -> Doc:
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
        "tax_rate_details": {"tax_rate": rate["id"]},
        "taxability_reason": reason,
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _total(invoice: Doc, tallies: Sequence[Tally], subtotal: int) -> None:
    taxes = [tax for tally in tallies for tax in tally.line["taxes"]]
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    exclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    net = sum(tally.net for tally in tallies) + invoice["amount_shipping"]
    invoice["subtotal"] = subtotal
    invoice["subtotal_excluding_tax"] = subtotal - inclusive
    invoice["total"] = net + exclusive
    invoice["total_excluding_tax"] = net - inclusive
    invoice["total_taxes"] = _summed(taxes)
    invoice["total_discount_amounts"] = _discounted(tallies)


def _summed(taxes: Sequence[Doc]) -> list[Doc]:
    """Add up taxes by rate and reason."""
    sums: dict[tuple[str, str], Doc] = {}
    for tax in taxes:
        key = (tax["tax_rate_details"]["tax_rate"], tax["taxability_reason"])
        if key in sums:
            sums[key]["amount"] += tax["amount"]
            sums[key]["taxable_amount"] += tax["taxable_amount"]
        else:
            sums[key] = dict(tax)
    return list(sums.values())


def _discounted(tallies: Sequence[Tally]) -> list[Doc]:
    sums: dict[str, int] = {}
    for tally in tallies:
        for cut in tally.line["discount_amounts"]:
            sums[cut["discount"]] = sums.get(cut["discount"], 0) + cut["amount"]
    return [{"amount": amount, "discount": discount} for discount, amount in sums.items()]

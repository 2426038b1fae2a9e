"""Facts of lines, compared: what a draft in Stripe must have, and what it has."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.money import Money, plain, unit_amount_decimal
from invoicing.domain.stripe.header_facts import coupon_of
from invoicing.domain.stripe.projection import LINE_KEY
from invoicing.domain.stripe.request_params import coupon_id, salesforce_product, stripe_product
from invoicing.domain.stripe.resources import Coupon, StripeLine

NAMED = 3
"""How many lines are named to people; the rest is counted."""

CHECKSUM_DIGITS = 12
"""Of a line's fingerprint: the ledger keeps one of each line of an invoice."""


class LineFacts(NamedTuple):
    """Facts that must be the same on both sides: all that reaches the customer or the tax.

    Attributes:
        key: Ours.
        text: What the customer reads.
        product: The product that Salesforce has of it, which decides its tax code, if any.
        quantity: In plain notation.
        price: Of one, in minor units, in plain notation.
        amount: In minor units.
        coupons: The coupons that take something off it.
        discounts: How many discounts it has.
        off: What these take off, in minor units.
        other_rates: Tax rates that it has by itself.
    """

    key: str
    text: str
    product: str
    quantity: str
    price: str
    amount: int
    coupons: str
    discounts: int
    off: int
    other_rates: tuple[str, ...] = ()

    @property
    def checksum(self) -> str:
        """Stands for all that reaches the customer or the tax; our own key does neither."""
        return fingerprint(*self._replace(key=""))[:CHECKSUM_DIGITS]

    def said(self, currency: str) -> str:
        """The line for people."""
        less = f" less {Money(currency, self.off)}" if self.off else ""
        return f"{self.quantity} of {self.text!r}: {Money(currency, self.amount)}{less}"


def wanted_facts(invoice: Invoice) -> list[LineFacts]:
    """Facts that the lines of the Stripe draft must have."""
    return [
        LineFacts(
            line.key,
            line.label,
            stripe_product(line.product_id) if line.product_id else "",
            plain(line.quantity),
            unit_amount_decimal(line.unit_price, invoice.currency),
            line.amount(invoice.currency).minor,
            coupon_id(line.discount, invoice.currency) if line.discount else "",
            1 if line.discount else 0,
            (line.amount(invoice.currency) - line.net(invoice.currency)).minor,
        )
        for line in invoice.lines
    ]


def line_facts(
    line: StripeLine, rates: Collection[str] | None, coupons: Mapping[str, Coupon]
) -> LineFacts:
    """Facts of a line in Stripe.

    Args:
        line: The line.
        rates: The invoice's tax rates; None with Stripe Tax, which chooses them.
        coupons: Those of its discounts, by the discounts' ids.
    """
    pricing = line["pricing"]
    product = pricing["price_details"]["product"] if pricing and pricing["price_details"] else ""
    price = pricing["unit_amount_decimal"] if pricing else None
    return LineFacts(
        line["metadata"].get(LINE_KEY, ""),
        line["description"] or "",
        product if salesforce_product(product) else "",
        plain(Decimal(line["quantity_decimal"] or line["quantity"] or 1)),
        "" if price is None else plain(Decimal(price)),
        line["amount"],
        " ".join(sorted(coupon_of(one, coupons) for one in line["discounts"])),
        len(line["discounts"]),
        sum(
            cut["amount"]
            for cut in line["discount_amounts"] or ()
            if cut["discount"] in line["discounts"]
        ),
        () if rates is None else tuple(sorted(rates_of(line) - {*rates})),
    )


def rates_of(line: StripeLine) -> set[str]:
    """The tax rates that a line in Stripe is taxed by."""
    details = (tax["tax_rate_details"] for tax in line["taxes"] or ())
    return {each["tax_rate"] for each in details if each}


def lines_apart(
    there: Sequence[LineFacts], agreed: Collection[str], here: Sequence[LineFacts], currency: str
) -> str:
    """How the lines of an invoice in Stripe differ from those that were agreed, for people.

    Args:
        there: Stripe's.
        agreed: Checksums of those that were agreed.
        here: The record's, which name what is missing, as long as it has not Stripe's.
        currency: The invoice's.

    Returns:
        ``1 of 'A': 5.00 USD instead of 2 of 'B': 5.00 USD``; nothing where they are the same.
    """
    known = [line.checksum for line in there]
    if Counter(known) == Counter(agreed):
        return ""
    now, before = _named(_beyond(there, agreed), currency), _named(_beyond(here, known), currency)
    if now == before:
        return f"{now}, of another product or with other discounts or taxes"
    if now and before:
        return f"{now} instead of {before}"
    return f"{now}, which was not agreed" if now else f"without {before or 'a line'}"


def _beyond(lines: Sequence[LineFacts], known: Collection[str]) -> list[LineFacts]:
    """Lines that are not among those of some checksums, each of which is one line's."""
    left, beyond = Counter(known), []
    for line in lines:
        if left[line.checksum]:
            left[line.checksum] -= 1
        else:
            beyond.append(line)
    return beyond


def _named(lines: Sequence[LineFacts], currency: str) -> str:
    named = [line.said(currency) for line in lines[:NAMED]]
    if len(lines) > NAMED:
        named.append(f"{len(lines) - NAMED} more")
    return "; ".join(named)

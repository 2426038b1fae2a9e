"""Lines of a finalized invoice: the record's, held to Stripe's.

Stripe freezes an invoice's lines when it is finalized. From then on the record's lines say what
Stripe's say: text, quantity, price, amount and, where Salesforce wrote the line, the product. Their
order and discounts stay as they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import (
    QUANTITY_DECIMALS,
    QUANTITY_DIGITS,
    TEXT_LENGTH,
    Line,
)
from invoicing.domain.model.money import Money, decimals, exponent, line_amount, plain
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.action_rules import line_key
from invoicing.domain.stripe.request_params import salesforce_product
from invoicing.domain.stripe.resources import StripeLine

CHECKSUM_DIGITS = 10
"""Of a line's fingerprint: what all lines of an invoice add up to fits into a ledger's integer."""


STRIPE_LINE = "il_"
"""Begins the ids of Stripe's lines, which are the keys of lines that were made there."""


class MirroredFacts(NamedTuple):
    """Facts of a line that must be the same on both sides; the amount in minor units.

    Of which of Salesforce's products a line is can be known where Salesforce wrote it: one that was
    made in Stripe is of a product of Stripe's, and people may say on the record what that is.
    """

    key: str
    text: str
    quantity: str
    price: str
    amount: int
    product: str = ""

    @property
    def checksum(self) -> int:
        """A number that says whether the line is the same; lines of an invoice are added up."""
        facts = self if self.product else self[:-1]
        return int(fingerprint(*facts)[:CHECKSUM_DIGITS], 16)

    def said(self, currency: str) -> str:
        """The line for people."""
        product = f" ({self.product})" if self.product else ""
        return f"{self.quantity} of {self.text!r}{product}: {Money(currency, self.amount)}"


class Kept(NamedTuple):
    """What an org keeps of a line; of its text so many characters."""

    keys: bool = True
    exact_prices: bool = True
    text: int = TEXT_LENGTH


class MirroredLine(NamedTuple):
    """A line as the record is to have it; the product only where it is one of Salesforce's."""

    facts: MirroredFacts
    product_id: str | None

    def line(self, position: int) -> Line:
        """The line of an invoice of ours, at a place in it."""
        facts, product = self
        quantity, price = Decimal(facts.quantity), Decimal(facts.price)
        return Line(facts.key, position, facts.text, quantity, price, product)


def mirror_of(line: StripeLine, currency: str, *, ours: bool, kept: Kept) -> MirroredLine:
    """A line of Stripe's as the record is to have it; see :func:`facts_in_stripe`."""
    facts = facts_in_stripe(line, currency, ours=ours, kept=kept)
    return MirroredLine(facts, product_of(line))


def product_of(line: StripeLine) -> str | None:
    """The product of Salesforce's that a line is of; None where it is one of Stripe's, or none."""
    pricing = line["pricing"]
    details = pricing["price_details"] if pricing else None
    return salesforce_product(details["product"]) if details else None


def _known(product: str | None, key: str) -> str:
    """A line's product, if it can be known on both sides; see :class:`MirroredFacts`."""
    return (product or "") if key and not key.startswith(STRIPE_LINE) else ""


def facts_in_stripe(line: StripeLine, currency: str, *, ours: bool, kept: Kept) -> MirroredFacts:
    """Facts of a line in Stripe, as the record can hold them.

    Args:
        line: The line.
        currency: The invoice's.
        ours: Whether a record of ours made the invoice, so that its lines have our keys; a
            revision begun in the dashboard has copies of another's.
        kept: What the org keeps.
    """
    pricing = line["pricing"]
    quantity, price = _how_many(
        line["quantity_decimal"] or line["quantity"] or 1,
        pricing["unit_amount_decimal"] if pricing else None,
        line["amount"],
        currency,
        exact_prices=kept.exact_prices,
    )
    key = (line_key(line) if ours else line["id"]) if kept.keys else ""
    return MirroredFacts(
        key,
        _text(line["description"], kept.text),
        quantity,
        price,
        line["amount"],
        _known(product_of(line), key),
    )


@lru_cache(maxsize=50_000)
def _how_many(
    quantity: Decimal | int, unit: Decimal | None, minor: int, currency: str, *, exact_prices: bool
) -> tuple[str, str]:
    """Quantity and unit price that come to the amount; one of the whole where none do."""
    many, amount = Decimal(quantity), Money(currency, minor)
    whole = "1", plain(amount.decimal)
    digits = len(many.normalize().as_tuple().digits)
    if decimals(many) > QUANTITY_DECIMALS or digits > QUANTITY_DIGITS:
        return whole
    prices = [round(amount.decimal / many, record.SHOWN_DECIMALS)]
    if unit is not None:
        prices.insert(0, Decimal(unit).scaleb(-exponent(currency)))
    for price in prices:
        exact = exact_prices or decimals(price) <= record.SHOWN_DECIMALS
        if exact and line_amount(many, price, currency) == amount:
            return plain(many), plain(price)
    return whole


def facts_on_record(row: Mapping[str, Any], currency: str, kept: Kept) -> MirroredFacts:
    """Facts of a record's line, from the record as it was read."""
    product = row.get("Product__r") or {}
    return read_facts(
        row.get(record.LOCAL_KEY) or row["Id"] if kept.keys else "",
        row.get("Description__c") or product.get("Name") or "",
        row.get("Quantity__c"),
        row.get("Unit_Price__c"),
        row.get(record.EXACT_PRICE),
        row.get("Amount__c"),
        row.get("Product__c"),
        currency,
        kept.text,
    )


def read_facts(
    key: str,
    text: str,
    quantity: Any,
    price: Any,
    exact: Any,
    amount: Any,
    product: str | None,
    currency: str,
    length: int = TEXT_LENGTH,
) -> MirroredFacts:
    """Facts of a record's line, from its values; a missing number is none."""
    many = record.number(quantity or 0)
    each = record.exact_price(price or 0, exact)
    whole = Money.of(record.number(amount), currency) if amount not in (None, "") else None
    return MirroredFacts(
        key,
        _text(text, length),
        plain(many),
        plain(each),
        (line_amount(many, each, currency) if whole is None else whole).minor,
        _known(product, key),
    )


def _text(text: str | None, length: int) -> str:
    return (text or "").strip()[:length].strip()


def said(lines: Iterable[MirroredFacts], currency: str) -> str:
    """Lines for people, in an order of their own; equal texts are equal lines."""
    return "; ".join(sorted(line.said(currency) for line in lines))


def changes(
    rows: Sequence[Mapping[str, Any]],
    wanted: Sequence[MirroredLine],
    record_id: str,
    currency: str,
    kept: Kept,
) -> list[dict[str, Any]]:
    """The subrequests that give a record the lines that Stripe has; none where it has them.

    Args:
        rows: The record's lines, with all fields of :data:`record.LINE_FIELDS`.
        wanted: Stripe's, in order.
        record_id: The record.
        currency: The invoice's.
        kept: What the org keeps.
    """
    missing = Counter(line.facts for line in wanted)
    left = {}
    for row in rows:
        facts = facts_on_record(row, currency, kept)
        if missing[facts]:
            missing[facts] -= 1
        else:
            left[row["Id"]] = facts.key
    ids = {key: row_id for row_id, key in left.items() if key}
    nodes = []
    for position, line in enumerate(wanted, 1):
        if not missing[line.facts]:
            continue
        missing[line.facts] -= 1
        fields = mirrored_line(line, position, currency)
        row_id = ids.pop(line.facts.key, None)
        if row_id:
            same = {"Position__c", record.LOCAL_KEY}
            fields = {name: value for name, value in fields.items() if name not in same}
            del left[row_id]
            nodes.append(
                record.subrequest("PATCH", f"{record.LINE}/{row_id}", f"line{position}", fields)
            )
        else:
            fields |= {"Invoice__c": record_id}
            nodes.append(record.subrequest("POST", record.LINE, f"line{position}", fields))
    gone = [
        record.subrequest("DELETE", f"{record.LINE}/{row_id}", f"gone{number}")
        for number, row_id in enumerate(left, 1)
    ]
    return gone + nodes


def mirrored_line(mirrored: MirroredLine, position: int, currency: str) -> dict[str, Any]:
    """The fields of a line that mirrors one of Stripe's."""
    fields = record.line_fields(mirrored.line(position), currency)
    fields = {name: fields[name] for name in fields if name not in record.DISCOUNT_FIELDS}
    key = mirrored.facts.key
    return fields | ({record.LOCAL_KEY: key} if key else {})

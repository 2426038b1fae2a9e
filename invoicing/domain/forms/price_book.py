"""Prices of products in one currency, looked up as people write products."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from invoicing.domain.model.record_ids import short
from invoicing.domain.model.wording import caseless


@dataclass(frozen=True, slots=True)
class PriceBookEntry:
    """A product's price in a currency."""

    product_id: str
    code: str
    name: str
    currency: str
    unit_price: Decimal
    active: bool


class PriceBook:
    """The standard price book in one currency, looked up as people write products."""

    def __init__(self, entries: Sequence[PriceBookEntry], currency: str) -> None:
        """Index the entries of a currency by id, code and name."""
        self.currency = currency
        self._entries: dict[str, list[PriceBookEntry]] = {}
        for entry in entries:
            words = (entry.product_id, short(entry.product_id), entry.code, entry.name)
            for word in {caseless(word) for word in words if word}:
                if entry.currency == currency:
                    self._entries.setdefault(word, []).append(entry)

    def find(self, product: str) -> PriceBookEntry | str:
        """The entry that a word names, or the sentence that says why there is none."""
        found = self._entries.get(caseless(product.strip()), [])
        active = [entry for entry in found if entry.active]
        if len(active) == 1:
            return active[0]
        if len(active) > 1:
            return f"{product!r} names {len(active)} products; use the product's Salesforce id."
        if found:
            return f"{product!r} is not active in the {self.currency} price book."
        return f"{product!r} is not in the {self.currency} price book."

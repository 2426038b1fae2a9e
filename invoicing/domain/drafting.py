"""From a filled-in form to the lines of a draft."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from invoicing.domain.forms import LineChange, LineItem
from invoicing.domain.invoice import Line


@dataclass(frozen=True, slots=True)
class PriceBookEntry:
    """What a product costs in a currency."""

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
            words = (entry.product_id, entry.product_id[:15], entry.code, entry.name)
            for word in {word.casefold() for word in words if word}:
                if entry.currency == currency:
                    self._entries.setdefault(word, []).append(entry)

    def find(self, product: str) -> PriceBookEntry | str:
        """The entry that a word names, or the sentence that says why there is none."""
        found = self._entries.get(product.strip().casefold(), [])
        active = [entry for entry in found if entry.active]
        if len(active) == 1:
            return active[0]
        if len(active) > 1:
            return f"{product!r} names {len(active)} products; use the product's Salesforce id."
        if found:
            return f"{product!r} is not active in the {self.currency} price book."
        return f"{product!r} is not in the {self.currency} price book."


def new_lines(
    items: Sequence[LineItem], book: PriceBook, *, key: str, start: int = 1
) -> tuple[list[Line], list[str]]:
    """Turn form items into lines, prices filled in from the price book.

    Args:
        items: The form's lines.
        book: The price book in the invoice's currency.
        key: Names this act; each line's key is derived from it.
        start: Position of the first new line.

    Returns:
        The lines, and everything that was wrong with the products named.
    """
    lines: list[Line] = []
    problems: list[str] = []
    for offset, item in enumerate(items):
        entry = book.find(item.product)
        if isinstance(entry, str):
            problems.append(f"Line {start + offset}: {entry}")
            entry = PriceBookEntry("", "", item.product, book.currency, Decimal(0), active=False)
        lines.append(
            Line(
                key=f"{key}-{offset + 1}",
                position=start + offset,
                description=item.description,
                quantity=item.quantity,
                unit_price=entry.unit_price if item.unit_price is None else item.unit_price,
                product_id=entry.product_id or None,
                product_name=entry.name,
            )
        )
    return lines, problems


def changed_lines(
    lines: Sequence[Line], changes: Sequence[LineChange], remove: Sequence[int]
) -> tuple[list[Line], list[str]]:
    """Apply changes and removals to existing lines, by position.

    Returns:
        The lines that stay, and everything that was wrong with the positions named.
    """
    by_position: Mapping[int, Line] = {line.position: line for line in lines}
    named = [*(change.line for change in changes), *remove]
    problems = [
        f"There is no line {position} on the invoice; its lines are "
        f"{', '.join(map(str, by_position)) or 'none'}."
        for position in named
        if position not in by_position
    ]
    problems += [
        f"Line {position} is named more than once; say once what happens to it."
        for position in sorted(set(named))
        if named.count(position) > 1
    ]
    kept = {p: line for p, line in by_position.items() if p not in remove}
    for change in changes:
        if change.line in kept:
            line = kept[change.line]
            kept[change.line] = replace(
                line,
                quantity=line.quantity if change.quantity is None else change.quantity,
                unit_price=line.unit_price if change.unit_price is None else change.unit_price,
                description=change.description or line.description,
            )
    return list(kept.values()), problems

"""From a filled-in form to the lines of a draft."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from invoicing.domain.forms.parameters import Clearable, LineChange, LineItem, Options
from invoicing.domain.forms.price_book import PriceBook, PriceBookEntry
from invoicing.domain.model.invoice import Line
from invoicing.domain.model.invoice_details import Collection, CustomField, Details, Discount, Terms
from invoicing.domain.model.money import decimals, exponent, shown


def discount_of(percent: Decimal | None, amount: Decimal | None) -> Discount | None:
    """The discount that a form asks for, if any."""
    return None if percent is None and amount is None else Discount(percent, amount)


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
        found = _product(item.product, item.unit_price, book)
        if isinstance(found, str):
            problems.append(f"Line {start + offset}: {found}")
            found = PriceBookEntry("", "", item.product, book.currency, Decimal(0), active=False)
        elif finer := _finer(item.unit_price, item.quantity, book.currency):
            problems.append(f"Line {start + offset}: {finer}")
        lines.append(
            Line(
                key=f"{key}-{offset + 1}",
                position=start + offset,
                description=item.description,
                quantity=item.quantity,
                unit_price=found.unit_price if item.unit_price is None else item.unit_price,
                product_id=found.product_id or None,
                product_name=found.name,
                discount=discount_of(item.discount_percent, item.discount_amount),
            )
        )
    return lines, problems


def _product(product: str, unit_price: Decimal | None, book: PriceBook) -> PriceBookEntry | str:
    """The entry a line is about; free text is about none and needs a price of its own."""
    if product:
        return book.find(product)
    if unit_price is None:
        return "a line without a product needs a unit price."
    return PriceBookEntry("", "", "", book.currency, unit_price, active=True)


def changed_lines(
    lines: Sequence[Line],
    changes: Sequence[LineChange],
    remove: Sequence[int],
    book: PriceBook,
) -> tuple[list[Line], list[str]]:
    """Apply changes and removals to existing lines, by position.

    Args:
        lines: The lines as they are.
        changes: What changes.
        remove: Positions of lines that go.
        book: Where new products are looked up.

    Returns:
        The lines that stay, and everything that was wrong with what was named.
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
            changed = _changed(kept[change.line], change, book)
            if isinstance(changed, str):
                problems.append(f"Line {change.line}: {changed}")
            else:
                kept[change.line] = changed
    return list(kept.values()), problems


def _finer(unit_price: Decimal | None, quantity: Decimal, currency: str) -> str:
    """Say that an amount, a price for one, is finer than its currency: Stripe would round it.

    Prices for many may be, and so may the price book's own.
    """
    if unit_price is None or quantity != 1 or decimals(unit_price) <= exponent(currency):
        return ""
    return f"{shown(unit_price)} has more decimals than {currency} has."


def _changed(line: Line, change: LineChange, book: PriceBook) -> Line | str:
    if change.product:
        entry = book.find(change.product)
        if isinstance(entry, str):
            return entry
        line = replace(
            line,
            product_id=entry.product_id,
            product_name=entry.name,
            unit_price=entry.unit_price,
        )
    if "discount" in change.clear:
        line = replace(line, discount=None)
    if "text" in change.clear:
        line = replace(line, description="")
    quantity = line.quantity if change.quantity is None else change.quantity
    if finer := _finer(change.unit_price, quantity, book.currency):
        return finer
    return replace(
        line,
        quantity=quantity,
        unit_price=line.unit_price if change.unit_price is None else change.unit_price,
        description=change.description or line.description,
        discount=discount_of(change.discount_percent, change.discount_amount) or line.discount,
    )


FIELD_BY_NAME: Mapping[Clearable, str] = {
    "payment terms": "terms",
    "PO number": "po_number",
    "footer": "footer",
    "custom fields": "custom_fields",
    "discount": "discount",
    "tax rates": "tax_rates",
    "sending date": "send_on",
    "payment methods": "payment_methods",
    "rendering template": "template",
}
"""Names of details in the form, and their attributes here."""


def chosen_details(
    options: Options,
    details: Details = Details(),  # noqa: B008  (immutable)
    clear: Sequence[Clearable] = (),
) -> Details:
    """Details with what is cleared emptied, and what a form gives put in.

    Args:
        options: The form's options.
        details: As they were, before anything is chosen.
        clear: What to empty first.
    """
    cleared = {
        name: getattr(Details(), name) for word, name in FIELD_BY_NAME.items() if word in clear
    }
    return replace(details, **cleared | _given(options))


def _given(options: Options) -> dict[str, Any]:
    given = {
        "terms": options.payment_terms and Terms(options.payment_terms),
        "po_number": options.po_number,
        "footer": options.footer,
        "custom_fields": tuple(CustomField(one.name, one.value) for one in options.custom_fields),
        "discount": discount_of(options.discount_percent, options.discount_amount),
        "tax_rates": tuple(filter(None, (rate.strip() for rate in options.tax_rates))),
        "collection": options.collection and Collection(options.collection),
        "send_on": options.send_on,
        "payment_methods": tuple(method.strip() for method in options.payment_methods),
        "template": options.template,
    }
    switched = {"automatic_tax": options.stripe_tax == "on"} if options.stripe_tax else {}
    return {name: value for name, value in given.items() if value} | switched


def chosen_due_date(
    due_date: date | None,
    details: Details,
    before: tuple[date | None, Details],
    clear: Sequence[Clearable],
) -> tuple[date | None, Details]:
    """Due date and details of a revised invoice: a new due date ends terms, and vice versa."""
    old_date, old = before
    if due_date:
        terms = None if details.terms == old.terms else details.terms
        return due_date, replace(details, terms=terms)
    ends = (details.terms and details.terms != old.terms) or details.collection != old.collection
    return (None if ends or "due date" in clear else old_date), details

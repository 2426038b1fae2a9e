"""From a filled-in form to a draft: every mistake is named at once."""

from datetime import date
from decimal import Decimal

import pytest

from invoicing.domain.forms.draft_lines import changed_lines, new_lines
from invoicing.domain.forms.parameters import LineChange, LineItem
from invoicing.domain.forms.price_book import PriceBook, PriceBookEntry
from invoicing.domain.model.invoice import Content, draft_problems
from invoicing.domain.model.money import shown

TODAY = date(2026, 11, 23)


def entry(code: str, price: str, *, active: bool = True, name: str = "") -> PriceBookEntry:
    """A price book entry in dollars."""
    return PriceBookEntry(
        f"01t{code:0<15}", code, name or code.title(), "USD", Decimal(price), active
    )


BOOK = PriceBook(
    [
        entry("SEAT", "20"),
        entry("API", "0.0045"),
        entry("FAX", "9", active=False),
        entry("TWIN1", "1", name="Twin"),
        entry("TWIN2", "2", name="Twin"),
    ],
    "USD",
)


def test_prices_come_from_the_book_unless_typed() -> None:
    """An empty price is the book's; a typed one counts."""
    lines, problems = new_lines(
        [LineItem(product="seat", quantity=3), LineItem(product="Seat", unit_price="17.50")],
        BOOK,
        key="k",
    )
    assert problems == []
    assert [(line.unit_price, line.amount("USD").minor) for line in lines] == [
        (Decimal(20), 6000),
        (Decimal("17.50"), 1750),
    ]
    assert [line.key for line in lines] == ["k-1", "k-2"]


def test_every_mistake_is_named_in_one_go() -> None:
    """Product, quantity, price and date mistakes come together, each with its line."""
    lines, problems = new_lines(
        [
            LineItem(product="Moon", quantity=1),
            LineItem(product="Fax", quantity=1),
            LineItem(product="Twin", quantity=1),
            LineItem(product="Seat", quantity=-2),
            LineItem(product="Seat", unit_price="-1"),
            LineItem(product="Seat", unit_price="0.0000000000001"),
        ],
        BOOK,
        key="k",
    )
    content = Content(due_date=date(2026, 11, 22), currency="USD", lines=tuple(lines))
    problems += draft_problems(content, TODAY)
    said = "\n".join(problems)
    for part in (
        "'Moon' is not in the USD price book",
        "'Fax' is not active",
        "'Twin' names 2 products",
        "due date 22 Nov 2026 has passed",
        "Line 4 (Seat): the quantity must be above zero, not -2.",
        "Line 5 (Seat): the unit price cannot be -1.",
        "more than 12 decimals",
    ):
        assert part in said


def test_no_lines_and_too_many_lines() -> None:
    """Nothing to bill, or more than Stripe takes."""
    none = draft_problems(Content(due_date=TODAY, currency="USD"), TODAY)
    assert none == ["The invoice has no lines; add at least one."]
    lines, _ = new_lines([LineItem(product="Seat")] * 251, BOOK, key="k")
    [many] = draft_problems(Content(due_date=TODAY, currency="USD", lines=tuple(lines)), TODAY)
    assert "251 lines; Stripe allows 250" in many


def test_krona_goes_by_whole_units() -> None:
    """An amount that Stripe would refuse is refused here, in words."""
    lines, _ = new_lines([LineItem(product="Seat", unit_price="10.50")], BOOK, key="k")
    content = Content(due_date=TODAY, currency="ISK", lines=tuple(lines))
    [problem] = draft_problems(content, TODAY)
    assert "10.50 ISK cannot be charged; ISK goes in steps of 1.00 ISK" in problem


@pytest.mark.parametrize(
    ("currency", "quantity", "price", "amount"),
    [
        ("JPY", "1", "1000.50", None),
        ("USD", "1", "0.005", None),
        ("KWD", "1", "1.2345", None),
        ("JPY", "1", "1000.00", Decimal(1000)),
        ("USD", "1", "10.5000", Decimal("10.5")),
        ("USD", "1000", "0.0015", Decimal("1.5")),
        ("JPY", "3", "0.5", Decimal(2)),
    ],
)
def test_an_amount_finer_than_its_currency(
    currency: str, quantity: str, price: str, amount: Decimal | None
) -> None:
    """Refused where one is billed; of many it is a price, and what they come to is rounded."""
    item = LineItem(description="Work", quantity=quantity, unit_price=price)
    book = PriceBook([], currency)
    lines, problems = new_lines([item], book, key="k")
    change = LineChange(line=1, quantity=quantity, unit_price=price)
    assert changed_lines(lines, [change], [], book)[1] == problems
    if amount is None:
        assert problems == [
            f"Line 1: {shown(Decimal(price))} has more decimals than {currency} has."
        ]
    else:
        assert problems == []
        assert lines[0].amount(currency).decimal == amount


def test_changes_and_removals_by_position() -> None:
    """What is not named stays; positions that do not exist are named."""
    lines, _ = new_lines([LineItem(product="Seat"), LineItem(product="API")], BOOK, key="k")
    kept, problems = changed_lines(lines, [LineChange(line=1, quantity="5")], [2], BOOK)
    assert problems == []
    assert [(line.quantity, line.unit_price) for line in kept] == [(Decimal(5), Decimal(20))]
    _, problems = changed_lines(lines, [LineChange(line=2, quantity="5")], [2, 7], BOOK)
    assert problems == [
        "There is no line 7 on the invoice; its lines are 1, 2.",
        "Line 2 is named more than once; say once what happens to it.",
    ]


def test_a_product_is_found_up_to_its_case_and_nothing_else() -> None:
    """Who asks for Mass does not get Maß."""
    book = PriceBook([entry("M", "5", name="Maß")], "USD")
    assert not isinstance(book.find("MAß"), str)
    assert book.find("Mass") == "'Mass' is not in the USD price book."

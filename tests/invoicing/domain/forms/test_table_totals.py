"""A table's own figures: what they are held to, and what cannot be told."""

from collections.abc import Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from invoicing.domain.forms.draft_lines import new_lines
from invoicing.domain.forms.invoice_table import Table, read_csv, read_invoices
from invoicing.domain.forms.price_book import PriceBook
from invoicing.domain.forms.table_layout import TableLayout
from invoicing.domain.forms.table_totals import Tax, agreed, total_problems
from invoicing.domain.model.invoice_details import Discount
from invoicing.domain.model.money import Money

VAT = Tax(Decimal(19), inclusive=False)
INCLUDED = Tax(Decimal(19), inclusive=True)
TITLES = "invoice,account,text,quantity,unit_price,discount_percent,{}\n"


def problems(
    column: str,
    *cells: str,
    taxes: Sequence[Tax] | None = (),
    discount: Discount | None = None,
) -> list[str]:
    """What is wrong with a column of three lines: 3 x 0.33, 10.00 less 10 %, and 5.00."""
    rows = ["1,Acme,a,3,0.33,,{}\n", "1,Acme,b,1,10.00,10,{}\n", "1,Acme,c,1,5.00,,{}\n"]
    cells = cells if len(cells) > 1 else cells * 3
    table = TITLES.format(column) + "".join(
        row.format(cell) for row, cell in zip(rows, cells, strict=True)
    )
    layout = TableLayout()
    [form] = read_invoices(Table(read_csv(table, layout), layout), "r", ZoneInfo("UTC"))
    lines, wrong = new_lines(form.items, PriceBook([], "EUR"), key="k")
    assert not [*form.problems, *wrong]
    return list(total_problems(form, lines, "EUR", discount, taxes))


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("line_total", ["0.99", "9.00", "5"]),
        ("line_total", ["", "", ""]),
        ("line_total_with_tax", ["0.99", "9.00", "5"]),
        ("invoice_subtotal", ["14.99"]),
        ("invoice_total", ["14.99"]),
        ("amount_due", ["14.9900"]),
    ],
)
def test_figures_that_agree(column: str, cells: list[str]) -> None:
    """Of a line after its discount, and of the invoice, with zeros or without."""
    assert problems(column, *cells) == []


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("line_total", ["0.99", "10.00", ""], "Row 3: the line total 10.00 is not the 9.00 EUR"),
        (
            "line_total_with_tax",
            ["0.99", "9.01", ""],
            "Row 3: the line total with tax 9.01 is not the 9.00 EUR",
        ),
        ("invoice_subtotal", ["15"], "Rows 2 to 4: the subtotal 15 is not the 14.99 EUR"),
        ("invoice_total", ["14.98"], "Rows 2 to 4: the total 14.98 is not the 14.99 EUR"),
        ("amount_due", ["0"], "Rows 2 to 4: the amount due 0 is not the 14.99 EUR"),
        ("invoice_tax", ["1"], "Rows 2 to 4: the tax 1 is not the 0.00 EUR"),
        ("tax_amount", ["0.19", "0", ""], "Row 2: the tax amount 0.19 is not the 0.00 EUR"),
        ("line_total", ["$ 0.99", "", ""], "Row 2: an amount is in $, the invoice would be in EUR"),
    ],
)
def test_figures_that_differ(column: str, cells: list[str], said: str) -> None:
    """Named with their rows, and with what would be billed."""
    [problem] = problems(column, *cells)
    assert problem.startswith(said)


def test_taxes_are_worked_out() -> None:
    """On each line or on their sum, as either is written; what prices contain is not added."""
    assert problems("tax_amount", "0.19", "1.71", "0.95", taxes=[VAT]) == []
    assert problems("invoice_total", "17.84", taxes=[VAT]) == []
    assert problems("invoice_tax", "2.85", taxes=[VAT]) == []
    assert problems("invoice_tax", "2.39", taxes=[INCLUDED]) == []
    assert problems("invoice_tax", "2.80", taxes=[VAT])
    assert problems("tax_amount", "0.16", "1.44", "0.80", taxes=[INCLUDED]) == []
    whole = ["1.18", "10.71", "5.95"]
    assert problems("line_total_with_tax", *whole, taxes=[VAT]) == []
    assert problems("line_total_with_tax", "0.99", "9.00", "5.00", taxes=[INCLUDED]) == []
    assert problems("line_total_with_tax", *whole)
    assert problems("invoice_total", "14.99", taxes=[INCLUDED]) == []
    assert problems("invoice_total", "14.99", taxes=[VAT])


def test_discounts_of_the_whole_invoice_count() -> None:
    """Before the tax; then no line's tax can be told."""
    ten = Discount(percent=Decimal(10))
    assert problems("invoice_total", "13.49", discount=ten) == []
    assert problems("invoice_total", "16.05", discount=ten, taxes=[VAT]) == []
    assert problems("invoice_tax", "2.56", discount=ten, taxes=[VAT]) == []
    assert "cannot be compared" in problems("tax_amount", "1", discount=ten, taxes=[VAT])[0]


def test_what_stripe_tax_will_add_cannot_be_told() -> None:
    """Refused rather than believed."""
    assert "look at the preview" in problems("invoice_total", "14.99", taxes=None)[0]
    assert "look at the preview" in problems("invoice_tax", "1", taxes=None)[0]
    assert "look at the preview" in problems("line_total_with_tax", "0.99", taxes=None)[0]
    assert problems("invoice_subtotal", "14.99", taxes=None) == []


def test_a_discount_that_is_said_twice() -> None:
    """Is one where both say the same, and a mistake where they do not."""
    nets = [Money("EUR", 10000)]
    ten, five = Decimal(10), Decimal(5)
    assert agreed(ten, ten, nets) == (None, ten)
    assert agreed(five, five, nets) == (None, five)
    assert agreed(ten, five, nets) == (ten, five)
    assert agreed(None, five, nets) == (None, five)

"""A table of invoices, as spreadsheets have it: one row a line, rows of one key one invoice."""

import hashlib
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

from invoicing.domain.forms.parameters import LineItem
from invoicing.domain.forms.table_columns import (
    AMOUNTS,
    IGNORED,
    KNOWN_TITLES,
    MONEY,
    STATE,
    columns_of,
)
from invoicing.domain.forms.table_layout import TableLayout
from invoicing.domain.forms.table_row_kinds import is_total, refuse_state, without_footer
from invoicing.domain.forms.table_text import (
    Broken,
    Sheet,
    decode,
    plain_title,
    read_text,
    refuse_broken_text,
)
from invoicing.domain.forms.table_values import (
    NumberKind,
    Reader,
    day_reader,
    number_reader,
    split_currency,
    split_title,
)
from invoicing.domain.forms.table_workbook import is_workbook, read_workbook
from invoicing.domain.model.invoice_details import Terms
from invoicing.domain.model.money import plain
from invoicing.errors import Rejected

MAX_INVOICES = 2_000
"""Invoices of one run. Prefect takes parameters of up to 512 KB, some 5,000 rows."""

DAYS = frozenset(["due_date", "send_on"])
PERCENTAGES = frozenset(["discount_percent", "invoice_discount_percent"])
NUMBERS: Mapping[str, NumberKind] = {
    **dict.fromkeys(AMOUNTS, "amount"),
    **dict.fromkeys(PERCENTAGES, "percentage"),
    "quantity": "quantity",
}
DISCOUNTS = PERCENTAGES | {"discount_amount", "invoice_discount_amount"}

NOTHING = frozenset(
    [
        *("", "-", "\u2013", "\u2014", "none", "no", "n", "non", "false", "n/a"),
        *("no tax", "no vat", "no gst", "exempt", "tax exempt"),
    ]
)
"""What exports write where there is no tax, discount or charge."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a row that belong to its invoice as a whole.

    The last four are what the table says that the invoice comes to: before taxes and the
    invoice's discount, its taxes, in all, and what is to be paid.
    """

    account: str = ""
    description: str = ""
    due_date: date | None = None
    payment_terms: Terms | None = None
    currency: str = ""
    po_number: str = ""
    footer: str = ""
    send_on: date | None = None
    invoice_discount_percent: Decimal | None = None
    invoice_discount_amount: Decimal | None = None
    invoice_subtotal: Decimal | None = None
    invoice_tax: Decimal | None = None
    invoice_total: Decimal | None = None
    amount_due: Decimal | None = None


class TableLine(LineItem):
    """The line of a row, and what the row says of its money that has to be so.

    Attributes:
        row: The row, as spreadsheets number it: the titles are row 1.
        line_total: What the line comes to after its discount, before taxes.
        line_total_with_tax: The same with its taxes.
        tax_amount: The line's tax.
        tax_rate: Names the line's tax.
        currencies: Signs and codes of currencies that stand beside its amounts.
    """

    row: int
    line_total: Decimal | None = None
    line_total_with_tax: Decimal | None = None
    tax_amount: Decimal | None = None
    tax_rate: str = ""
    currencies: frozenset[str] = frozenset()


PLACEHOLDERS: Mapping[str, Any] = {
    "due_date": date.max,
    "payment_terms": Terms.NET_30,
    "quantity": Decimal(1),
    "unit_price": Decimal(0),
}
"""For what cannot be read, so that it is not called missing as well."""


@dataclass(slots=True)
class Form:
    """One invoice as some rows request it.

    Attributes:
        key: Names the invoice within all there ever are.
        header: What the rows say of the invoice.
        items: Its lines.
        problems: What is wrong with the rows by themselves, each with its row.
    """

    key: str
    header: Header = field(default_factory=Header)
    items: list[TableLine] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        """Its rows, for people."""
        rows = [item.row for item in self.items]
        first, last = rows[0], rows[-1]
        if first == last:
            return f"Row {first}"
        together = last - first == len(rows) - 1
        return f"Rows {first} to {last}" if together else f"Rows {', '.join(map(str, rows))}"

    def placed(self, problem: str) -> str:
        """A sentence about one of the lines, or about the invoice, with the row it is about."""
        if line := re.match(r"Line (\d+)", problem):
            return f"Row {self.items[int(line[1]) - 1].row}{problem[line.end() :]}"
        return f"{self.where}: {problem}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was read, and what was said of it."""

    sheet: Sheet
    layout: TableLayout


def read_file(raw: bytes, layout: TableLayout) -> Sheet:
    """The cells of a file: a workbook, or a CSV in whatever encoding.

    Raises:
        Rejected: it cannot be read, or not in one way only.
    """
    if is_workbook(raw):
        return read_workbook(raw, layout.sheet)
    return read_csv(decode(raw, layout.encoding), layout)


def read_csv(text: str, layout: TableLayout) -> Sheet:
    """The cells of a CSV that came as text.

    Raises:
        Rejected: it is no CSV, or its separator cannot be told.
    """
    return read_text(text, KNOWN_TITLES, layout.separator)


def read_invoices(table: Table, request: str, zone: tzinfo) -> list[Form]:
    """The invoices that a table asks for, in its order, with what is wrong in their rows.

    Rows with the same invoice key are one invoice; a row without one is an invoice by itself.

    Args:
        table: With a row of titles.
        request: Names the act; the same rows in the same act get the same keys.
        zone: The business's, in which moments have their day.

    Raises:
        Rejected: the table as a whole cannot be read, or asks for too much.
    """
    sheet = without_footer(table.sheet)
    if not sheet.titles:
        raise Rejected("The table is empty.")
    names = columns_of(sheet, table.layout)
    refuse_broken_text(sheet, [n for n, name in enumerate(names) if name != IGNORED])
    columns = _columns(sheet, names, table.layout, zone)
    forms: dict[str, Form] = {}
    same: Counter[str] = Counter()
    totals: list[int] = []
    for number, row in sheet.rows:
        cells = [
            (columns[index], cell.strip() if type(cell) is str else cell)
            for index, cell in enumerate(row)
            if index in columns and cell.strip()
        ]
        filled = {column.name: cell for column, cell in cells}
        if is_total(filled):
            totals.append(number)
            continue
        word = _word(filled, same)
        form = forms.setdefault(word, Form(_key(request, word)))
        if len(forms) > MAX_INVOICES:
            raise Rejected(
                f"The table asks for more invoices than the {MAX_INVOICES:,} that go in one run. "
                "Divide it."
            )
        if any(cell.strip() for cell in row[len(names) :]):
            form.problems.append(f"Row {number}: there are more cells than columns; quote texts.")
        _add(form, number, cells)
    if totals:
        raise Rejected(
            [
                f"Row {number} seems to be a total of other rows, and no invoice: delete it, or "
                "say in it whom it bills, and what."
                for number in totals
            ]
        )
    if not forms:
        raise Rejected("The table has no rows; write one for each line of an invoice.")
    return list(forms.values())


class Column(NamedTuple):
    """A column that is not ignored: what it means, its title, and how its cells are read."""

    name: str
    title: str
    read: Reader[Any]

    @property
    def carried(self) -> bool:
        """Whether its values belong to the invoice; else they only may refuse it."""
        return self.name not in {MONEY, STATE}

    def called(self, cell: str) -> str:
        """A cell of it, in a sentence."""
        what = self.name.replace("_", " ") if self.carried else self.title
        return f"the {what}" if isinstance(cell, Broken) else _called(what, cell)


def _columns(
    sheet: Sheet, names: Sequence[str], layout: TableLayout, zone: tzinfo
) -> dict[int, Column]:
    """The columns that are read, by their places; each is decided on as a whole."""
    columns: dict[int, Column] = {}
    doubts = []
    for index, (name, title) in enumerate(zip(names, sheet.titles, strict=True)):
        if name == IGNORED:
            continue
        try:
            read = _reader(name, title, sheet.column(index), layout, zone)
            columns[index] = Column(name, title, read)
        except ValueError as doubt:
            doubts.append(f"The column {title!r} {doubt}, or write all of it in one way.")
    if doubts:
        raise Rejected(doubts)
    return columns


def _reader(
    name: str, title: str, cells: Sequence[str], layout: TableLayout, zone: tzinfo
) -> Reader[Any]:
    """How the cells of a column are read.

    Raises:
        ValueError: it cannot be decided; says why.
    """
    texts = [cell if type(cell) is not str else cell.strip() for cell in cells]
    own = layout.choice(title)
    if name in NUMBERS:
        mark = (own and own.decimal_mark) or layout.decimal_mark
        return number_reader(texts, mark, NUMBERS[name])
    if name in DAYS:
        order = (own and own.date_order) or layout.date_order
        return day_reader(texts, order, zone, utc=plain_title(title).endswith("utc"))
    return OTHER_READERS.get(name, str)


def _no_money(cell: str) -> None:
    if not says_nothing(cell):
        raise ValueError(
            "would not be billed; say under Columns what this column means, or empty its cell."
        )


def says_nothing(cell: str) -> bool:
    """Whether a cell says that there is no tax, discount or charge."""
    word = " ".join(cell.casefold().split())
    zero = re.fullmatch(r"[^\d]*0+([.,]0+)?[^\d]*", word, re.ASCII)
    return word in NOTHING or bool(zero)


def _terms(value: str) -> Terms:
    days = re.fullmatch(r"(?:net\s*)?(\d+)(?:\s*days)?", value.casefold(), re.ASCII)
    for terms in Terms:
        if days and int(days[1][:9]) == terms.days:
            return terms
    raise ValueError(f"are none of ours; choose {', '.join(Terms)}.")


OTHER_READERS: Mapping[str, Reader[Any]] = {
    "payment_terms": _terms,
    MONEY: _no_money,
    STATE: refuse_state,
}
"""How the cells of columns without numbers and days are read that are no texts."""


def _word(cells: Mapping[str, str], same: Counter[str]) -> str:
    """Tells one invoice from another: by its key, or by its content and how often that came."""
    if "invoice" in cells:
        return f"key:{cells['invoice']}"
    content = "\x1f".join(f"{name}={value}" for name, value in sorted(cells.items()))
    same[content] += 1
    return f"row:{same[content]}:{content}"


def _key(request: str, word: str) -> str:
    parts = (hashlib.sha256(part.encode()).hexdigest()[:20] for part in (request, word))
    return "-".join(("bulk", *parts))


def _add(form: Form, number: int, cells: Sequence[tuple[Column, str]]) -> None:
    """Take one row into its invoice."""
    values: dict[str, Any] = {}
    unreadable: set[str] = set()
    wrong: list[str] = []
    for column, cell in cells:
        name, called = column.name, column.called(cell)
        try:
            if isinstance(cell, Broken):
                raise ValueError(str(cell))
            value = column.read(cell)
        except ValueError as error:
            wrong.append(f"{called} {error}")
            unreadable.add(name)
            value = PLACEHOLDERS.get(name)
        if name == "currency" and values.get(name, cell).upper() != cell.upper():
            wrong.append(f"{called} differs from {values[name]!r} in the same row.")
        is_said = value is not None and not (name in DISCOUNTS and value == 0)
        if column.carried and is_said:
            values[name] = value
    wrong += _fractions(values, cells)
    marks = {
        mark
        for column, cell in cells
        if column.name in AMOUNTS
        for mark in (split_currency(cell)[1], split_title(column.title)[1])
    }
    wrong += _merge(form, values, unreadable)
    form.problems += [f"Row {number}: {reason}" for reason in wrong]
    form.items.append(
        TableLine(
            row=number,
            product=values.get("product", ""),
            description=values.get("text", ""),
            quantity=values.get("quantity", Decimal(1)),
            unit_price=values.get("unit_price"),
            discount_percent=values.get("discount_percent"),
            discount_amount=values.get("discount_amount"),
            line_total=values.get("line_total"),
            line_total_with_tax=values.get("line_total_with_tax"),
            tax_amount=values.get("tax_amount"),
            tax_rate=values.get("tax_rate", ""),
            currencies=frozenset(filter(None, marks)),
        )
    )


def _fractions(values: Mapping[str, Any], cells: Sequence[tuple[Column, str]]) -> Iterator[str]:
    """Ask about 0.1 where 10 % may be meant, unless its amount is given as well."""
    for column, cell in cells:
        part = values.get(column.name) if column.name in PERCENTAGES else None
        amount = values.get(column.name.replace("percent", "amount"))
        if part and 0 < part < 1 and not cell.endswith("%") and amount is None:
            ways = f"{plain(part)}% or {plain(part * 100)}%"
            yield f"{column.called(cell)} may be {ways}; write the percent sign."


def _called(what: str, value: object) -> str:
    return f"the {what} {str(value)[:60]!r}"


def _merge(form: Form, row: Mapping[str, Any], unreadable: Container[str]) -> Iterator[str]:
    """Fill the invoice's header from a row, and say where it differs from rows before."""
    for each in fields(Header):
        was, said = getattr(form.header, each.name), row.get(each.name)
        if said in (None, ""):
            continue
        if was in (None, ""):
            form.header = replace(form.header, **{each.name: said})
        elif was != said and each.name not in unreadable:
            called = _called(each.name.replace("_", " "), said)
            yield f"{called} differs from {str(was)[:60]!r} in a row before, of the same invoice."

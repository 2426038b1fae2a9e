"""Workbooks: what a cell is, what a formula came to, and what nobody can see."""

import io
import tracemalloc
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import pytest
from openpyxl import Workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from invoicing.domain.forms.table_text import Broken, Exact
from invoicing.domain.forms.table_workbook import (
    MAX_ELEMENTS,
    MAX_UNPACKED,
    is_workbook,
    read_workbook,
)
from invoicing.errors import Rejected


def saved(*rows: list[Any], change: Callable[[Workbook], object] = lambda _: None) -> bytes:
    """A workbook as a file."""
    workbook = Workbook()
    assert workbook.active
    for row in rows:
        workbook.active.append(row)
    change(workbook)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def test_cells_are_what_the_workbook_keeps() -> None:
    """Numbers without the noise of binary fractions, days, texts, and blanks."""
    raw = saved(
        ["account", "price", "due", "text", "on"],
        ["Acme", 0.1 + 0.2, date(2026, 12, 8), "1.500", True],
        [None],
        ["Globex", 1500, datetime(2026, 12, 8, 10, 30), "'=1+1", None],
    )
    assert is_workbook(raw)
    sheet = read_workbook(raw)
    assert sheet.rows[0] == (2, ["Acme", "0.3", "2026-12-08", "1.500", "True"])
    assert sheet.rows[1][0] == 4
    first = sheet.rows[0][1]
    assert isinstance(first[1], Exact)
    assert isinstance(first[2], Exact)
    assert type(first[3]) is str


def test_percentages_and_currencies_are_read_as_they_are_shown() -> None:
    """A tenth shown as 10 % is ten percent; a sign of a currency stays beside its number."""

    def show(workbook: Workbook) -> None:
        sheet = workbook["Sheet"]
        sheet["A2"].number_format = "0%"
        sheet["B2"].number_format = "[$€-407] #,##0.00"
        sheet["C2"].number_format = '"$"#,##0.00'

    [(_, cells)] = read_workbook(saved(["a", "b", "c"], [0.1, 12.5, 3], change=show)).rows
    assert cells == ["10%", "€ 12.5", "$ 3"]


@pytest.mark.parametrize(
    ("value", "shown_as", "cell"),
    [
        (0.125, "0.0%", "12.5%"),
        (0.5, '0.0"%"', "0.5%"),
        (0.5, "0.0\\%", "0.5%"),
        (100, "[$kr-414] #,##0.00", "kr 100"),
        (100, '#,##0.00\\ "zł"', "100 zł"),
        (100, "[$R$-416]#,##0.00", "R$100"),
        (100, '"A$"#,##0.00', "A$100"),
        (100, '#,##0.00 "TEUR"', "100 TEUR"),
        (100, '_-* #,##0.00\\ "€"_-;_-* "-"??\\ "€"_-', "€ 100"),
        (100, "#,##0.00 [$EUR]", "EUR 100"),
        (-50, "#,##0.00;[Red](#,##0.00)", "-50"),
        (100, "[$-407]0.00", "100"),
        (1500, '#,##0,"k"', "1500k"),
        (0.00000011, "0.00E+00", "0.00000011"),
        (42, "00000", "00042"),
        (42, '"PO-"0000', "PO-0042"),
    ],
)
def test_what_a_format_shows_beside_a_number(value: float, shown_as: str, cell: str) -> None:
    """A percent sign that is only written multiplies nothing; no currency is left out."""

    def show(workbook: Workbook) -> None:
        workbook["Sheet"]["A2"].number_format = shown_as

    assert read_workbook(saved(["a"], [value], change=show)).rows == [(2, [cell])]


def test_days_of_a_macs_workbook() -> None:
    """Its days are counted from 1904."""

    def count_anew(workbook: Workbook) -> None:
        workbook.epoch = CALENDAR_MAC_1904

    raw = saved(["due"], [date(2026, 12, 31)], change=count_anew)
    assert read_workbook(raw).rows == [(2, ["2026-12-31"])]


def test_a_formula_that_comes_to_nothing() -> None:
    """Templates are full of formulas that say nothing for now: an empty cell, and no mistake."""
    raw = saved(["price", "off"], [10, '=IF(A2>9,"",5)'])
    part = "xl/worksheets/sheet1.xml"
    with ZipFile(io.BytesIO(raw)) as parts:
        text = parts.read(part).decode()
    worked_out = text.replace('<c r="B2">', '<c r="B2" t="str">')
    assert worked_out != text
    file = io.BytesIO()
    with ZipFile(io.BytesIO(raw)) as whole, ZipFile(file, "w") as parts:
        for name in whole.namelist():
            parts.writestr(name, worked_out if name == part else whole.read(name))
    assert read_workbook(file.getvalue()).rows == [(2, ["10", ""])]


def test_a_formula_that_was_never_worked_out_is_no_empty_cell() -> None:
    """A program that writes formulas writes no values: an empty price would be the book's."""
    [(_, cells)] = read_workbook(saved(["price"], ["=10*3"])).rows
    assert isinstance(cells[0], Broken)
    assert "never worked out" in cells[0]


def test_errors_of_formulas() -> None:
    """Said as what they are."""

    def spoil(workbook: Workbook) -> None:
        workbook["Sheet"]["A2"].value = "#REF!"
        workbook["Sheet"]["A2"].data_type = "e"

    [(_, cells)] = read_workbook(saved(["price"], ["x"], change=spoil)).rows
    assert isinstance(cells[0], Broken)
    assert "#REF!" in cells[0]


def hide_row(workbook: Workbook) -> None:
    """As a filter does."""
    workbook["Sheet"].row_dimensions[2].hidden = True


def hide_column(workbook: Workbook) -> None:
    """One that says something."""
    workbook["Sheet"].column_dimensions["A"].hidden = True


def fold_columns(workbook: Workbook) -> None:
    """A group, as of an outline."""
    workbook["Sheet"]["C1"] = "amount off"
    workbook["Sheet"].column_dimensions.group("B", "D", hidden=True)


def merge(workbook: Workbook) -> None:
    """One cell over two rows."""
    workbook["Sheet"].merge_cells("A2:A3")


def strike_out(workbook: Workbook) -> None:
    """As people do with what is off."""
    workbook["Sheet"]["A2"].font = Font(strike=True)


def strike_a_part_out(workbook: Workbook) -> None:
    """One word of a text."""
    struck = TextBlock(InlineFont(strike=True), "Acme")
    workbook["Sheet"]["A2"].value = CellRichText(struck, " Globex")


def touch_the_last_row(workbook: Workbook) -> None:
    """A key pressed by mistake."""
    workbook["Sheet"].cell(1_048_576, 2, " ")


def add_sheet(workbook: Workbook) -> None:
    """With something in it."""
    workbook.create_sheet("Other").append(["account"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (hide_row, "Row 2 of the sheet is hidden"),
        (hide_column, "Column A of the sheet is hidden: show it"),
        (fold_columns, "Column C of the sheet is hidden: show it"),
        (touch_the_last_row, "The sheet reaches to cell B1048576, which is too far"),
        (strike_out, "The cell A2 is struck out"),
        (strike_a_part_out, "The cell A2 is struck out"),
        (merge, "The cells A2:A3 are merged"),
        (add_sheet, "Say under Sheet which one is meant; the workbook has 'Sheet', 'Other'"),
    ],
)
def test_what_a_person_may_not_have_meant(change: Callable[[Workbook], None], reason: str) -> None:
    """Is said before anything is raised."""
    with pytest.raises(Rejected, match=reason):
        read_workbook(saved(["account"], ["Acme"], ["Globex"], change=change))


def test_a_sheet_by_its_name() -> None:
    """And empty ones need not be named."""
    raw = saved(["account"], ["Acme"], change=add_sheet)
    assert read_workbook(raw, "other").titles == ["account"]
    empty = saved(["account"], ["Acme"], change=lambda workbook: workbook.create_sheet("Empty"))
    assert read_workbook(empty).rows == [(2, ["Acme"])]


def bomb() -> bytes:
    """A small file that unpacks to a large one."""
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as parts:
        parts.writestr("xl/workbook.xml", b" " * (MAX_UNPACKED + 1))
    return file.getvalue()


CONTENT_TYPES = "[Content_Types].xml"
"""The first part that is read of a workbook."""


def packed(kind: int = ZIP_DEFLATED, more: bytes = b"", **said: int) -> bytes:
    """A workbook packed in some way, its first part with more in it, and what is said of that."""
    file = io.BytesIO()
    with (
        ZipFile(io.BytesIO(saved(["account"], ["Acme"]))) as whole,
        ZipFile(file, "w", kind) as parts,
    ):
        for part in whole.namelist():
            parts.writestr(part, whole.read(part) + (more if part == CONTENT_TYPES else b""))
        for name, value in said.items():
            setattr(parts.getinfo(CONTENT_TYPES), name, value)
    return file.getvalue()


def with_part(name: str, text: str) -> bytes:
    """A workbook of which one part is another."""
    file = io.BytesIO()
    with ZipFile(io.BytesIO(saved(["account"], ["Acme"]))) as whole, ZipFile(file, "w") as parts:
        for part in whole.namelist():
            parts.writestr(part, text if part == name else whole.read(part))
    return file.getvalue()


ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    '<row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>'
)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (with_part("xl/worksheets/sheet1.xml", ENTITIES), "no workbook that can be read"),
        (with_part("xl/workbook.xml", "<no"), "no workbook that can be read"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 100, "protected by a password, or of an old kind"),
        (b"PK\x03\x04 and no zip", "no workbook that can be read"),
        (packed()[:60] + b"\xff" * 9 + packed()[69:], "no workbook that can be read"),
        (packed(flag_bits=1), "no workbook that can be read"),
        (packed(ZIP_BZIP2), "no workbook that can be read"),
        (bomb(), "too large"),
        (packed(more=b"<c/>" * MAX_ELEMENTS), "too many cells"),
    ],
    ids=[
        *("entities", "another part", "password", "no zip"),
        *("garbled", "locked part", "bzip2", "bomb", "many cells"),
    ],
)
def test_what_is_no_workbook(raw: bytes, reason: str) -> None:
    """Old ones, locked ones, broken ones, and small ones that hold endless ones."""
    with pytest.raises(Rejected, match=reason):
        read_workbook(raw)


def test_a_part_that_says_that_it_is_small_is_not_unpacked_further() -> None:
    """It is read in one piece: all that comes out of it would lie in memory."""
    with ZipFile(io.BytesIO(packed())) as whole:
        honest = whole.getinfo(CONTENT_TYPES)
    much = b" " * 2 * MAX_UNPACKED
    raw = packed(more=much, file_size=honest.file_size, CRC=honest.CRC)
    tracemalloc.start()
    try:
        assert read_workbook(raw).titles == ["account"]
        assert tracemalloc.get_traced_memory()[1] < MAX_UNPACKED
    finally:
        tracemalloc.stop()

"""Workbooks: what a cell is, what a formula came to, and what nobody can see."""

import io
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from openpyxl import Workbook

from invoicing.domain.forms.table_text import Broken, Exact
from invoicing.domain.forms.table_workbook import MAX_UNPACKED, is_workbook, read_workbook
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


def merge(workbook: Workbook) -> None:
    """One cell over two rows."""
    workbook["Sheet"].merge_cells("A2:A3")


def add_sheet(workbook: Workbook) -> None:
    """With something in it."""
    workbook.create_sheet("Other").append(["account"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (hide_row, "Row 2 of the sheet is hidden"),
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
        (bomb(), "too large"),
    ],
    ids=["entities", "another part", "password", "no zip", "bomb"],
)
def test_what_is_no_workbook(raw: bytes, reason: str) -> None:
    """Old ones, locked ones, broken ones, and small ones that hold endless ones."""
    with pytest.raises(Rejected, match=reason):
        read_workbook(raw)

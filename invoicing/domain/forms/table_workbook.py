"""From a workbook (XLSX) to the cells of one of its sheets."""

import io
import re
import zipfile
import zlib
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from openpyxl import load_workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from invoicing.domain.forms.table_text import Broken, Exact, Sheet
from invoicing.domain.forms.table_values import SYMBOLS
from invoicing.domain.model.money import plain
from invoicing.errors import Rejected

ZIPPED = b"PK\x03\x04"
OLD_OR_LOCKED = b"\xd0\xcf\x11\xe0"
"""What a workbook begins with; and one from before 2007, or behind a password."""

UNREADABLE = (
    *(InvalidFileException, zipfile.BadZipFile, zlib.error, EOFError, SyntaxError, OSError),
    *(KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError),
)
"""What openpyxl raises of files that are none, or are broken somewhere: also of malformed XML."""

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How a workbook's parts may be packed. Source: ECMA-376, part 2, annex B."""

MAX_UNPACKED = 50_000_000
"""Bytes that a workbook may unpack to: a small file can hold endless ones."""

MAX_ELEMENTS = 500_000
"""Elements that a workbook may have, two for each cell that is filled. openpyxl makes an object of
most: of the four letters of an empty cell, one of 700 bytes."""

MAX_CELLS = 2_000_000
"""Cells of a sheet, empty ones too: a key pressed in the last row there is makes millions."""

SHOWN = re.compile(
    r'\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|"([^"]*)"|\\(.)|[_*].|(E[+-]0+|General|[0#?.,@]+)|(.)'
)
"""A piece of a number's format: a currency (``[$€-407]``), what is in brackets else (a colour, a
condition), quoted words, one quoted letter, padding, the digits, any other sign.

Source: ECMA-376, part 1, 18.8.31 (numFmts)
"""

SIGNIFICANT_DIGITS = 15
"""Digits that spreadsheets keep of a number; the rest is the noise of binary fractions."""


def is_workbook(raw: bytes) -> bool:
    """Whether a file is a workbook rather than text."""
    return raw.startswith((ZIPPED, OLD_OR_LOCKED))


def read_workbook(raw: bytes, name: str = "") -> Sheet:
    """The cells of a sheet, with what formulas came to when the workbook was last saved.

    Args:
        raw: The file.
        name: The sheet's; may be empty where only one has something in it.

    Raises:
        Rejected: it is none that can be read, or which sheet is meant has to be said.
    """
    if raw.startswith(OLD_OR_LOCKED):
        raise Rejected(
            "The workbook is protected by a password, or of an old kind: save it as .xlsx, "
            "without a password."
        )
    try:
        unpacked = _unpacked(raw)
        sheet = _chosen(load_workbook(unpacked, data_only=True), name)
        _check_reach(sheet)
        written = load_workbook(unpacked, rich_text=True)[sheet.title]
    except UNREADABLE as error:
        raise Rejected(
            "This is no workbook that can be read; save it as .xlsx, or as CSV."
        ) from error
    hidden = [number for number, row in sheet.row_dimensions.items() if row.hidden]
    filled = [n for n in hidden if any(cell.value is not None for cell in sheet[n])]
    if filled:
        raise Rejected(
            f"Row {filled[0]} of the sheet is hidden, perhaps by a filter: show all rows, or "
            "delete those that are not meant."
        )
    for number, column in enumerate(sheet.iter_cols(), 1):
        if _hides(sheet, number) and any(cell.value is not None for cell in column):
            raise Rejected(
                f"Column {get_column_letter(number)} of the sheet is hidden: show it, or delete it "
                "if it is not meant."
            )
    if sheet.merged_cells.ranges:
        raise Rejected(
            f"The cells {sorted(map(str, sheet.merged_cells.ranges))[0]} are merged: part them, "
            "and write into each what it is meant to hold."
        )
    struck = next((cell for row in written.iter_rows() for cell in row if _is_struck(cell)), None)
    if struck:
        raise Rejected(
            f"The cell {struck.coordinate} is struck out: delete what is not meant, or take the "
            "line through it away."
        )
    rows = zip(sheet.iter_rows(), written.iter_rows(), strict=True)
    return Sheet.of([_cell(*pair) for pair in zip(*row, strict=True)] for row in rows)


def _unpacked(raw: bytes) -> io.BytesIO:
    """A workbook whose parts are as they were measured, and not packed.

    openpyxl unpacks each part in one piece, whatever size the part says that it has.
    """
    left, elements, unpacked = MAX_UNPACKED, MAX_ELEMENTS, io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as packed, zipfile.ZipFile(unpacked, "w") as parts:
        for part in packed.infolist():
            if part.compress_type not in PACKINGS:
                raise zipfile.BadZipFile(part.filename)
            with packed.open(part) as stream:
                content = stream.read(min(part.file_size, left) + 1)
            left -= len(content)
            if left < 0:
                raise Rejected("The workbook is too large. Divide it, or save the sheet as CSV.")
            elements -= content.count(b"<") - content.count(b"</")
            if elements < 0:
                raise Rejected(
                    "The workbook has too many cells, perhaps empty ones. Copy the table into a "
                    "new one, divide it, or save the sheet as CSV."
                )
            parts.writestr(part.filename, content)
    return unpacked


def _check_reach(sheet: Any) -> None:
    if sheet.max_row * sheet.max_column > MAX_CELLS:
        last = f"{get_column_letter(sheet.max_column)}{sheet.max_row}"
        raise Rejected(
            f"The sheet reaches to cell {last}, which is too far: delete the rows below the table, "
            "or copy the table into a new sheet."
        )


def _is_struck(cell: Any) -> bool:
    """Whether what a cell holds, or a part of it, has a line through it."""
    if cell.value is None:
        return False
    parts = cell.value if isinstance(cell.value, CellRichText) else []
    fonts = [cell.font, *(part.font for part in parts if isinstance(part, TextBlock))]
    return any(font and font.strike for font in fonts)


def _hides(sheet: Any, column: int) -> bool:
    """Whether a column is hidden, by itself or in a group, which is kept at its first one."""
    kept = [one for one in sheet.column_dimensions.values() if one.hidden and one.min]
    return any(one.min <= column <= one.max for one in kept)


def _chosen(workbook: Any, name: str) -> Any:
    sheets = [one for one in workbook.worksheets if one.sheet_state == "visible"]
    if name:
        sheets = [one for one in workbook.worksheets if one.title.casefold() == name.casefold()]
    elif len(sheets) > 1:
        sheets = [one for one in sheets if any(any(row) for row in one.values)] or sheets[:1]
    if len(sheets) == 1:
        return sheets[0]
    names = ", ".join(repr(one.title) for one in workbook.worksheets)
    raise Rejected(f"Say under Sheet which one is meant; the workbook has {names}.")


def _cell(cell: Any, written: Any) -> str:
    value = cell.value
    if value is None and written.data_type == "f" and cell.data_type != "str":
        return Broken("is a formula that was never worked out; open and save the workbook.")
    if cell.data_type == "e":
        return Broken(f"is the error {value}; mend it in the workbook.")
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return Exact(_number(value, cell.number_format or ""))
    if isinstance(value, datetime):
        return Exact(value.date() if value.time() == time() else value.isoformat(" "))
    if isinstance(value, date):
        return Exact(value)
    return "" if value is None else str(value)


def _number(value: float, shown_as: str) -> str:
    """A number, with the percent sign, the currency or the words that the sheet shows beside it."""
    number = Decimal(f"{value:.{SIGNIFICANT_DIGITS}g}" if isinstance(value, float) else value)
    before, digits, after, percent = _parts(shown_as.partition(";")[0])
    text = plain(number * 100 if percent else number)
    if re.fullmatch("0{2,}", digits) and not percent:
        text = f"{number:0{len(digits)}f}"
    sign = (before + after).strip()
    if sign in SYMBOLS or re.fullmatch("[A-Z]{3}", sign):
        return f"{sign} {text}"
    return f"{before}{text}{after}".strip()


def _parts(shown_as: str) -> tuple[str, str, str, bool]:
    """What a format shows before the digits, the digits, what after them; whether hundredths."""
    before, digits, after, percent = "", "", "", False
    for currency, quoted, letter, places, other in SHOWN.findall(shown_as):
        digits += places
        percent |= other == "%"
        shown = currency or quoted or letter or (other if other not in "+-()/:" else "")
        before, after = (before, after + shown) if digits else (before + shown, after)
    return before, digits, after, percent

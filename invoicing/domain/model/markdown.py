"""Markdown as pages of runs and questions to people show it."""

import re
from collections.abc import Iterable, Sequence

LINE_COLUMNS = (">#", "Item", ">Quantity", ">Unit price", ">Amount")
"""The lines of an invoice, as questions show them."""

WEB_ADDRESS = re.compile(r"https?://[^\s()<>]+")
BARS = re.compile(r"(\\*)\|")
NOT_IN_A_LABEL = re.compile(r"[\[\]\\]")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a column whose title begins with ``>`` is aligned to the right.

    Whatever stands in a cell stays in it: line ends and bars cannot begin another.
    """
    titles = [column.removeprefix(">") for column in columns]
    marks = ["---:" if column.startswith(">") else "---" for column in columns]
    return "\n".join(map(_row, [titles, marks, *rows]))


def link(label: str | None, url: str | None) -> str:
    """A link, or its label alone where there is nowhere on the web to go."""
    if not label or not url or not WEB_ADDRESS.fullmatch(url):
        return label or ""
    escaped = NOT_IN_A_LABEL.sub(r"\\\g<0>", label)
    return f"[{escaped}]({url})"


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    # A backslash of the text itself would else take the one that is put before the bar.
    barless = BARS.sub(r"\1\1\\|", str(value))
    return barless.replace("\r", " ").replace("\n", " ")

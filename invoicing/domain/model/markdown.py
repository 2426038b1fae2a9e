"""Markdown as pages of runs and questions to people show it."""

from collections.abc import Iterable, Sequence

LINE_COLUMNS = (">#", "Item", ">Quantity", ">Unit price", ">Amount")
"""The lines of an invoice, as questions show them."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a column whose title begins with ``>`` is aligned to the right.

    Whatever stands in a cell stays in it: line ends and bars cannot begin another.
    """
    titles = [column.removeprefix(">") for column in columns]
    marks = ["---:" if column.startswith(">") else "---" for column in columns]
    return "\n".join(map(_row, [titles, marks, *rows]))


def link(label: str | None, url: str | None) -> str:
    """A link, or its label alone where there is nowhere to go."""
    return f"[{label}]({url})" if label and url else label or ""


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\r", " ").replace("\n", " ")

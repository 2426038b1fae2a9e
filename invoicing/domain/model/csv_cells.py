"""Cells of CSV files that people open in a spreadsheet."""

FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or what may hide one.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""


def inert(cell: str) -> str:
    """A cell that is shown as it is: an apostrophe goes before what may be a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_MARKS) else cell

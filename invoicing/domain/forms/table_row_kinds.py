"""Rows of a table that are no lines of an invoice to be raised: totals, footers, what is void."""

import re
from collections.abc import Mapping
from dataclasses import replace

from invoicing.domain.forms.table_columns import AMOUNTS
from invoicing.domain.forms.table_text import Sheet
from invoicing.domain.model.money import CURRENCIES

NAMING = frozenset(["invoice", "account", "description", "product", "text"])
"""Columns of which a row of an invoice fills some."""

TOTALS_ROW = re.compile(
    r"((grand|sub|sous|suma)[ -]?)?(totals?|totaux|totale|totali|totaal|totalt)( g[eé]n[eé]ral)?|"
    r"(gesamt|zwischen|end|total)?summe|(gesamt|end|rechnungs)betrag|(ins)?gesamt|"
    r"(gesamt)?ergebnis|sommes?|suma|soma|razem|ogółem|celkem|spolu|(vég)?össze(sen|g)|yhteensä|"
    r"summa|sum|i ?alt|ukupno|skupaj|итого|всего|сумма|разом|σύνολο|(genel )?toplam|jumlah|\u03c3|"
    r"合計|小計|総計|總計|总计|合计|小计|합계|총계|소계"
)
"""What a row of totals is called."""

BESIDE_A_TOTAL = re.compile(
    rf"[\s*=:#.\-]+|\(.*\)|[€$£¥]|\b({'|'.join(sorted(CURRENCIES)).casefold()}|ht|ttc|net|netto|"
    r"gross|brutto|due|incl|excl|inkl|exkl|vat|mwst|ust|tva|iva|btw)\b"
)
"""What may stand beside it: signs, a count, a currency, with which taxes."""

NO_INVOICE = re.compile(
    r"void(ed)?|deleted|cancel+ed|uncollectible|written ?off|(auto-?)?paid|partial(ly paid)?|"
    r".*\b(credit ?(note|memo)|overpayment|prepayment|refund|receipt)|bill|"
    r"estimate|payment|deposit|journal( entry)?|charge|credit"
)
"""States and kinds of what is not to be paid, or not as the row says: nothing to raise anew."""

FOOTER = re.compile(
    r"copyright (\(c\)|©) 2000-\d{4} salesforce\.com|confidential information - do not distribute"
)
"""A line below a report of Salesforce: what public readers of such exports leave out."""


def without_footer(sheet: Sheet) -> Sheet:
    """A sheet without what a report of Salesforce says below its rows, in one cell each."""
    rows = list(sheet.rows)
    while rows and sum(map(bool, map(str.strip, rows[-1][1]))) == 1:
        rows.pop()
    below = sheet.rows[len(rows) :]
    if any(FOOTER.search(cell.casefold()) for _, row in below for cell in row):
        return replace(sheet, rows=rows)
    return sheet


def is_total(cells: Mapping[str, str]) -> bool:
    """Whether a row says what others come to: by its word for it, or by having numbers alone.

    Args:
        cells: What is filled of the row, by what its columns mean.
    """
    words = [cells[name] for name in NAMING & cells.keys()]
    if not words:
        return not AMOUNTS.isdisjoint(cells)
    bare = (BESIDE_A_TOTAL.sub(" ", word.casefold()).strip() for word in words)
    return any(map(TOTALS_ROW.fullmatch, bare))


def refuse_state(cell: str) -> None:
    """Refuse a row of what is no invoice, or void, or paid.

    Raises:
        ValueError: what its state says.
    """
    if NO_INVOICE.fullmatch(" ".join(cell.casefold().split())):
        raise ValueError("says that this is no invoice that is to be paid; delete its rows.")

"""Numbers and dates of a column are read in the one way that they can be, or asked about."""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from invoicing.domain.forms.table_text import Exact
from invoicing.domain.forms.table_values import day_reader, number_reader, split_currency

BERLIN = ZoneInfo("Europe/Berlin")
MARKS = {"point": ".", "comma": ","}

amounts = st.lists(
    st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=4)
    | st.integers(-(10**7), 10**7).map(Decimal),
    min_size=1,
    max_size=6,
)


def written(number: Decimal, mark: str, thousands: str) -> str:
    """A number as a country writes it."""
    whole, dot, decimals = f"{number:,f}".partition(".")
    decimals = decimals.rstrip("0")
    return whole.replace(",", thousands) + (MARKS[mark] + decimals if dot and decimals else "")


@given(amounts, st.sampled_from(sorted(MARKS)), st.sampled_from(["", "'", " ", "\u202f", "other"]))
@example([Decimal(1500), Decimal(12000)], "comma", "other")
@example([Decimal("1.5"), Decimal(1500)], "comma", "other")
def test_numbers_mean_what_was_written_or_are_asked_about(
    numbers: list[Decimal], mark: str, thousands: str
) -> None:
    """Whoever wrote the column in one way gets those numbers, or is asked how; never others."""
    other = "." if mark == "comma" else ","
    cells = [
        written(number, mark, other if thousands == "other" else thousands) for number in numbers
    ]
    try:
        read = number_reader(cells)
    except ValueError as doubt:
        if "several ways" not in str(doubt):
            raise
        read = number_reader(cells, mark)  # type: ignore[arg-type]
    assert [read(cell) for cell in cells] == numbers


@given(amounts, st.sampled_from(sorted(MARKS)))
def test_one_cell_decides_for_all(numbers: list[Decimal], mark: str) -> None:
    """A cell with both marks, or with two decimals, can be read in one way only."""
    other = "." if mark == "comma" else ","
    cells = [written(number, mark, other) for number in numbers]
    for telling in (f"1{other}234{MARKS[mark]}50", f"10{MARKS[mark]}25"):
        read = number_reader([*cells, telling])
        assert [read(cell) for cell in cells] == numbers


days = st.lists(st.dates(date(2020, 1, 1), date(2099, 12, 31)), min_size=1, max_size=6)
ORDERS = {
    "day first": "%d{0}%m{0}%Y",
    "month first": "%m{0}%d{0}%Y",
    "year first": "%Y{0}%m{0}%d",
}


@given(days, st.sampled_from(sorted(ORDERS)), st.sampled_from("/-"), st.booleans())
def test_dates_mean_what_was_written_or_are_asked_about(
    dates: list[date], order: str, sign: str, short: bool
) -> None:
    """Likewise; a year of two digits is of this century, and may stand first."""
    form = ORDERS[order].format(sign)
    cells = [day.strftime(form.replace("%Y", "%y") if short else form) for day in dates]
    try:
        read = day_reader(cells, "", BERLIN)
    except ValueError:
        assert short or all(day.day <= 12 for day in dates)
        read = day_reader(cells, order, BERLIN)  # type: ignore[arg-type]
    assert [read(cell) for cell in cells] == dates


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["26/12/08", "26/12/31"], "2026-12-08 2026-12-31"),
        (["30/11/26", "15/12/26"], "2026-11-30 2026-12-15"),
        (["11/30/26", "12/08/26"], "2026-11-30 2026-12-08"),
        (["30.11.26"], "2026-11-30"),
        (["26/11/30"], "'26/11/30' may be 2030-11-26 or 2026-11-30; no cell decides"),
        (["26-12-15", "31/12/2026"], "is written in two ways, '31/12/2026' and '26-12-15'"),
    ],
)
def test_a_year_of_two_digits_that_stands_first(cells: list[str], days: str) -> None:
    """A due date of this month is none in four years; what no cell decides is asked about."""
    try:
        read = day_reader(cells, "", BERLIN)
        found = " ".join(str(read(cell)) for cell in cells)
    except ValueError as doubt:
        found = str(doubt)
    assert days in found
    assert day_reader(cells[:1], "year first", BERLIN)("26/11/30") == date(2026, 11, 30)


@pytest.mark.parametrize("cell", ["1.234.5", "1,23,4", "12 34", "1e5", "", "-", "½", "١٢", "1..2"])
def test_what_is_no_number(cell: str) -> None:
    """Refused whatever the mark."""
    for mark in ("point", "comma"):
        with pytest.raises(ValueError, match="is not a number"):
            number_reader([cell], mark)(cell)


def test_a_column_that_is_written_in_two_ways() -> None:
    """Is asked about, with a cell of each."""
    with pytest.raises(ValueError, match=r"^is written in two ways, '1\.50' and '2,50'"):
        number_reader(["1.50", "2,50"])
    with pytest.raises(ValueError, match="13/12/2026"):
        day_reader(["13/12/2026", "12/13/2026"], "", BERLIN)


def test_numbers_of_india_and_of_a_workbook() -> None:
    """Twos before the last three; what a workbook keeps as a number decides nothing for text."""
    assert number_reader(["1,00,000.50"])("1,00,000.50") == Decimal("100000.50")
    read = number_reader([Exact("1.5"), "2,50"])
    assert (read(Exact("1.5")), read("2,50")) == (Decimal("1.5"), Decimal("2.50"))


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2026-12-08", date(2026, 12, 8)),
        ("2026/12/08", date(2026, 12, 8)),
        ("08.12.2026", date(2026, 12, 8)),
        ("8 Dec 2026", date(2026, 12, 8)),
        ("December 8, 2026", date(2026, 12, 8)),
        ("08-Dec-2026", date(2026, 12, 8)),
        ("2026-12-08 00:00:00", date(2026, 12, 8)),
        ("2026-12-08T23:30:00Z", date(2026, 12, 9)),
        ("9-Dec-26", date(2026, 12, 9)),
        ("Sept 9, 2027", date(2027, 9, 9)),
        ("8. März 2027", date(2027, 3, 8)),
        ("8 mars 2027", date(2027, 3, 8)),
        ("31 de diciembre de 2026", date(2026, 12, 31)),
        ("31-dic-2026", date(2026, 12, 31)),
        ("31\u00a0décembre\u00a02026", date(2026, 12, 31)),
        ("8 marraskuu 2026", date(2026, 11, 8)),
        ("8. marrask. 2026", None),
        ("8 Marble 2026", None),
        ("8 listopad 2026", None),
        ("2026年12月8日", date(2026, 12, 8)),
        ("2026년 12월 8일", date(2026, 12, 8)),
        ("令和8年12月8日", None),
        ("2026-W50-2", None),
        ("2569-12-08", None),
        ("2026-12-08T23:30:00+09:00", None),
        ("2026-12-08 10:00", None),
        ("2026-02-30", None),
        ("45000", None),
        ("soon", None),
    ],
)
def test_dates_that_can_be_read_in_one_way(cell: str, day: date | None) -> None:
    """Years first, dots and months in words need no order; a moment has its day here.

    A month is one in whatever language: marraskuu is November, listopad October or November.
    """
    read = day_reader([cell], "", BERLIN)
    if day:
        assert read(cell) == day
    else:
        with pytest.raises(ValueError, match="is not a date"):
            read(cell)


def test_a_moment_of_a_column_in_utc() -> None:
    """Stripe's exports say so in the title."""
    read = day_reader(["2026-12-08 23:30"], "", BERLIN, utc=True)
    assert read("2026-12-08 23:30") == date(2026, 12, 9)


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("$1,200.50", ("1,200.50", "$")),
        ("1.200,50 €", ("1.200,50", "€")),
        ("EUR 12", ("12", "EUR")),
        ("-$5", ("-5", "$")),
        ("12.00", ("12.00", "")),
    ],
)
def test_currencies_beside_numbers(cell: str, parts: tuple[str, str]) -> None:
    """Before or after them, as signs or codes."""
    assert split_currency(cell) == parts

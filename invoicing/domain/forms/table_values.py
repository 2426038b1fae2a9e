"""Numbers and dates as people write them: one decision a column, never a guess."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache, partial
from itertools import product
from typing import Literal, TypeVar

from babel import Locale

from invoicing.domain.forms.table_text import Broken, Exact
from invoicing.domain.model.countries import LANGUAGES, one_meaning_each
from invoicing.domain.model.money import CURRENCIES, plain

Value = TypeVar("Value", Decimal, date)

Reader = Callable[[str], Value]
"""Gives a cell's value; raises a ValueError that says what is wrong with it."""

Way = Callable[[str], Value | None]
"""One way to read cells; None for what cannot be read so."""

DecimalMark = Literal["", "point", "comma"]
MARKS: Mapping[str, str] = {"point": ".", "comma": ","}

DateOrder = Literal["", "day first", "month first", "year first"]
DATE_ORDERS: Sequence[DateOrder] = ("day first", "month first", "year first")

NUMBER_LENGTH = 40

SYMBOLS: Mapping[str, frozenset[str]] = {
    "€": frozenset(["EUR"]),
    "£": frozenset(["GBP", "EGP", "FKP", "GIP", "LBP"]),
    "¥": frozenset(["JPY", "CNY"]),
    "₹": frozenset(["INR"]),
    "$": frozenset(
        ["USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "TWD", "ARS", "CLP", "COP", "BRL", "BMD"]
    ),
}
"""Currencies that a sign may stand for."""

_SIGN = "|".join(map(re.escape, SYMBOLS)) + "|[A-Z]{3}"
MARKED = re.compile(rf"(-?)\s*({_SIGN})\s*(-?[\d.,].*)|(-?[\d.,].*?)\s*({_SIGN})")
"""A number with its currency, before or after it."""

NAMED = re.compile(rf"(.*?[^\s(\[/_])(?:[\s(\[/_]+(?:in )?|(?<=[a-z]))({_SIGN})[)\]]?")
"""A title with its currency at its end: "Price (EUR)", "Amount in USD", "Total €"."""

LATEST_YEAR = 2199
"""A later one is a slip, or of another calendar: 2569 is Thailand's 2026."""

EARLIEST_SHORT_YEAR = 20
"""Two digits below it are no year of what is still to be paid: they are a day or a month."""

YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[ T](\d{2}):(\d{2})(\S*))?", re.A)
IN_NUMBERS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})", re.A)
PLACES = {"day first": (4, 3, 1), "month first": (4, 1, 3), "year first": (1, 3, 4)}
"""Where year, month and day stand in it."""

IN_WORDS = re.compile(
    r"(?:([0-9]{1,2})[ .-]+)?(?:de )?([^\W\d_]{3,12})\.?[ -]+(?:de )?"
    r"(?:([0-9]{1,2}),? +)?([0-9]{4}|(?<=-)[0-9]{2})"
)
"""Also ``9-Dec-26``, which is how spreadsheets show a date in English."""

OF_THE_EAST = re.compile(r"(\d{4}) ?[年년] ?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일]", re.A)


def split_currency(cell: str) -> tuple[str, str]:
    """A cell without its currency, and the currency's sign or code; empty where it has none."""
    found = MARKED.fullmatch(cell)
    if not found:
        return cell, ""
    if found[2]:
        return found[1] + found[3], found[2]
    return found[4], found[5]


def split_title(title: str) -> tuple[str, str]:
    """A title without the currency at its end, and the currency; empty where it names none."""
    found = NAMED.fullmatch(title.strip())
    if not found or not (found[2] in SYMBOLS or found[2] in CURRENCIES):
        return title, ""
    return found[1], found[2]


def read_number(cell: str, mark: str) -> Decimal | None:
    """A number with ``mark`` before its decimals, thousands set apart or not; else None.

    Thousands may be parted by the other mark, a blank or an apostrophe, in threes, or as in
    India in twos before the last three.
    """
    text = re.sub(r"\s", " ", cell.strip()).replace("\u2212", "-")
    other = "," if mark == "." else "."
    whole, dot, decimals = text.partition(mark)
    threes = rf"-?[1-9]\d{{0,2}}([{other} '\u2019])\d{{3}}(\1\d{{3}})*"
    twos = r"-?[1-9]\d?(,\d{2})+,\d{3}" if other == "," else "(?!)"
    if len(text) > NUMBER_LENGTH or (dot and not re.fullmatch(r"\d+", decimals, re.ASCII)):
        return None
    if not re.fullmatch(rf"-?\d+|{threes}|{twos}", whole, re.ASCII):
        return None
    return Decimal(re.sub(r"[^\d-]", "", whole) + (f".{decimals}" if dot else ""))


def read_day(cell: str, order: str, zone: tzinfo, *, utc: bool = False) -> date | None:
    """A date in some order of day, month and year; None too where its year can be no due date's.

    Dates with dots are written with the day first wherever they are written so
    (https://cldr.unicode.org: no locale's short date has dots and the month first, nor two digits
    of a year and no blank).

    Args:
        cell: What is written. Two digits of a year are of this century.
        order: One of `DATE_ORDERS`; the last is about years of two digits, as in 26/12/08.
        zone: The business's, in which a moment of UTC has its day.
        utc: Whether moments are in UTC without saying so.
    """
    day = _day(cell, order, zone, utc=utc)
    return day if day and day.year <= LATEST_YEAR else None


def _day(cell: str, order: str, zone: tzinfo, *, utc: bool) -> date | None:
    text = OF_THE_EAST.sub(r"\1-\2-\3", " ".join(cell.split()))
    try:
        if found := YEAR_FIRST.fullmatch(text):
            whole = date(int(found[1]), int(found[3]), int(found[4]))
            return _day_of_moment(whole, found, zone, utc=utc) if found[5] else whole
        if found := IN_NUMBERS.fullmatch(text):
            return _day_in_numbers(found, "day first" if found[2] == "." else order)
        if found := IN_WORDS.fullmatch(text):
            return _day_in_words(found)
    except ValueError:
        pass
    return None


def _day_in_numbers(found: re.Match[str], order: str) -> date | None:
    year, month, day = (found[place] for place in PLACES[order])
    if len(year) < 4 and int(year) < EARLIEST_SHORT_YEAR:
        return None
    century = 0 if len(year) == 4 else 2000
    return date(century + int(year), int(month), int(day))


def _day_of_moment(day: date, found: re.Match[str], zone: tzinfo, *, utc: bool) -> date | None:
    hour, minute, rest = int(found[5]), int(found[6]), found[7]
    if utc or rest.endswith(("Z", "+00:00")):
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
        return moment.astimezone(zone).date()
    return day if (hour, minute) == (0, 0) and not rest.strip(":0.") else None


def _day_in_words(found: re.Match[str]) -> date | None:
    before, word, after, said = found.groups()
    month = _months().get(word.casefold())
    if bool(before) == bool(after) or month is None:
        return None
    year = int(said) if len(said) == 4 else 2000 + int(said)
    return date(year, month, int(before or after))


@lru_cache(maxsize=1)
def _months() -> dict[str, int | None]:
    """Months by their names and short names in all languages; None where a name means several.

    Names are those of Unicode's CLDR.
    """
    named = (
        (name.casefold().rstrip("."), month)
        for language in LANGUAGES
        for width, use in product(("wide", "abbreviated"), ("format", "stand-alone"))
        for month, name in Locale.parse(language).months[use][width].items()
    )
    return one_meaning_each([("sept", 9), *named])


NumberKind = Literal["amount", "percentage", "quantity"]


def number_reader(
    cells: Sequence[str], mark: DecimalMark = "", kind: NumberKind = "amount"
) -> Reader[Decimal]:
    """How the numbers of a column are read: by their own cells, or by somebody's choice.

    An amount may have its currency beside it, a percentage its sign, a quantity nothing: 12 of a
    unit that only the text knows may be a dozen each. What a workbook shows beside a quantity is
    no part of what it keeps.

    Raises:
        ValueError: it cannot be decided; says why.
    """

    def way(mark: str) -> Way[Decimal]:
        if kind == "amount":
            return lambda cell: read_number(split_currency(cell)[0], mark)
        sign = "%" if kind == "percentage" else ""
        return lambda cell: read_number(cell.removesuffix(sign), mark)

    def exact(cell: str) -> Decimal | None:
        kept = re.sub(r"[^\d.%-]", "", cell) if kind == "quantity" else cell
        return ways["point"](kept)

    ways = {word: way(sign) for word, sign in MARKS.items()}
    chosen = mark or _only_way(cells, ways, "choose its Decimal mark, point or comma")
    like = "1234,50, as its Decimal mark says" if mark == "comma" else "1234.50"
    return _reader(ways[chosen], exact, f"is not a number; write it like {like}.")


def day_reader(
    cells: Sequence[str], order: DateOrder, zone: tzinfo, *, utc: bool = False
) -> Reader[date]:
    """How the dates of a column are read: by their own cells, or by somebody's choice.

    Raises:
        ValueError: it cannot be decided; says why.
    """
    ways: dict[str, Way[date]] = {
        way: partial(read_day, order=way, zone=zone, utc=utc) for way in DATE_ORDERS
    }
    how = f"choose its Order of dates, {', '.join(DATE_ORDERS[:-1])} or {DATE_ORDERS[-1]}"
    chosen = order or _only_way(cells, ways, how)
    wrong = "is not a date; write it like 2026-12-31."
    return _reader(ways[chosen], ways["day first"], wrong)


def _reader(read: Way[Value], exact: Way[Value], wrong: str) -> Reader[Value]:
    def value(cell: str) -> Value:
        found = exact(cell) if isinstance(cell, Exact) else read(cell)
        if found is None:
            raise ValueError(wrong)
        return found

    return value


def _only_way(cells: Sequence[str], ways: Mapping[str, Way[Value]], how: str) -> str:
    """The one way in which a column's cells can be read.

    Raises:
        ValueError: there is none, or there are several.
    """
    texts = dict.fromkeys(cell for cell in cells if not isinstance(cell, Exact | Broken))
    readings = [(cell, {way: read(cell) for way, read in ways.items()}) for cell in texts]
    known = [
        (cell, values) for cell, values in readings if any(v is not None for v in values.values())
    ]
    fitting = [way for way in ways if all(values[way] is not None for _, values in known)]
    if not fitting:
        misfits = [next(c for c, values in known if values[way] is None) for way in ways]
        other, one = list(dict.fromkeys(misfits))[:2]
        raise ValueError(f"is written in two ways, {one!r} and {other!r}; {how}")
    for cell, values in known:
        if len({values[way] for way in fitting}) > 1:
            means = " or ".join(dict.fromkeys(_shown(values[way]) for way in fitting))
            raise ValueError(
                f"can be read in several ways: {cell!r} may be {means}; no cell decides; {how}"
            )
    return fitting[0]


def _shown(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)

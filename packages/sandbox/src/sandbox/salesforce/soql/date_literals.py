"""SOQL's date literals as spans of days (TODAY, LAST_N_DAYS:3, THIS_MONTH …)."""

from __future__ import annotations

from datetime import date, timedelta

_UNITS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
Span = tuple[date, date]
"""First day, and first day after."""


def span(literal: str, today: date, count: int | None = None) -> Span:
    """The days a date literal means.

    Weeks begin on Sunday and fiscal years on 1 January, as in the stand-in org's settings.
    LAST_N_DAYS ends with today, NEXT_N_DAYS begins tomorrow, LAST_N_MONTHS and the like are
    whole months before this one (Salesforce, "Date Formats and Date Literals").

    Raises:
        ValueError: The literal is not known.
    """
    words = literal.upper().replace("FISCAL_", "").split("_")
    match words:
        case ["TODAY"]:
            return today, today + timedelta(days=1)
        case ["YESTERDAY"]:
            return today - timedelta(days=1), today
        case ["TOMORROW"]:
            return today + timedelta(days=1), today + timedelta(days=2)
        case ["LAST", "90", "DAYS"]:
            return today - timedelta(days=89), today + timedelta(days=1)
        case ["NEXT", "90", "DAYS"]:
            return today + timedelta(days=1), today + timedelta(days=91)
        case [("LAST" | "NEXT") as way, "N", units] if count is not None:
            return _several(way, _unit(units.removesuffix("S")), today, count)
        case ["N", units, "AGO"] if count is not None:
            return _whole(_unit(units.removesuffix("S")), today, -count)
        case [("LAST" | "THIS" | "NEXT") as way, unit]:
            return _whole(_unit(unit), today, {"LAST": -1, "THIS": 0, "NEXT": 1}[way])
    raise ValueError(literal)


def _unit(word: str) -> str:
    if word not in _UNITS:
        raise ValueError(word)
    return word


def _several(way: str, unit: str, today: date, count: int) -> Span:
    if unit == "DAY":
        if way == "LAST":
            return today - timedelta(days=count), today + timedelta(days=1)
        return today + timedelta(days=1), today + timedelta(days=count + 1)
    if way == "LAST":
        return _start(unit, today, -count), _start(unit, today, 0)
    return _start(unit, today, 1), _start(unit, today, count + 1)


def _whole(unit: str, today: date, offset: int) -> Span:
    return _start(unit, today, offset), _start(unit, today, offset + 1)


def _start(unit: str, today: date, offset: int) -> date:
    """The first day of a unit, some units away from the present one."""
    match unit:
        case "DAY":
            return today + timedelta(days=offset)
        case "WEEK":
            sunday = today - timedelta(days=today.isoweekday() % 7)
            return sunday + timedelta(weeks=offset)
        case "MONTH":
            return _month(today.year, today.month + offset)
        case "QUARTER":
            return _month(today.year, (today.month - 1) // 3 * 3 + 1 + 3 * offset)
        case _:
            return date(today.year + offset, 1, 1)


def _month(year: int, month: int) -> date:
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)

"""Dates of the business against instants of the services.

Salesforce keeps a due date as a day; Stripe keeps an instant. A day is due until it ends
in the business's time zone.
"""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo


def end_of_day(day: date, zone: ZoneInfo) -> int:
    """The last second of a business day, as Unix time."""
    return int(datetime.combine(day, time(23, 59, 59), zone).timestamp())


def start_of_day(day: date, zone: ZoneInfo) -> int:
    """The first second of a business day, as Unix time."""
    return int(datetime.combine(day, time.min, zone).timestamp())


def local_date(instant: int, zone: ZoneInfo) -> date:
    """The business day on which a Unix time falls."""
    return datetime.fromtimestamp(instant, zone).date()


def written(day: date) -> str:
    """A day as sentences have it, in no country's order of figures: ``30 Dec 2026``."""
    return f"{day.day} {day:%b %Y}"


def written_moment(instant: datetime) -> str:
    """A moment as lists have it, in its own time zone: ``30 Dec 2026, 08:30``."""
    return f"{written(instant)}, {instant:%H:%M}"


def moment(instant: int | None) -> datetime | None:
    """A Unix time as an aware UTC datetime."""
    return None if instant is None else datetime.fromtimestamp(instant, UTC)

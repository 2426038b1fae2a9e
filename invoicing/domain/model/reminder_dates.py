"""Which reminder is due: days counted from an invoice's due date, by the business's calendar."""

from collections.abc import Iterable
from datetime import date, timedelta

GRACE_PERIOD = timedelta(days=3)
"""For how long a reminder that nobody sent on its day is still worth sending."""


def due_dates(today: date, offsets: Iterable[int]) -> set[date]:
    """The due dates of invoices of which a reminder may be due.

    Args:
        today: The business's local date.
        offsets: Days from the due date, negative before it.
    """
    return {
        today - timedelta(days=offset + late)
        for offset in offsets
        for late in range(GRACE_PERIOD.days)
    }


def planned_day(due: date, today: date, offsets: Iterable[int]) -> date | None:
    """The day of the reminder that is due now: the latest planned one, if it is recent."""
    days = (due + timedelta(days=offset) for offset in offsets)
    return max((day for day in days if today - GRACE_PERIOD < day <= today), default=None)

"""The business's day, and this moment as Salesforce writes it."""

from datetime import UTC, date, datetime, timedelta

from invoicing.domain.model.dates import start_of_day
from invoicing.domain.salesforce import record
from invoicing.settings import settings

CLOCK_SKEW = timedelta(minutes=5)
"""By which our clock and Stripe's may differ."""


def today() -> date:
    """The business's local date."""
    return datetime.now(settings().business.zone).date()


def day_before(day: date) -> datetime:
    """When the business's day before a day began, as a UTC instant."""
    zone = settings().business.zone
    return datetime.fromtimestamp(start_of_day(day - timedelta(days=1), zone), UTC)


def stamp_now() -> str:
    """This moment, as Salesforce writes it."""
    return record.stamp(datetime.now(UTC))

"""The business's day, and this moment as Salesforce writes it."""

from datetime import UTC, date, datetime

from invoicing.domain.salesforce import record
from invoicing.settings import settings


def today() -> date:
    """The business's local date."""
    return datetime.now(settings().business.zone).date()


def stamp_now() -> str:
    """This moment, as Salesforce writes it."""
    return record.stamp(datetime.now(UTC))

"""What `prefect.yaml` asks for while it is deployed: a step whose answer its schedules name."""

from invoicing.settings import settings


def business() -> dict[str, str]:
    """The business's calendar, of the settings: whoever deploys, and however, gets the same.

    Raises:
        Misconfigured: nothing is deployed then. A schedule without a time zone would be in UTC.
    """
    return {"time_zone": settings().business.time_zone}

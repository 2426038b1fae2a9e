"""What `prefect.yaml` asks for while it is deployed: a step whose answer its schedules name."""

import sys

from invoicing.errors import Misconfigured
from invoicing.settings import settings


def business() -> dict[str, str]:
    """The business's calendar, of the settings: whoever deploys, and however, gets the same.

    Ends the process where the settings are wrong: nothing is deployed then. A schedule without a
    time zone would be in UTC.
    """
    try:
        return {"time_zone": settings().business.time_zone}
    except Misconfigured as error:
        sys.exit(f"It is not deployed. {error}")

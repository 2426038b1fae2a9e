"""Bring an installation up to date after a release: ``python -m deployments``, or ``make deploy``.

It migrates the ledger, then tells the Prefect server of the settings what there is to run, when,
and what to do when a run dies. Whatever was done before is left as it is, so it may be repeated.
"""

import os
import subprocess
import sys
from pathlib import Path

from invoicing.connectors import prefect
from invoicing.errors import InvoicingError
from invoicing.ledger.database import migrate
from invoicing.settings import settings

ROOT = Path(__file__).parents[1]
TIME_ZONE = "INVOICING_BUSINESS__TIME_ZONE"
"""What `prefect.yaml` takes the time zone of schedules from; Prefect reads no `.env` of ours."""


def main() -> None:
    """Do all of it, or say what is in the way."""
    try:
        zone, api = settings().business.time_zone, settings().prefect_api_url
        migrate()
        environment = {**os.environ, TIME_ZONE: zone, "PREFECT_API_URL": api}
        for program in ("prefect", "--no-prompt", "deploy", "--all"), ("deployments.automations",):
            command = [sys.executable, "-m", *program]
            if subprocess.call(command, cwd=ROOT, env=environment):  # noqa: S603  ours
                sys.exit("Nothing more was done. What is in the way stands above.")
        prefect.client().start("refresh-choices", {}, f"deployed-{os.urandom(8).hex()}")
    except InvoicingError as error:
        sys.exit(f"Nothing more was done. {error}")


if __name__ == "__main__":
    main()

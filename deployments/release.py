"""What a release asks for: the ledger, and what the Prefect server has to run."""

import os
import subprocess
import sys
from pathlib import Path

from invoicing.connectors import prefect
from invoicing.errors import Misconfigured
from invoicing.ledger.database import migrate
from tasks.installation import prefect_server

ROOT = Path(__file__).parents[1]
PROGRAMS = (("prefect", "--no-prompt", "deploy", "--all"), ("deployments.automations",))


def deploy() -> None:
    """Bring ledger, deployments, queues and automations up to date.

    Raises:
        InvoicingError: what is in the way; the programs that are started say it themselves.
    """
    environment = os.environ | prefect_server.variables()
    prefect_server.claim()
    migrate()
    for program in PROGRAMS:
        command = [sys.executable, "-m", *program]
        if subprocess.call(command, cwd=ROOT, env=environment):  # noqa: S603  ours
            raise Misconfigured("What is in the way stands above.")
    prefect.client().start("refresh-choices", {}, f"deployed-{os.urandom(8).hex()}")

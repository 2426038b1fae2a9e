"""What a release asks for: the ledger, and what the Prefect server has to run."""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from invoicing.connectors import prefect
from invoicing.errors import Misconfigured
from invoicing.ledger.database import migrate
from tasks.installation import prefect_server
from tasks.installation.queues import POOL

ROOT = Path(__file__).parents[1]


def deploy() -> str:
    """Bring ledger, work pool, deployments, queues and automations up to date.

    Returns:
        What was done, as a sentence.

    Raises:
        InvoicingError: what is in the way; the programs that are started say it themselves.
    """
    environment = os.environ | prefect_server.variables()
    prefect_server.claim()
    migrate()
    work_pool()
    _run(environment, "prefect", "--no-prompt", "deploy", "--all")  # says ten lines of each flow
    sys.stdout.write(_run(environment, "deployments.automations"))
    prefect.client().start("refresh-choices", {}, f"deployed-{os.urandom(8).hex()}")
    return "Ledger, deployments, queues and automations are those of this release."


def _run(environment: Mapping[str, str], *program: str) -> str:
    """What a program says, once it is done; it is printed where that went wrong."""
    done = subprocess.run(  # noqa: S603  ours
        [sys.executable, "-m", *program],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stdout.write(done.stdout)
        raise Misconfigured("What is in the way stands above.")
    return done.stdout


def work_pool() -> str:
    """Make the work pool where there is none, of the type whose runs begin soonest.

    Returns:
        What was done, as a sentence.
    """
    with prefect_server.server() as client:
        try:
            pool = client.read_work_pool(POOL)
            if pool.is_paused:
                return f"The work pool {POOL!r} is paused; whoever paused it resumes it in Prefect."
            return f"There is a work pool of type {pool.type}."
        except ObjectNotFound:
            kind = "warm" if find_spec("warm_worker") else "process"
            client.create_work_pool(WorkPoolCreate(name=POOL, type=kind))
            return f"The work pool {POOL!r} of type {kind} is made; start a worker for it."

"""Bring an installation up to date after a release: ``python -m deployments``, or ``make deploy``.

It migrates the ledger, makes the work pool where there is none, then tells the Prefect server of
the settings what there is to run, when, and what to do when a run dies. Whatever was done before is
left as it is, so it may be repeated. A Prefect server that works for another installation is left
alone.
"""

import sys

from deployments.deploy import deploy
from invoicing.errors import InvoicingError


def main() -> None:
    """Do all of it, and say so, or what is in the way."""
    try:
        sys.stdout.write(f"{deploy()}\n")
    except InvoicingError as error:
        sys.exit(f"Nothing more was done. {error}")


if __name__ == "__main__":
    main()

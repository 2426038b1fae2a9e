"""Serve the webhook endpoint: ``python -m invoicing.receiver --port 8300 --workers 2``."""

import argparse
import os
import sys

from invoicing.errors import InvoicingError
from invoicing.ledger.readiness import check_revision
from invoicing.logging_setup import to_standard_error
from invoicing.receiver.account_paths import endpoints_by_path
from invoicing.receiver.server import serve
from invoicing.settings import settings


def main() -> None:
    """Read the settings, check the ledger, serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m invoicing.receiver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8300)
    parser.add_argument("--fd", type=int, help="an inherited socket to serve instead of a port")
    parser.add_argument("--workers", type=int, default=1, help="processes side by side")
    arguments = parser.parse_args()
    os.umask(0o077)
    to_standard_error()
    try:
        endpoints_by_path(settings())
        check_revision()
        serve(arguments.host, arguments.port, arguments.workers, fd=arguments.fd)
    except (InvoicingError, OSError) as error:
        sys.exit(f"The receiver cannot start. {error}")


if __name__ == "__main__":
    main()

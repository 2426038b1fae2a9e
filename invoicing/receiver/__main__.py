"""Serve the webhook endpoint: ``python -m invoicing.receiver --port 8300``."""

import argparse
import logging
import sys

import uvicorn

from invoicing.errors import InvoicingError
from invoicing.ledger.database import engine
from invoicing.receiver.app import build_app
from invoicing.settings import settings


def main() -> None:
    """Read the settings, check the ledger, serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8300)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        engine()
        app = build_app(settings())
    except InvoicingError as error:
        sys.exit(f"The receiver cannot start. {error}")
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()

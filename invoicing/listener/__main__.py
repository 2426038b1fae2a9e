"""Listen to what people ask for in Salesforce: ``python -m invoicing.listener``."""

import argparse
import asyncio
import logging
import os
import signal
import sys

from invoicing.errors import InvoicingError
from invoicing.ledger.readiness import check_revision
from invoicing.listener.listening import Listener
from invoicing.logging_setup import to_standard_error
from invoicing.settings import settings
from invoicing.tracing import switch


def main() -> None:
    """Read the settings, check the ledger, listen until stopped."""
    argparse.ArgumentParser(prog="python -m invoicing.listener", description=__doc__).parse_args()
    os.umask(0o077)
    to_standard_error()
    try:
        check_revision()
        switch.begin("invoicing-listener")
        asyncio.run(_until_stopped())
    except InvoicingError as error:
        sys.exit(f"The listener cannot listen. {error}")


async def _until_stopped() -> None:
    listening = asyncio.create_task(Listener(settings()).run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, listening.cancel)
    try:
        await listening
    except asyncio.CancelledError:
        logging.info("stopped")


if __name__ == "__main__":
    main()

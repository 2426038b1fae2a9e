"""Migrate the ledger: ``python -m invoicing.ledger``."""

import os
import sys

from invoicing.errors import InvoicingError
from invoicing.ledger.database import migrate


def main() -> None:
    """Bring the ledger of the settings to this code's revision."""
    os.umask(0o077)
    try:
        migrate()
    except InvoicingError as error:
        sys.exit(f"The ledger cannot be migrated. {error}")


if __name__ == "__main__":
    main()

"""Migrate the ledger: ``python -m invoicing.ledger``."""

from invoicing.ledger.database import migrate

if __name__ == "__main__":
    migrate()

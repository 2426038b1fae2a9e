"""Whether the ledger has this release's tables, takes writes, and what its clock says."""

import logging
from datetime import UTC, datetime

from sqlalchemy import delete, false, func, select
from sqlalchemy.exc import DBAPIError

from invoicing.errors import Misconfigured, TransientError
from invoicing.ledger.database import engine, session
from invoicing.ledger.models import Binding


def check_revision() -> None:
    """Refuse a ledger of another revision; one that is away is waited for."""
    try:
        with session():
            pass
        engine().dispose()  # processes that are forked from this one open their own connections
    except TransientError as error:
        logging.warning("%s", error)


def check_writable() -> None:
    """Try a write that changes nothing.

    Raises:
        Misconfigured: it is refused.
    """
    try:
        with engine().begin() as ledger:
            ledger.execute(delete(Binding).where(false()))
    except DBAPIError as error:
        raise Misconfigured(f"The ledger takes no writes: {error.orig}") from error


def seconds_ahead() -> float:
    """How far the clock of the ledger's database is ahead of this machine's."""
    with session() as ledger:
        theirs = ledger.execute(select(func.now())).scalar_one()
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return float((theirs - datetime.now(UTC)).total_seconds())

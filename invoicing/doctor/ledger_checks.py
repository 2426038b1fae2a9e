"""The ledger: there, of this release, writable, and of the same time."""

from invoicing.doctor.checks import Check, Wrong, found_as
from invoicing.doctor.settings_checks import SETTINGS
from invoicing.errors import TransientError
from invoicing.ledger import database, readiness

LEDGER = "ledger"
APART_SECONDS = 10
"""Leases live for half a minute, and every machine reads them by its own clock."""


def ledger_checks() -> list[Check]:
    """One check for each precondition."""
    return [
        Check(
            "Ledger",
            LEDGER,
            _current,
            "`make deploy` makes the ledger, or migrates one of an older release; one of a newer "
            "release needs that release.",
            SETTINGS,
        ),
        Check(
            "Ledger",
            "ledger's writes",
            _writable,
            "Let the user of INVOICING_LEDGER__URL write; a replica will not do.",
            LEDGER,
        ),
        Check(
            "Ledger", "ledger's clock", _clock, "Keep the clocks of all machines by NTP.", LEDGER
        ),
    ]


def _current() -> str:
    start = "Start the database that INVOICING_LEDGER__URL names, or correct that address."
    with found_as(Wrong, TransientError, remedy=start), database.session():
        pass
    return f"It answers, at revision {database.HEAD}."


def _writable() -> str:
    with found_as(Wrong, TransientError):
        readiness.check_writable()
    return "It takes writes."


def _clock() -> str:
    ahead = readiness.seconds_ahead()
    if abs(ahead) > APART_SECONDS:
        raise Wrong(
            f"Its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours."
        )
    return "Its clock agrees with this machine's."

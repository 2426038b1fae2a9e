"""Everything that can go wrong, by what has to happen next.

    InvoicingError
    ├── Passing            try the same again, later
    │   ├── Busy           another run holds the invoice
    │   └── Throttled      a service asks for a slower pace
    ├── Refused            the input is wrong: a person must change something
    │   └── Missing        what it names does not exist
    ├── Conflict           both systems changed: a person must decide
    ├── Superseded         another process has taken up this very run: this one ends silently
    ├── EventsMissed       Stripe may have dropped events; a full sync was started
    └── WrongWorld         key, org or mode are not the ones that were bound
        └── Misconfigured  settings are missing or malformed

Whatever is none of these is unknown: it fails the run and keeps all that is needed
to resume. Messages are sentences that a finance person can act on.
"""

from collections.abc import Sequence


class InvoicingError(Exception):
    """Base of all errors that this project raises on purpose."""


class Passing(InvoicingError):
    """A failure that time heals: timeouts, resets, 5xx, row locks."""

    def __init__(self, message: str, *, answered: bool = False, replayed: bool = False) -> None:
        """Say what failed.

        Args:
            message: What happened, in words.
            answered: Whether the service answered, so that the request is known to be over.
            replayed: Whether the answer is an earlier request's under the same key, so that
                the earlier one is known to be over as well.
        """
        super().__init__(message)
        self.answered = answered
        self.replayed = replayed


class Busy(Passing):
    """Another run works on the same invoice at this moment."""


class Throttled(Passing):
    """The service refused because of its rate or daily limits."""


class Refused(InvoicingError):
    """The request itself is wrong, and no retry will change that.

    Attributes:
        reasons: Every reason found, each one a sentence.
    """

    def __init__(self, reasons: str | Sequence[str], summary: str = "") -> None:
        """Collect the reasons; one sentence or several, or so many that a summary is better."""
        self.reasons = [reasons] if isinstance(reasons, str) else list(reasons)
        super().__init__(summary or " ".join(self.reasons))


class Missing(Refused):
    """What the request names does not exist in the service."""


class Conflict(InvoicingError):
    """Salesforce and Stripe were both changed; nothing is overwritten."""


class Superseded(InvoicingError):
    """The run was believed dead, and a later attempt at it is under way in another process."""


class EventsMissed(InvoicingError):
    """Nothing was fetched for so long that Stripe may have dropped events meanwhile."""


class WrongWorld(InvoicingError):
    """The key, org or mode is not the one this installation is bound to."""


class Misconfigured(WrongWorld):
    """Settings are missing or malformed."""

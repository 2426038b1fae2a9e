"""Everything that can go wrong, by what has to happen next.

    InvoicingError
    ├── TransientError           try the same again, later
    │   ├── Busy                 another run has locked the invoice
    │   └── Throttled            a service asks for a slower pace
    ├── Rejected                 the input is wrong: a person must change something
    │   ├── NotFound             what it names does not exist
    │   └── WriteRefused         Salesforce does not take a record; who looks after the org decides
    ├── Conflict                 both systems changed: a person must decide
    ├── Superseded               another process has taken over this run; this one ends
    ├── EventsMissed             Stripe may have dropped events; a full sync was started
    └── EnvironmentMismatch      key, org or mode are not the ones that the ledger is bound to
        └── Misconfigured        settings are missing or malformed

Whatever is none of these is unknown: it fails the run and keeps all that is needed
to resume. Messages are sentences that a finance person can act on.
"""

from collections.abc import Sequence


class InvoicingError(Exception):
    """Base of all errors that this project raises on purpose."""


class TransientError(InvoicingError):
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


class Busy(TransientError):
    """Another run works on the same invoice at this moment."""


class Throttled(TransientError):
    """The service refused because of its rate or daily limits."""


class Rejected(InvoicingError):
    """The request itself is wrong, and no retry will change that.

    Attributes:
        reasons: Every reason found, each one a sentence.
    """

    def __init__(self, reasons: str | Sequence[str], summary: str = "") -> None:
        """Collect the reasons; one sentence or several, or so many that a summary is better."""
        self.reasons = [reasons] if isinstance(reasons, str) else list(reasons)
        super().__init__(summary or " ".join(self.reasons))


class NotFound(Rejected):
    """What the request names does not exist in the service."""


class WriteRefused(Rejected):
    """A rule, a lock or a right of the org is in the way of a write, for hours or for good.

    Nothing is wrong with what was to be written, so that the same may be taken another day.
    """


def may_pass(error: InvoicingError) -> bool:
    """Whether the same may do better another day, though nobody changes what was asked for."""
    return isinstance(error, TransientError | WriteRefused)


class Conflict(InvoicingError):
    """Salesforce and Stripe were both changed; nothing is overwritten."""


class Superseded(InvoicingError):
    """The run was believed dead, and a later attempt at it is under way in another process."""


class EventsMissed(InvoicingError):
    """Nothing was fetched for so long that Stripe may have dropped events meanwhile."""


class EnvironmentMismatch(InvoicingError):
    """The key, org or mode is not the one this installation is bound to."""


class Misconfigured(EnvironmentMismatch):
    """Settings are missing or malformed."""


# Prefect pickles the error that a run ended with under its class's name: those of before are read.
Passing = TransientError
Refused = Rejected
Missing = NotFound
WrongWorld = EnvironmentMismatch

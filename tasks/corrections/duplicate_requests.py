"""Requests for a correction: the same one, asked again or begun earlier, is not fulfilled twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from invoicing.domain.stripe.transitions import InvoiceState
from invoicing.errors import Rejected
from invoicing.ledger import intents, request_records
from invoicing.settings import settings
from tasks.runtime.run_page import run_id

REQUEST_KEY = "salesforce_request"
"""Metadata of what was made in Stripe: the request that it was made for."""

CONTENT_KEY = "salesforce_request_content"
"""Metadata of the same: the fingerprint of what was asked for."""

DUPLICATE_WINDOW = timedelta(minutes=5)
"""So long the same of another run is taken for a button that was pressed twice."""


def request_subject(state: InvoiceState, request_id: str) -> str:
    """The intent's subject for an act that may be asked for several times: its request."""
    return f"{state.record_id}:{request_id or run_id()}"


def earlier_outcome(
    operation: str, subject: str, digest: str, evidence: Callable[[datetime], str | None]
) -> str | None:
    """Outcome of the same request earlier; None when it was not fulfilled yet.

    Raises:
        Rejected: the same request id asked for something else.
    """
    before = intents.find(operation, subject)
    if before is None:
        return None
    if before.digest not in (digest, intents.UNKNOWN):
        raise Rejected(
            "This request id was used before, for something else; give the new request its own."
        )
    if before.outcome is None:
        found = evidence(before.intended_at)
        if found is not None:
            intents.conclude(operation, subject, found)
        return found
    return before.outcome


def repeated_request_problems(
    operation: str, state: InvoiceState, request_id: str, digest: str
) -> list[str]:
    """Reason why what a person asks for is rejected, if the same was asked for just now.

    A button pressed twice is two runs of one content: in Prefect without request ids, in Salesforce
    with a request each, once the first is answered. A program's request id says that it is meant.
    What was begun goes on.
    """
    subject = request_subject(state, request_id)
    by_program = bool(request_id) and request_records.find(request_id) is None
    if by_program or intents.find(operation, subject):
        return []
    since = datetime.now(UTC) - DUPLICATE_WINDOW
    first = intents.find_duplicate(
        operation, f"{state.record_id}:", digest=digest, but=subject, since=since
    )
    if first is None:
        return []
    when = first.intended_at.astimezone(settings().business.zone)
    minutes = int(DUPLICATE_WINDOW.total_seconds() // 60)
    says_so = "" if request_id else "give it a request id of its own, or "
    return [
        f"The same was asked for {state.name} at {when:%H:%M:%S}, by the run {first.actor}. If it "
        f"is wanted once more, {says_so}wait until {minutes} minutes are over."
    ]

"""Requests for a correction: the same one, asked again or begun earlier, is not fulfilled twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from invoicing.domain.model.dates import written
from invoicing.domain.stripe.action_rules import InvoiceState
from invoicing.errors import Rejected
from invoicing.ledger import intents, request_records
from invoicing.ledger.models import Intent
from invoicing.settings import settings
from tasks.runtime.run_name import run_id, run_in_words

REQUEST_KEY = "salesforce_request"
"""Metadata of what was made in Stripe: the request that it was made for."""

CONTENT_KEY = "salesforce_request_content"
"""Metadata of the same: the fingerprint of what was asked for."""

DUPLICATE_WINDOW = timedelta(minutes=5)
"""So long the same request is taken for a button that was pressed twice."""


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
    operation: str,
    state: InvoiceState,
    request_id: str,
    digest: str,
    *,
    effect: str,
    find_effect: Callable[[str, datetime], str | None],
    set_apart: str = "",
) -> list[str]:
    """Reason why a request is rejected, if another one has just been fulfilled, or may have been.

    A button pressed twice is two runs with one request, or two requests in Salesforce, one behind
    the other; whoever wants it twice can say so. What was begun goes on, unless somebody had the
    same done meanwhile.

    Args:
        operation: What is asked for.
        state: The invoice.
        request_id: Whoever chose one means what they ask for; a button's is nobody's choice.
        digest: Fingerprint of what is asked for.
        effect: The operation that has the effect, if that is its last step only.
        find_effect: Looks in Stripe for the outcome of that, by its subject, since a UTC instant.
        set_apart: What to enter that sets it apart from the other, as in ``a reference``.
    """
    subject = request_subject(state, request_id)
    pressed = request_records.find(request_id) if request_id else None
    if request_id and not pressed:
        return []
    begun = intents.find(operation, subject)
    asked_at = pressed.asked_at if pressed else datetime.now(UTC)
    since = begun.intended_at if begun else asked_at - DUPLICATE_WINDOW

    def done_at(subject: str) -> datetime | None:
        done = intents.find(effect, subject)
        if done is None:
            return None
        if done.outcome is None and (found := find_effect(subject, done.intended_at)):
            intents.conclude(effect, subject, found)
            return datetime.now(UTC)
        return done.concluded_at

    def counts(other: Intent) -> bool:
        done = done_at(other.subject)
        return done >= since if done else not begun and other.intended_at >= since

    if begun and done_at(subject):
        return []
    alike = intents.find_alike(operation, f"{state.record_id}:", digest=digest, but=subject)
    first = next(filter(counts, alike), None)
    if first is None:
        return []
    when = first.intended_at.astimezone(settings().business.zone)
    ways = [f"enter {set_apart} that sets it apart"] if set_apart else []
    ways += [] if pressed else ["give it a request id of its own"]
    wait = f"wait until {DUPLICATE_WINDOW // timedelta(minutes=1)} minutes are over"
    ways += [f"or {wait}" if ways else wait]
    return [
        f"The same was asked for {state.name} already, on {written(when)} at {when:%H:%M:%S}: "
        f"{run_in_words(first.actor)}. If it is wanted once more, "
        f"{', '.join(ways)}."
    ]

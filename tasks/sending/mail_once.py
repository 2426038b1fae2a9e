"""Have Stripe mail an invoice, once for each request. The events of mails tell what went out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from invoicing.connectors import stripe
from invoicing.domain.stripe.resources import Event
from invoicing.errors import Conflict
from invoicing.ledger import intents, links
from tasks.records.timeline import add_entry
from tasks.runtime.clock import CLOCK_SKEW
from tasks.runtime.run_name import run_id

EVENTS_KEPT = timedelta(days=30)


def mail_once(
    operation: str,
    subject: str,
    stripe_id: str,
    *,
    digest: str,
    evidence: Callable[[datetime], str | None],
) -> datetime:
    """Have Stripe mail an invoice, or see that it has; returns when, as a UTC instant.

    Args:
        operation: What the mail is for.
        subject: The request that it is for.
        stripe_id: The invoice.
        digest: Fingerprint of the request.
        evidence: See :func:`mailed`.
    """

    def send(key: str) -> str:
        stripe.client().send(stripe_id, key)
        return str(int(datetime.now(UTC).timestamp()))

    sent = intents.once(
        operation, subject, digest=digest, actor=run_id(), evidence=evidence, act=send
    )
    return datetime.fromtimestamp(int(sent), UTC)


def write_down_mail(key: str, record_id: str, stripe_id: str, what: str, when: datetime) -> None:
    """Remember when an invoice was mailed last, and tell it on its timeline, once for each key."""
    links.mark_sent(stripe_id, when)
    add_entry(key, record_id, what, stripe_id=stripe_id, happened_at=when)


def mailed(since: datetime, is_it: Callable[[Event], bool], forgotten: str) -> str | None:
    """Unix time at which Stripe mailed an invoice since a UTC instant; None if it did not.

    Args:
        since: When the mail was wanted.
        is_it: Whether an event is of the mail in question.
        forgotten: What to say when Stripe no longer knows.

    Raises:
        Conflict: so long ago that Stripe no longer knows.
    """
    found = find_mail(since, is_it)
    if found is None and datetime.now(UTC) - since > EVENTS_KEPT:
        raise Conflict(forgotten)
    return found


def find_mail(since: datetime, is_it: Callable[[Event], bool]) -> str | None:
    """Unix time at which Stripe mailed an invoice since a UTC instant, as far as it still knows."""
    events = stripe.client().events(since=since - CLOCK_SKEW, types=["invoice.sent"])
    return next((str(event["created"]) for event in events if is_it(event)), None)


def is_mail_of(operation: str, subject: str) -> Callable[[Event], bool]:
    """Whether an event is of the mail of one request, and not of another.

    It carries the idempotency key of the call: https://docs.stripe.com/api/events/object
    """

    def is_it(event: Event) -> bool:
        request = event["request"]
        return intents.is_key_of(operation, subject, request and request["idempotency_key"])

    return is_it

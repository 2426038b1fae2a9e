"""Exactly once: a side effect is written down before it is tried.

Stripe remembers an idempotency key for 24 hours at least, so a call whose answer was lost
may be repeated under its key for 23 hours; it then gives the first call's answer. It also
remembers answers of 500 (https://docs.stripe.com/api/idempotent_requests), so once a failed
call is known to be over, the next try needs a new key. A call is not over because a later one
was answered: it may still be under way, and then only their common key protects, unless the
answer is the first one's, repeated. And whatever the key promises, the evidence in the service
itself is read first.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from invoicing.errors import Rejected, TransientError
from invoicing.ledger.database import (
    execute,
    insert_missing,
    read_all,
    read_row,
    session,
    update_each,
)
from invoicing.ledger.models import Intent, TimelineEntry
from invoicing.settings import settings

SEND = "send-invoice"
CREATE_CUSTOMER = "create-customer"
CREATE = "create-invoice"
FINALIZE = "finalize-invoice"
LEND = "lend-email"
GIVE_BACK = "give-email-back"
MAIL = "mail-invoice"
CHARGE = "charge-invoice"
REVISE = "revise-invoice"
VOID = "void-invoice"
WRITE_OFF = "write-off-invoice"
RESEND = "resend-invoice"
REMIND = "send-reminders"
REPORT_PAYMENT = "report-payment"
ATTACH_PAYMENT = "attach-payment"
CREDIT = "credit-invoice"
APPROVE = "approve-sending"
ASK_APPROVAL = "ask-for-approval"
"""What waits for approvers in Salesforce; the outcome is in minor units, the digest the content's.
Each generation is another question."""

APPROVED_BY = "approved-by"
"""One approver's yes; the subject is the question's key and the user."""

DECIDE = "decide-approval"
"""How a question to approvers was decided, once and for all; the subject is the question's key, the
digest the action, the actor the request, the outcome who asked for it."""

TELL_APPROVERS = "tell-approvers"
AGREE = "agree-amount"
"""What an invoice asks for was said; the outcome is in minor units, the digest the content's."""

AGREE_TOTAL = "agree-total"
"""An invoice was about to become final over this total, in minor units; the digest as before."""

AGREE_CONTENT = "agree-lines"
"""The content that a draft in Stripe was given, or had where it was made there; the outcome is a
checksum of each line and of each part of the header, with its name; the digest as before. Without
one while it is changed. One of an earlier version has lines alone."""

READ_TABLE = "read-table"
"""What a run read as its table; the subject is the run."""

DELETE = "delete-draft"
RAISE = "raise-invoice"

KEY_LIFETIME = timedelta(hours=23)

UNKNOWN = ""
"""The digest of an intent whose content is not known any more, because the ledger was rebuilt."""


def find(operation: str, subject: str) -> Intent | None:
    """The intent of an operation on a subject, if it was ever decided."""
    return read_row(Intent, (operation, subject))


def concluded(operation: str, subjects_from: str) -> list[Intent]:
    """Concluded intents of an operation, on all subjects that begin so, oldest first."""
    query = select(Intent).where(
        Intent.operation == operation,
        col(Intent.subject).startswith(subjects_from, autoescape=True),
        col(Intent.outcome).is_not(None),
    )
    return read_all(query.order_by(col(Intent.intended_at)))


def find_alike(operation: str, subjects_from: str, *, digest: str, but: str) -> list[Intent]:
    """Intents of the same content that other subjects had, newest first.

    Args:
        operation: What is done.
        subjects_from: How the subjects begin.
        digest: Fingerprint of the content.
        but: The subject that is asked about.
    """
    query = select(Intent).where(
        Intent.operation == operation,
        col(Intent.subject).startswith(subjects_from, autoescape=True),
        Intent.subject != but,
        Intent.digest == digest,
        col(Intent.refused).is_(False),
    )
    return read_all(query.order_by(col(Intent.intended_at).desc()))


def unreported(operation: str, since: datetime, until: datetime) -> list[Intent]:
    """Intents between two UTC instants whose subject is the key of no timeline entry."""
    reported = select(TimelineEntry.key).where(TimelineEntry.key == Intent.subject)
    query = select(Intent).where(
        Intent.operation == operation,
        col(Intent.refused).is_(False),
        col(Intent.intended_at).between(since, until),
        ~reported.exists(),
    )
    return read_all(query.order_by(col(Intent.intended_at)))


def unfinished(operation: str, begun_by: str) -> list[str]:
    """Subjects of intents without an outcome, of which another operation was begun all the same.

    Args:
        operation: What has no outcome.
        begun_by: What had its effect, or may have had it.
    """
    effect = aliased(Intent)
    begun = select(effect.subject).where(
        effect.operation == begun_by,
        effect.subject == Intent.subject,
        col(effect.refused).is_(False),
    )
    query = select(Intent.subject).where(
        Intent.operation == operation, col(Intent.outcome).is_(None), begun.exists()
    )
    return read_all(query.order_by(Intent.subject))


def attempted(operation: str, subject: str) -> bool:
    """Whether an operation had its effect, or may have had it."""
    intent = find(operation, subject)
    return intent is not None and not intent.refused


def intend(operation: str, subject: str, *, digest: str, actor: str) -> tuple[Intent, bool]:
    """Write an intent down; returns it, and whether it is new."""
    with session() as ledger:
        new = insert_missing(ledger, [new_intent(operation, subject, digest=digest, actor=actor)])
        return ledger.get_one(Intent, (operation, subject)), bool(new)


def new_intent(
    operation: str,
    subject: str,
    *,
    digest: str,
    actor: str,
    at: datetime | None = None,
    outcome: str | None = None,
) -> Intent:
    """An intent of now, or of an earlier UTC instant; in doubt unless its outcome is known."""
    at = at or datetime.now(UTC)
    return Intent(
        operation=operation,
        subject=subject,
        digest=digest,
        actor=actor,
        intended_at=at,
        keyed_at=at,
        outcome=outcome,
        concluded_at=None if outcome is None else at,
    )


def claim(operation: str, subject: str, *, digest: str, actor: str) -> bool:
    """Reserve a subject, such as a request's id, for one content.

    Returns:
        False when it was wanted for another content before, unless that was withdrawn.
    """
    intent, _ = intend(operation, subject, digest=digest, actor=actor)
    if intent.digest == digest:
        return True
    with session() as ledger:
        intent = ledger.get_one(Intent, (operation, subject), with_for_update=True)
        if intent.refused:
            intent.digest, intent.actor, intent.refused = digest, actor, False
        return intent.digest == digest


def claimed_otherwise(operation: str, wanted: Mapping[str, str]) -> set[str]:
    """Those of some subjects that stand for another content than is wanted, by their digests.

    What nothing is known of, or came before digests were kept, stands for whatever is wanted.
    """
    query = select(Intent).where(
        Intent.operation == operation, col(Intent.subject).in_(list(wanted))
    )
    known = {intent.subject: intent.digest for intent in read_all(query)}
    return {id_ for id_, digest in known.items() if digest not in (wanted[id_], UNKNOWN)}


def claim_anew(operation: str, wanted: Mapping[str, str], *, actor: str) -> None:
    """Let many subjects stand for contents, by their digests; nothing was made of others before."""
    rows = [new_intent(operation, id_, digest=wanted[id_], actor=actor) for id_ in sorted(wanted)]
    with session() as ledger:
        insert_missing(ledger, rows)
        digests = {id_: {"digest": digest} for id_, digest in wanted.items()}
        update_each(ledger, Intent, "subject", digests, col(Intent.operation) == operation)


def set_decision(operation: str, subject: str, *, digest: str, actor: str, outcome: str) -> Intent:
    """Write down what was decided for a content, in place of what was decided before.

    Returns:
        The decision.
    """
    with session() as ledger:
        insert_missing(ledger, [new_intent(operation, subject, digest=digest, actor=actor)])
        intent = ledger.get_one(Intent, (operation, subject), with_for_update=True)
        intent.digest, intent.actor = digest, actor
        intent.outcome, intent.concluded_at = outcome, datetime.now(UTC)
        return intent


def decide_once(operation: str, subject: str, *, digest: str, actor: str, outcome: str) -> Intent:
    """Write down what was decided, unless it was decided before.

    Whoever comes first decides, also of two who do not know of each other: it is one statement of
    the ledger, and needs no lease.

    Returns:
        The decision that counts.
    """
    intent = new_intent(operation, subject, digest=digest, actor=actor, outcome=outcome)
    with session() as ledger:
        insert_missing(ledger, [intent])
        return ledger.get_one(Intent, (operation, subject))


def take_over(operation: str, subject: str, actor: str) -> None:
    """Write down that another run does from now on what was begun, unless it is done."""
    execute(
        update(Intent)
        .where(
            col(Intent.operation) == operation,
            col(Intent.subject) == subject,
            col(Intent.outcome).is_(None),
        )
        .values(actor=actor)
    )


def withdraw(operation: str, subject: str) -> None:
    """Write down that an intent was refused and had no effect."""
    _mark(operation, subject, refused=True)


def conclude(operation: str, subject: str, outcome: str) -> None:
    """Write down the outcome of an intent."""
    with session() as ledger:
        intent = ledger.get_one(Intent, (operation, subject), with_for_update=True)
        intent.outcome, intent.concluded_at = outcome, datetime.now(UTC)


def reopen(operation: str, subject: str, actor: str = "") -> None:
    """Let an operation be done again, under a new key, because its effect is known to be gone.

    Args:
        operation: What was done.
        subject: What it was done to.
        actor: The flow run that wants it now, if it is another one.
    """
    now = datetime.now(UTC)
    execute(
        update(Intent)
        .where(col(Intent.operation) == operation, col(Intent.subject) == subject)
        .values(
            outcome=None,
            concluded_at=None,
            answered=False,
            refused=False,
            generation=col(Intent.generation) + 1,
            actor=actor or col(Intent.actor),
            intended_at=now,
            keyed_at=now,
        )
    )


def once(
    operation: str,
    subject: str,
    *,
    digest: str,
    actor: str,
    evidence: Callable[[datetime], str | None],
    act: Callable[[str], str],
) -> str:
    """Bring about a side effect exactly once, however often this is called.

    Args:
        operation: What is done, such as ``create-invoice``.
        subject: What it is done to, such as a record id.
        digest: Fingerprint of the call's parameters.
        actor: The flow run that wants it.
        evidence: Looks in the service whether the effect happened since the given UTC
            instant, and returns its outcome. Only asked when an earlier try is in doubt.
        act: Makes the call under the idempotency key it is given, and returns the outcome.

    Returns:
        The outcome: of this call, or of the one that succeeded before.
    """
    intent, new = intend(operation, subject, digest=digest, actor=actor)
    if intent.outcome is not None:
        return intent.outcome
    in_doubt = False
    if not new:
        found = evidence(intent.intended_at)
        if found is not None:
            conclude(operation, subject, found)
            return found
        generation = intent.generation
        intent = _ready_to_repeat(intent, digest)
        in_doubt = intent.generation == generation
    try:
        outcome = act(_idempotency_key(intent))
    except TransientError as failure:
        if failure.answered and (failure.replayed or not in_doubt):
            _mark(operation, subject, refused=False)
        raise
    except Rejected:
        found = evidence(intent.intended_at)
        if found is None:
            _mark(operation, subject, refused=True)
            raise
        outcome = found
    conclude(operation, subject, outcome)
    return outcome


def of_key(key: str | None, at: datetime, actor: str) -> Intent | None:
    """The intent that a call under an idempotency key was made for; None if it was not ours.

    Args:
        key: As Stripe's event of the call has it.
        at: When the call was made, as a UTC instant.
        actor: The flow run that wants to know.
    """
    operation, _, rest = (key or "").partition(":")
    subject, *call = rest.rsplit(":", 2)
    org, _, subject = subject.partition(":")
    if org != settings().salesforce.org_id or len(call) != 2 or not call[0].isdecimal():
        return None
    intent = new_intent(operation, subject, digest=call[1], at=at, actor=actor)
    intent.generation = int(call[0])
    return intent


def restore(found: Sequence[Intent]) -> int:
    """Write down what the services tell of earlier intents; what the ledger knows stays.

    Returns:
        The number of intents, or of outcomes, that the ledger had not known.
    """
    news = 0
    with session() as ledger:
        for intent in found:
            if insert_missing(ledger, [intent]):
                news += 1
                continue
            kept = ledger.get_one(Intent, (intent.operation, intent.subject), with_for_update=True)
            if intent.generation > kept.generation:
                kept.generation, kept.digest = intent.generation, intent.digest
                kept.answered = kept.refused = False
                kept.keyed_at = intent.keyed_at
            if kept.outcome is None and intent.outcome is not None:
                kept.outcome, kept.concluded_at = intent.outcome, intent.concluded_at
                news += 1
    return news


def is_key_of(operation: str, subject: str, key: str | None) -> bool:
    """Whether a call under an idempotency key was made for an operation on a subject."""
    return (key or "").startswith(_key_prefix(operation, subject))


def _key_prefix(operation: str, subject: str) -> str:
    return ":".join([operation, settings().salesforce.org_id, subject, ""])


def _idempotency_key(intent: Intent) -> str:
    prefix = _key_prefix(intent.operation, intent.subject)
    return f"{prefix}{intent.generation}:{intent.digest[:32]}"


def _ready_to_repeat(intent: Intent, digest: str) -> Intent:
    """Keep the key while it protects; take a new one when it no longer can."""
    expired = datetime.now(UTC) - intent.keyed_at > KEY_LIFETIME
    if not (expired or intent.answered or intent.digest != digest):
        return intent
    with session() as ledger:
        kept = ledger.get_one(Intent, (intent.operation, intent.subject), with_for_update=True)
        kept.generation += 1
        kept.digest = digest
        kept.answered = kept.refused = False
        kept.keyed_at = datetime.now(UTC)
        return kept


def _mark(operation: str, subject: str, *, refused: bool) -> None:
    with session() as ledger:
        intent = ledger.get_one(Intent, (operation, subject), with_for_update=True)
        intent.answered, intent.refused = True, refused

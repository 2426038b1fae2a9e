"""Facts last read of invoices' payments: refunds, disputes, failed attempts."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields

from sqlalchemy import ColumnElement
from sqlmodel import col, delete, or_, select

from invoicing.domain.model.status import PaymentState
from invoicing.domain.stripe.payment_facts import NO_PAYMENT_FACTS, PaymentFacts
from invoicing.ledger.database import read_all, session
from invoicing.ledger.models import KnownPayments

FACTS = [field.name for field in fields(PaymentFacts)]

UNDER_DISPUTE = (
    "Needs response",
    "Under review",
    "Warning needs response",
    "Warning under review",
)
"""How it begins what is known of a dispute that is not over.

Source: https://docs.stripe.com/api/disputes/object (status)
"""


def known(stripe_ids: Iterable[str]) -> dict[str, PaymentFacts]:
    """Facts known of the payments of some invoices, by Stripe id; most have no entry."""
    query = select(KnownPayments).where(col(KnownPayments.stripe_id).in_(list(stripe_ids)))
    return {
        row.stripe_id: PaymentFacts(**{name: getattr(row, name) for name in FACTS})
        for row in read_all(query)
    }


def is_disputed() -> ColumnElement[bool]:
    """Condition: a dispute was not over when the payments were read last."""
    return or_(*map(col(KnownPayments.dispute_status).startswith, UNDER_DISPUTE))


def undecided() -> list[str]:
    """The invoices of which a bank debit or a dispute was not over when they were read last."""
    query = select(KnownPayments.stripe_id).where(
        or_(col(KnownPayments.under_way) > 0, is_disputed())
    )
    return read_all(query.order_by(col(KnownPayments.stripe_id)))


def remember(facts: Mapping[str, tuple[PaymentFacts, PaymentState | None, str | None]]) -> None:
    """Remember what was read of payments, by Stripe id.

    Args:
        facts: What was read, where the money stands where the invoice alone does not say it, and
            what is wrong with the payments, in words.
    """
    if not facts:
        return
    with session() as ledger:
        for stripe_id, (read, state, problem) in facts.items():
            if read == NO_PAYMENT_FACTS:
                mine = col(KnownPayments.stripe_id) == stripe_id
                ledger.execute(delete(KnownPayments).where(mine))
            else:
                more = {"payment_state": state, "shown_problem": problem, **asdict(read)}
                ledger.merge(KnownPayments(stripe_id=stripe_id, **more))

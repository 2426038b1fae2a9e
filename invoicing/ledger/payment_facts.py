"""Facts last read of invoices' payments: refunds, disputes, failed attempts."""

from collections.abc import Iterable, Mapping

from sqlmodel import col, select

from invoicing.domain.model.status import PaymentState
from invoicing.domain.stripe.payment_facts import NO_PAYMENT_FACTS, PaymentFacts
from invoicing.ledger.database import session
from invoicing.ledger.models import KnownPayments

DECIDED_BY_PAYMENTS = frozenset(
    [PaymentState.DISPUTED, PaymentState.REFUNDED, PaymentState.PARTLY_REFUNDED]
)


def known(stripe_ids: Iterable[str]) -> dict[str, PaymentFacts]:
    """Facts known of the payments of some invoices, by Stripe id; most have no entry."""
    query = select(KnownPayments).where(col(KnownPayments.stripe_id).in_(list(stripe_ids)))
    with session() as ledger:
        return {row.stripe_id: _facts(row) for row in ledger.exec(query)}


def _facts(row: KnownPayments) -> PaymentFacts:
    return PaymentFacts(row.refunded, row.disputed, row.dispute_status, row.problem, row.credited)


def remember(facts: Mapping[str, tuple[PaymentFacts, PaymentState]]) -> None:
    """Remember what was read, and where the money stands because of it, by Stripe id."""
    if not facts:
        return
    with session() as ledger:
        for stripe_id, (read, state) in facts.items():
            if read == NO_PAYMENT_FACTS:
                row = ledger.get(KnownPayments, stripe_id)
                if row is not None:
                    ledger.delete(row)
                continue
            ledger.merge(
                KnownPayments(
                    stripe_id=stripe_id,
                    refunded=read.refunded,
                    disputed=read.disputed,
                    dispute_status=read.dispute_status,
                    problem=read.problem,
                    credited=read.credited,
                    payment_state=state if state in DECIDED_BY_PAYMENTS else None,
                )
            )

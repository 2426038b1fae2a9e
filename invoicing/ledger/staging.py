"""A full sync's working tables: both sides staged, and their difference by one query."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, text
from sqlmodel import col, select

from invoicing.ledger.database import session
from invoicing.ledger.models import DriftRow, StagedSalesforce, StagedStripe, SyncRun, SyncWindow

DRIFT = """
WITH stripe AS (SELECT * FROM staged_stripe WHERE run_id = :run_id),
     salesforce AS (
       SELECT * FROM staged_salesforce WHERE run_id = :run_id AND stripe_id IS NOT NULL),
     compared AS (
       SELECT stripe.stripe_id, salesforce.record_id,
              salesforce.status || ' ' || COALESCE(salesforce.payment_state, '') AS ours,
              stripe.status || ' ' || stripe.payment_state AS theirs,
              CASE
                WHEN stripe.status <> salesforce.status THEN 'status'
                WHEN stripe.status = 'Draft' THEN NULL
                WHEN stripe.total <> COALESCE(salesforce.total, -1)
                  OR stripe.amount_paid <> COALESCE(salesforce.amount_paid, -1)
                  OR stripe.amount_remaining <> COALESCE(salesforce.amount_remaining, -1)
                  THEN 'amount'
                WHEN stripe.payment_state <> COALESCE(salesforce.payment_state, '')
                  THEN 'payment state'
                WHEN COALESCE(stripe.number, '') <> COALESCE(salesforce.number, '')
                  THEN 'number'
                WHEN stripe.overdue <> salesforce.overdue THEN 'overdue'
              END AS kind
       FROM stripe JOIN salesforce ON salesforce.stripe_id = stripe.stripe_id)
INSERT INTO drift (run_id, subject, kind, record_id, stripe_id,
                   salesforce_says, stripe_says, outcome)
SELECT :run_id, stripe_id, kind, record_id, stripe_id, TRIM(ours), theirs, 'found'
  FROM compared WHERE kind IS NOT NULL
UNION ALL
SELECT :run_id, stripe.stripe_id, 'missing in Salesforce', stripe.record_id, stripe.stripe_id,
       'nothing', stripe.status || ' ' || stripe.payment_state, 'found'
  FROM stripe LEFT JOIN salesforce ON salesforce.stripe_id = stripe.stripe_id
  WHERE salesforce.record_id IS NULL
UNION ALL
SELECT :run_id, salesforce.stripe_id, 'missing in Stripe', salesforce.record_id,
       salesforce.stripe_id,
       TRIM(salesforce.status || ' ' || COALESCE(salesforce.payment_state, '')), 'nothing', 'found'
  FROM salesforce LEFT JOIN stripe ON salesforce.stripe_id = stripe.stripe_id
  WHERE stripe.stripe_id IS NULL AND salesforce.status <> 'Deleted'
"""
"""Where the two sides differ. A draft's content is Salesforce's own, so only its status is
compared; what was deleted in Stripe and is known as such is no difference."""


def begin(run_id: str, *, dry_run: bool) -> SyncRun:
    """Begin a full sync, or go on with the one that this run began before."""
    with session() as ledger:
        run = ledger.get(SyncRun, run_id)
        if run is None:
            run = SyncRun(id=run_id, started_at=datetime.now(UTC), dry_run=dry_run)
            ledger.add(run)
        return run


def finish(run_id: str) -> None:
    """Close a full sync and clear its staged rows; its drift stays."""
    with session() as ledger:
        for table in (StagedStripe, StagedSalesforce, SyncWindow):
            ledger.execute(delete(table).where(col(table.run_id) == run_id))
        run = ledger.get_one(SyncRun, run_id)
        run.finished_at = datetime.now(UTC)
        ledger.add(run)


def is_staged(run_id: str, window: str) -> bool:
    """Whether a stretch of reading was staged before."""
    with session() as ledger:
        return ledger.get(SyncWindow, (run_id, window)) is not None


def stage(
    run_id: str, window: str, rows: Sequence[StagedStripe] | Sequence[StagedSalesforce]
) -> None:
    """Stage what a stretch of reading found, and remember the stretch: both or neither."""
    with session() as ledger:
        if rows:
            ledger.execute(insert(type(rows[0])), [row.model_dump() for row in rows])
        ledger.add(
            SyncWindow(run_id=run_id, name=window, rows=len(rows), done_at=datetime.now(UTC))
        )


def counts(run_id: str) -> tuple[int, int]:
    """How many invoices were staged from Stripe and from Salesforce."""
    with session() as ledger:
        of = [
            ledger.exec(select(func.count()).select_from(t).where(t.run_id == run_id)).one()
            for t in (StagedStripe, StagedSalesforce)
        ]
        return of[0], of[1]


def find_drift(run_id: str) -> list[DriftRow]:
    """Compare both sides by one set-based statement, and keep every difference as a row."""
    with session() as ledger:
        ledger.execute(delete(DriftRow).where(col(DriftRow.run_id) == run_id))
        ledger.execute(text(DRIFT), {"run_id": run_id})
    return drift_of(run_id)


def settle(run_id: str, outcomes: dict[str, str]) -> None:
    """Write down what was done about drift, by subject."""
    with session() as ledger:
        for subject, outcome in outcomes.items():
            row = ledger.get_one(DriftRow, (run_id, subject))
            row.outcome = outcome
            ledger.add(row)


def drift_of(run_id: str) -> list[DriftRow]:
    """All drift of a full sync."""
    query = (
        select(DriftRow)
        .where(DriftRow.run_id == run_id)
        .order_by(col(DriftRow.kind), col(DriftRow.subject))
    )
    with session() as ledger:
        return list(ledger.exec(query))

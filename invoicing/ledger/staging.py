"""A full sync's working tables: both sides staged, and their difference by one query."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import case, delete, func, insert, literal, union_all
from sqlmodel import col, select

from invoicing.ledger.database import session
from invoicing.ledger.models import DriftRow, StagedSalesforce, StagedStripe, SyncRun, SyncWindow

STATUS = "status"
AMOUNT = "amount"
MISSING_IN_SALESFORCE = "missing in Salesforce"
MISSING_IN_STRIPE = "missing in Stripe"
OTHER = "other fields"


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
            ledger.execute(delete(table).where(col(table.run_id) == run_id))  # type: ignore[attr-defined]
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
    """Compare both sides, and keep every difference as a drift row."""
    s, f = StagedStripe, StagedSalesforce
    joined = (s.run_id == f.run_id) & (s.stripe_id == f.stripe_id)
    amounts = (
        (s.total != func.coalesce(f.total, -1))
        | (s.amount_paid != func.coalesce(f.amount_paid, -1))
        | (s.amount_remaining != func.coalesce(f.amount_remaining, -1))
    )
    amounts &= s.status != "Draft"
    others = (
        (func.coalesce(s.number, "") != func.coalesce(f.number, ""))
        | (s.payment_state != func.coalesce(f.payment_state, ""))
        | (col(s.overdue) != col(f.overdue))
    )
    others &= s.status != "Draft"
    differing = select(
        col(s.stripe_id),
        case((s.status != f.status, STATUS), (amounts, AMOUNT), else_=OTHER),
        col(f.record_id),
        f.status + literal(" ") + func.coalesce(f.payment_state, ""),
        s.status + literal(" ") + s.payment_state,
    ).where(joined, s.run_id == run_id, (s.status != f.status) | amounts | others)
    unknown_here = (
        select(
            col(s.stripe_id),
            literal(MISSING_IN_SALESFORCE),
            col(s.record_id),
            literal("nothing"),
            s.status + literal(" ") + s.payment_state,
        )
        .join(f, joined, isouter=True)  # type: ignore[arg-type]
        .where(s.run_id == run_id, col(f.record_id).is_(None))
    )
    unknown_there = (
        select(
            col(f.stripe_id),
            literal(MISSING_IN_STRIPE),
            col(f.record_id),
            f.status + literal(" ") + func.coalesce(f.payment_state, ""),
            literal("nothing"),
        )
        .join(s, joined, isouter=True)  # type: ignore[arg-type]
        .where(
            f.run_id == run_id,
            col(f.stripe_id).is_not(None),
            f.status != "Deleted",
            col(s.stripe_id).is_(None),
        )
    )
    with session() as ledger:
        ledger.execute(delete(DriftRow).where(col(DriftRow.run_id) == run_id))
        found = ledger.execute(union_all(differing, unknown_here, unknown_there)).all()
        drift = [
            DriftRow(
                run_id=run_id,
                subject=stripe_id,
                kind=kind,
                record_id=record_id,
                stripe_id=stripe_id,
                salesforce_says=ours.strip(),
                stripe_says=theirs.strip(),
            )
            for stripe_id, kind, record_id, ours, theirs in found
        ]
        ledger.add_all(drift)
        return drift


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

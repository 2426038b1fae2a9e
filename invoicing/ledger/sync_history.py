"""The full syncs that were: what each came to, and the last of them."""

from sqlalchemy import update
from sqlmodel import col, select

from invoicing.ledger.database import execute, read_all, read_first
from invoicing.ledger.drift import kinds
from invoicing.ledger.models import SyncRun


def record_totals(run_id: str, *, in_stripe: int, in_salesforce: int) -> None:
    """Note on the full sync what it came to, for the trend."""
    differed = sum(kinds(run_id).values())
    totals = {"in_stripe": in_stripe, "in_salesforce": in_salesforce, "differed": differed}
    execute(update(SyncRun).where(col(SyncRun.id) == run_id).values(totals))


def last_finished() -> SyncRun | None:
    """The full sync that ended last, of those that compared something."""
    query = select(SyncRun).where(
        col(SyncRun.finished_at).is_not(None),
        col(SyncRun.in_stripe) + col(SyncRun.in_salesforce) > 0,
    )
    return read_first(query.order_by(col(SyncRun.finished_at).desc()).limit(1))


def last_syncs(count: int) -> list[SyncRun]:
    """The newest full syncs that compared something, newest first."""
    query = select(SyncRun).where(col(SyncRun.in_stripe) + col(SyncRun.in_salesforce) > 0)
    return read_all(query.order_by(col(SyncRun.started_at).desc()).limit(count))

"""Request records of Salesforce: each is written down, started and answered, once.

A process may die between any two of these; the next one goes on from what is written here.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import text, update
from sqlmodel import col, select

from invoicing.ledger.database import (
    execute,
    insert_missing,
    read_all,
    read_first,
    read_row,
    session,
)
from invoicing.ledger.models import UNANSWERED, RequestRecord


def add(requests: Sequence[RequestRecord]) -> int:
    """Write requests down that are not known yet; returns how many these are."""
    with session() as ledger:
        return len(insert_missing(ledger, requests))


def open_requests() -> list[RequestRecord]:
    """Requests that still have to be started or answered, oldest first."""
    query = select(RequestRecord).where(text(UNANSWERED))
    return read_all(query.order_by(col(RequestRecord.asked_at), col(RequestRecord.id)))


def unstarted(ids: Iterable[str]) -> set[str]:
    """Those of some requests that have no run yet and no answer."""
    query = select(RequestRecord.id).where(
        col(RequestRecord.id).in_(list(ids)), text(UNANSWERED), col(RequestRecord.run_id).is_(None)
    )
    return set(read_all(query))


def find(request_id: str) -> RequestRecord | None:
    """A request that was written down."""
    return read_row(RequestRecord, request_id)


def asked_for(run_id: str) -> RequestRecord | None:
    """The request that a run was started for, answered or not."""
    return read_first(select(RequestRecord).where(RequestRecord.run_id == run_id))


def of_run(run_id: str) -> RequestRecord | None:
    """The request that a run was started for, unless it is answered."""
    query = select(RequestRecord).where(text(UNANSWERED), RequestRecord.run_id == run_id)
    return read_first(query)


def started(request_id: str, run_id: str) -> None:
    """Write down which run does what a request asks for."""
    _change(request_id, run_id=run_id)


def answered(request_id: str) -> None:
    """Write down that whoever asked was told the outcome."""
    _change(request_id, answered=True)


def _change(request_id: str, **values: object) -> None:
    execute(update(RequestRecord).where(col(RequestRecord.id) == request_id).values(**values))

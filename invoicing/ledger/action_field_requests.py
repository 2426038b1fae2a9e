"""Requests from Salesforce: each is written down, cleared on the record, and started, once.

A process may die between any two of these; the next one goes on from what is written here.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import col, or_, select

from invoicing.ledger.database import one_at_a_time, read_all, session
from invoicing.ledger.models import Request


def add(asked: Mapping[str, str], asked_at: Mapping[str, datetime]) -> None:
    """Write requests down; one that is known and not yet cleared is the same request.

    Args:
        asked: The action that each record asks for, by record id.
        asked_at: When Salesforce says that each record changed last, as UTC instants.
    """
    with session() as ledger:
        one_at_a_time(ledger, "note requests")
        open_ones = select(Request).where(
            col(Request.record_id).in_(list(asked)),
            col(Request.cleared).is_(False),
            col(Request.ended).is_(None),
        )
        known = {request.record_id: request for request in ledger.exec(open_ones)}
        for record_id, action in asked.items():
            if record_id in known:
                known[record_id].action = action
            else:
                new = Request(record_id=record_id, action=action, asked_at=asked_at[record_id])
                ledger.add(new)


def unfinished() -> list[Request]:
    """Requests that still have to be cleared or started, oldest first."""
    waiting = or_(col(Request.cleared).is_(False), col(Request.run_id).is_(None))
    query = select(Request).where(waiting, col(Request.ended).is_(None))
    return read_all(query.order_by(col(Request.id)))


def mark(
    request_id: int,
    *,
    cleared: bool | None = None,
    run_id: str | None = None,
    ended: str | None = None,
) -> None:
    """Write down how far a request has come, or why it comes to nothing."""
    with session() as ledger:
        request = ledger.get_one(Request, request_id, with_for_update=True)
        request.cleared = request.cleared if cleared is None else cleared
        request.run_id = run_id or request.run_id
        request.ended = ended or request.ended

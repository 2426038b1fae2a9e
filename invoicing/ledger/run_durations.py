"""How runs ended and how long they took, counted once each, for whoever draws curves of it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import update
from sqlmodel import col, select

from invoicing.ledger.database import insert_missing, one_at_a_time, read_all, session
from invoicing.ledger.models import Cursor, RunTime

CURSOR = "runs-counted"
"""Runs that ended before its position are counted."""

CRASHED = "crashed"
"""State of a run that died and was not begun again."""

BUCKETS = ("1", "2", "5", "10", "30", "60", "300", "1800", "7200", "+Inf")
"""Upper bounds in seconds, as Prometheus spells them."""


class EndedRun(NamedTuple):
    """A run that is over: its flow, the type of its last state, and how long it ran."""

    flow: str
    state: str
    seconds: float


def count(runs: Iterable[EndedRun], since: datetime | None, until: datetime) -> None:
    """Count the runs that ended between two instants, unless somebody else has counted them."""
    counts: dict[tuple[str, str, str], list[float]] = {}
    for run in sorted(runs):
        within = next(bound for bound in BUCKETS if run.seconds <= float(bound))
        counts.setdefault((run.flow, run.state, within), []).append(run.seconds)
    with session() as ledger:
        one_at_a_time(ledger, CURSOR)
        known = ledger.get(Cursor, CURSOR)
        if (known.position if known else None) != since:
            return
        ledger.merge(Cursor(name=CURSOR, position=until, moved_at=datetime.now(UTC)))
        if counts:
            rows = [RunTime(flow=flow, state=state, within=w) for flow, state, w in counts]
            insert_missing(ledger, rows)
        for (flow, state, within), took in counts.items():
            same = (
                col(RunTime.flow) == flow,
                col(RunTime.state) == state,
                col(RunTime.within) == within,
            )
            more = {
                "runs": col(RunTime.runs) + len(took),
                "seconds": col(RunTime.seconds) + sum(took),
            }
            ledger.execute(update(RunTime).where(*same).values(more))


def run_times() -> dict[tuple[str, str], list[RunTime]]:
    """Histograms by flow and state: a row for every bucket, in their order.

    What is zero is there where an alarm waits for its growth: Prometheus sees none of a series
    that begins with one.
    """
    known = {(row.flow, row.state, row.within): row for row in read_all(select(RunTime))}
    kinds = sorted({(flow, one) for flow, state, _ in known for one in (state, CRASHED)})
    return {
        (flow, state): [
            known.get((flow, state, within)) or RunTime(flow=flow, state=state, within=within)
            for within in BUCKETS
        ]
        for flow, state in kinds
    }

"""How runs ended and how long they took, counted once each, for whoever draws curves of it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from more_itertools import map_reduce
from sqlmodel import select

from invoicing.ledger.database import add_up, one_at_a_time, read_all, session
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


def count(
    runs: Iterable[EndedRun], flows: Iterable[str], since: datetime | None, until: datetime
) -> None:
    """Count the runs that ended between two instants, unless somebody else has counted them.

    Args:
        runs: Those runs.
        flows: Whose crashes are counted from zero on. An alarm waits for their growth, and
            Prometheus sees none of a series that begins with one.
        since: The first instant; None the first time.
        until: The instant from which on the next are counted.
    """
    none = {(flow, CRASHED, BUCKETS[-1]): list[float]() for flow in flows}
    buckets = none | map_reduce(sorted(runs), _bucket, lambda run: run.seconds)
    rows = [
        RunTime(flow=flow, state=state, within=within, runs=len(took), seconds=sum(took))
        for (flow, state, within), took in sorted(buckets.items())
    ]
    with session() as ledger:
        one_at_a_time(ledger, CURSOR)
        known = ledger.get(Cursor, CURSOR)
        if (known.position if known else None) != since:
            return
        ledger.merge(Cursor(name=CURSOR, position=until, moved_at=datetime.now(UTC)))
        add_up(ledger, rows, ["runs", "seconds"])


def _bucket(run: EndedRun) -> tuple[str, str, str]:
    within = next(bound for bound in BUCKETS if run.seconds <= float(bound))
    return run.flow, run.state, within


def run_times() -> dict[tuple[str, str], list[RunTime]]:
    """Histograms by flow and state: a row for every bucket, in their order."""
    known = {(row.flow, row.state, row.within): row for row in read_all(select(RunTime))}
    kinds = sorted({(flow, state) for flow, state, _ in known})
    return {
        (flow, state): [
            known.get((flow, state, within)) or RunTime(flow=flow, state=state, within=within)
            for within in BUCKETS
        ]
        for flow, state in kinds
    }

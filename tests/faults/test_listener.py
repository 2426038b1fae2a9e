"""People click in Salesforce, and the listener dies: each click is carried out once, even so."""

import pytest

from tests.faults.listening import LISTENER
from tests.faults.process_patches import Away
from tests.faults.schedules import LEASES_OVER, Schedule, Sites, perform
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import DAY

POINTS = {
    "as it hears": "heard of changes",
    "before it starts a run": "before POST api/deployments",
    "before it knows that a run was started": "after POST api/deployments",
    "before it keeps how far it has heard": "before commit of INSERT INTO subscription",
    "after it has kept that": "after commit of INSERT INTO subscription",
}
"""The points at which it dies, by how their labels begin."""

BREAKS = 7
"""A seed by which the stream breaks as people click."""

NO_MORE = 4 * DAY
"""Salesforce keeps events for three days."""


def at(sites: dict[str, Sites], point: str) -> str:
    """The first such point."""
    labels = sites[LISTENER].points
    return next(label for label in labels if label.startswith(POINTS[point]))


def played(worlds: WorldPool, schedule: Schedule) -> list[str]:
    """What is wrong after a schedule that was played."""
    return worlds.do(perform, schedule).violations


@pytest.mark.long
@pytest.mark.parametrize("started", [True, False], ids=["started again", "left to the schedule"])
@pytest.mark.parametrize("point", POINTS)
def test_it_dies(worlds: WorldPool, sites: dict[str, Sites], point: str, started: bool) -> None:
    """And is started again, or nobody does that and the schedule's run sees what was asked for."""
    dies = Schedule(f"dies {point}", LISTENER, kills=(at(sites, point),), again=started)
    assert played(worlds, dies) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule("the stream breaks", LISTENER, seed=BREAKS),
        Schedule("two listen", LISTENER, seed=BREAKS, rivals=1, rival_kills=(9,), again=True),
        Schedule("frozen", LISTENER, seed=BREAKS, stall=9, pause=LEASES_OVER, again=True),
        Schedule("Prefect is away", LISTENER, prefect_away=Away(0, 3)),
        Schedule("the ledger is away", LISTENER, ledger_away=Away(1, 3)),
        Schedule("too late", LISTENER, kills=(12,), pause=NO_MORE, again=True),
        Schedule("twice too late", LISTENER, seed=BREAKS, kills=(9, 12), pause=NO_MORE, again=True),
    ],
    ids=lambda schedule: schedule.name,
)
def test_what_breaks(worlds: WorldPool, schedule: Schedule) -> None:
    """All of it is heard in the end, or read where Salesforce tells of it no longer."""
    assert played(worlds, schedule) == []

"""A sending that was approved dies anywhere; approve and reject come at once."""

from functools import partial

import pytest

from tests.faults import assertions
from tests.faults.runner import Attempt, by_hand
from tests.faults.schedules import LEASES_OVER, Sites, come_to_rest
from tests.faults.stories import approved, approved_and_rejected
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import World

pytestmark = pytest.mark.long


def dies_after_the_yes(world: World, point: int) -> list[str]:
    """Play it with a death at one point; what is wrong in the end."""
    world.renew()
    asked = by_hand(world, approved)
    attempt = partial(Attempt, world, "send-invoice", asked)
    ending = attempt(kill_at=point).join()
    for _ in range(3):
        if ending.settled:
            break
        world.pass_time(LEASES_OVER)
        ending = attempt(run=ending.run).join()
    found = come_to_rest(world)
    wrong = assertions.violations(found, {})
    if (ending.how, len(found.mails)) != ("completed", 1):
        wrong.append(f"{ending.how}, {ending.message}: {len(found.mails)} mails")
    return wrong


def test_killed_between_the_yes_and_the_mail(worlds: WorldPool, sites: dict[str, Sites]) -> None:
    """Wherever it died, the same run goes on: one mail, and nobody is asked again."""
    last = len(sites["send-invoice"].points)
    for point in range(0, last, 4):
        assert worlds.do(dies_after_the_yes, point) == [], sites["send-invoice"].points[point]


def at_once(world: World, first: str) -> list[str]:
    """Play both decisions beside each other; what is wrong in the end."""
    world.renew()
    yes, no = by_hand(world, approved_and_rejected)
    runs = {"send-invoice": yes, "reject-invoice": no}
    order = sorted(runs, key=lambda flow: flow != first)
    attempts = [Attempt(world, flow, runs[flow]) for flow in order]
    endings = {flow: one.join() for flow, one in zip(order, attempts, strict=True)}
    found = come_to_rest(world)
    [record] = found.records
    out = {("completed", "refused"): ("Open", 1), ("refused", "completed"): ("Draft", 0)}
    how = endings["send-invoice"].how, endings["reject-invoice"].how
    wrong = assertions.violations(found, {})
    if out.get(how) != (record["Status__c"], len(found.mails)):
        wrong.append(f"{how}: {record['Status__c']}, {len(found.mails)} mails")
    return wrong


@pytest.mark.parametrize("first", ["send-invoice", "reject-invoice"])
def test_approve_and_reject_at_once(worlds: WorldPool, first: str) -> None:
    """One of them has decided, the other is refused."""
    assert worlds.do(at_once, first) == []

"""A sending that was approved dies anywhere; approve and reject come at once, or nearly."""

from functools import partial

import pytest

from tests.faults import assertions
from tests.faults.runner import Attempt, Ending, by_hand
from tests.faults.schedules import LEASES_OVER, come_to_rest
from tests.faults.stories import approved, approved_and_rejected
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import World

pytestmark = pytest.mark.long


def points_of(world: World) -> tuple[str, ...]:
    """Where a sending that somebody has approved can die."""
    world.renew()
    return Attempt(world, "send-invoice", by_hand(world, approved), watched=True).join().points


def dies_after_the_yes(world: World, point: str) -> list[str]:
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


@pytest.mark.timeout(1800)  # one after the other; each has the limit of its world
def test_killed_between_the_yes_and_the_mail(worlds: WorldPool) -> None:
    """Wherever it died, the same run goes on: one mail, and nobody is asked again."""
    points = worlds.do(points_of)
    for point in points[::4]:
        assert worlds.do(dies_after_the_yes, point) == [], point


def at_once(world: World, first: str) -> list[str]:
    """Play both decisions beside each other; what is wrong in the end."""
    world.renew()
    yes, no = by_hand(world, approved_and_rejected)
    runs = {"send-invoice": yes, "reject-invoice": no}
    order = sorted(runs, key=lambda flow: flow != first)
    attempts = [Attempt(world, flow, runs[flow]) for flow in order]
    endings = {flow: one.join() for flow, one in zip(order, attempts, strict=True)}
    return not_exactly_one(world, endings["send-invoice"], endings["reject-invoice"])


def not_exactly_one(world: World, yes: Ending, no: Ending) -> list[str]:
    """What is wrong, unless one of two decisions counts, and what it says was done."""
    found = come_to_rest(world)
    [record] = found.records
    out = {("completed", "refused"): ("Open", 1), ("refused", "completed"): ("Draft", 0)}
    wrong = assertions.violations(found, {})
    if out.get((yes.how, no.how)) != (record["Status__c"], len(found.mails)):
        wrong.append(f"{yes}, {no}: {record['Status__c']}, {len(found.mails)} mails")
    return wrong


@pytest.mark.parametrize("first", ["send-invoice", "reject-invoice"])
def test_approve_and_reject_at_once(worlds: WorldPool, first: str) -> None:
    """One of them has decided, the other is refused."""
    assert worlds.do(at_once, first) == []


def rejected_meanwhile(world: World, point: int) -> list[str]:
    """Play a yes whose process stops for longer than its lease, and a no meanwhile."""
    world.renew()
    asked, no = by_hand(world, approved_and_rejected)
    yes = Attempt(world, "send-invoice", asked, stall_at=point)
    if yes.stalls() is None:
        return ["it never stopped"]
    world.pass_time(LEASES_OVER)
    rejected = Attempt(world, "reject-invoice", no).join()
    yes.go_on()
    return not_exactly_one(world, yes.join(), rejected)


def test_rejected_while_the_yes_was_asleep(worlds: WorldPool) -> None:
    """Neither knows of the other, and no lease holds: still only one of them has decided."""
    points = worlds.do(points_of)
    shown = next(n for n, label in enumerate(points) if label.startswith("after PATCH"))
    for point in range(7, shown, 2):
        assert worlds.do(rejected_meanwhile, point) == [], points[point]

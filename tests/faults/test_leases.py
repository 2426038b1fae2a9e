"""Nobody has an effect on an invoice on which another run works.

What a run does twice is one effect by its idempotency key, so that no end tells of a lease that was
not taken, or was lost unnoticed: what is asked of Stripe does.
"""

import pytest

from tests.faults.runner import Attempt, by_hand
from tests.faults.schedules import LEASES_OVER
from tests.faults.stories import STORIES
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import STRIPE, World

ON_AN_INVOICE = (
    "send-invoice",
    "resend-invoice",
    "void-invoice",
    "write-off-invoice",
    "record-payment",
    "credit-invoice",
)


def take_lease(name: str) -> None:
    """Work on an invoice, as another run, for longer than anybody waits."""
    from tasks.records.invoices import find_record
    from tests.leases import acquire

    acquire(find_record(name), "another run", seconds=10**6)


def what_is_done(world: World) -> list[str]:
    """What Stripe was asked to do since that was last forgotten."""
    asked = world.sandboxes[STRIPE].admin("GET", "requests")["requests"]
    return [f"{one['method']} {one['path']}" for one in asked if one["method"] != "GET"]


def begin_while_it_is_taken(world: World, flow: str) -> tuple[str, list[str]]:
    """Ask for something while another run has the lease; how it ended, and what was done."""
    world.renew()
    asked = by_hand(world, STORIES[flow].prepare)
    by_hand(world, lambda: take_lease(asked["invoice"]))
    world.sandboxes[STRIPE].admin("DELETE", "requests")
    ending = Attempt(world, flow, asked).join()
    return ending.how, what_is_done(world)


@pytest.mark.parametrize(
    "flow",
    [f if f == "send-invoice" else pytest.param(f, marks=pytest.mark.long) for f in ON_AN_INVOICE],
)
def test_another_run_works_on_it(worlds: WorldPool, flow: str) -> None:
    """It waits, gives up, and has done nothing."""
    assert worlds.do(begin_while_it_is_taken, flow) == ("passing", [])


def go_on_when_it_is_taken(world: World, point: str) -> tuple[str, list[str]]:
    """A sending that froze at a point goes on when another run has the lease."""
    world.renew()
    asked = by_hand(world, STORIES["send-invoice"].prepare)
    attempt = Attempt(world, "send-invoice", asked, stall_at=point)
    if attempt.stalls() is None:
        return "it never stopped", []
    world.pass_time(LEASES_OVER)
    by_hand(world, lambda: take_lease(asked["invoice"]))
    world.sandboxes[STRIPE].admin("DELETE", "requests")
    attempt.go_on()
    return attempt.join().how, what_is_done(world)


@pytest.mark.parametrize(
    "point",
    [
        "after POST v1/invoices",
        pytest.param("after POST v1/invoices/*/add_lines", marks=pytest.mark.long),
    ],
)
def test_another_run_has_begun_to_work_on_it(worlds: WorldPool, point: str) -> None:
    """It was frozen for longer than its lease, notices, and does nothing any more."""
    assert worlds.do(go_on_when_it_is_taken, point) == ("passing", [])

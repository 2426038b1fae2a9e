"""A sending dies, the customer's balance grows, and whoever takes it up mails what was agreed."""

from collections.abc import Sequence
from functools import partial

import pytest

from invoicing.ledger.intents import AGREE
from tests.faults import assertions
from tests.faults.runner import Attempt, by_hand
from tests.faults.schedules import LEASES_OVER, Sites, come_to_rest
from tests.faults.stories import draft, stripe_post
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import World

pytestmark = pytest.mark.long

AGREED, DEBT = 245_000, 50_000


def dies_and_owes(world: World, point: str) -> Sequence[str]:
    """Play it with a death at one point; what is wrong in the end."""
    world.renew()
    names: list[str] = []
    by_hand(world, lambda: names.append(draft()))
    send = partial(Attempt, world, "send-invoice", {"invoice": names[0]})
    send(kill_at=point).join()
    by_hand(world, owe)
    for _ in range(3):
        world.pass_time(LEASES_OVER)
        if send().join().settled:
            break
    found = come_to_rest(world)
    [record], mails = found.records, len(found.mails)
    noted = [i for i in found.intents if i.operation == AGREE and i.outcome == str(AGREED)]
    dues = [i["amount_due"] for i in found.invoices]
    wrong = assertions.violations(found, {})
    if noted and mails and dues != [AGREED]:
        wrong.append(f"{dues} were mailed, and {AGREED} was agreed")
    if not mails and not (dues == [AGREED + DEBT] and record["Sync_Message__c"]):
        wrong.append(f"it is not out, and the record says {record['Sync_Message__c']}")
    return wrong


def owe() -> None:
    """Acme owes 500.00 from before, if Stripe knows it by now."""
    from invoicing.connectors import stripe

    for customer in stripe.client().customers_by_email("billing@acme.example.com"):
        path = f"/v1/customers/{customer['id']}/balance_transactions"
        stripe_post(path, amount=str(DEBT), currency="usd")


def test_nothing_goes_out_over_more_than_was_agreed(
    worlds: WorldPool, sites: dict[str, Sites]
) -> None:
    """Wherever it died: from the draft in Stripe until after the mail."""
    points = sites["send-invoice"].points
    around = [n for n, label in enumerate(points) if "/finalize" in label or "/send" in label]
    for point in points[around[0] - 4 : around[-1] + 1]:
        assert worlds.do(dies_and_owes, point) == [], point

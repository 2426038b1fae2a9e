"""The machine itself: it sees what is wrong when something is."""

import os
import signal

import pytest

from invoicing.domain.salesforce.queries import Comparison, Query
from tests.faults import assertions
from tests.faults.runner import by_hand, outcome_of
from tests.faults.schedules import come_to_rest
from tests.faults.stories import draft, paid, sent, stripe_post, write
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import World


def a_second_mail(world: World) -> list[str]:
    """Somebody forgot that a mail was sent."""
    world.renew()

    def twice() -> None:
        name = sent()
        stripe_post(f"/v1/invoices/{stripe_id(name)}/send")

    by_hand(world, twice)
    return assertions.violations(come_to_rest(world), {})


def a_second_customer(world: World) -> list[str]:
    """Somebody made the customer again, with our Account's id on it."""
    world.renew()

    def twice() -> None:
        from invoicing.connectors import salesforce

        sent()
        acme = Query("Account", ["Id"], where=Comparison("Name", "LIKE", "Acme%"))
        [account] = salesforce.client().query(acme)
        stripe_post("/v1/customers", **{"metadata[salesforce_account_id]": account["Id"]})

    by_hand(world, twice)
    return assertions.violations(come_to_rest(world), {})


def more_than_was_agreed(world: World) -> list[str]:
    """Somebody forgot to compare what is due with what was said."""
    world.renew()

    def forget() -> None:
        from invoicing.connectors import salesforce
        from invoicing.ledger import intents

        named = Comparison("Name", "=", sent())
        [record] = salesforce.client().query(Query("Stripe_Invoice__c", ["Id"], where=named))
        intents.set_decision(intents.AGREE, record["Id"], digest="", actor="nobody", outcome="100")

    by_hand(world, forget)
    return assertions.violations(come_to_rest(world), {})


def a_refund_beside(world: World) -> list[str]:
    """Somebody was credited and refunded by one act, and refunded by another."""
    world.renew()

    def twice() -> None:
        from invoicing.connectors import stripe

        name = paid()
        outcome_of("credit-invoice", invoice=name, amount="450", give_back="refund")
        [payment] = stripe.client().paid_payments(stripe_id(name))
        stripe_post("/v1/refunds", payment_intent=payment["payment"]["payment_intent"], amount=100)

    by_hand(world, twice)
    return assertions.violations(come_to_rest(world), {"credit_notes": 1, "refunds": 2})


def a_lease_left(world: World) -> list[str]:
    """Somebody forgot to give a lease back."""
    world.renew()

    def forget() -> None:
        from tests.leases import acquire

        acquire(draft(), "nobody", seconds=10**9)

    by_hand(world, forget)
    return assertions.violations(come_to_rest(world), {})


def stuck_without_a_reason(world: World) -> list[str]:
    """A sending failed, and the record does not say why."""
    world.renew()
    by_hand(world, lambda: write(draft(), Sync_State__c="Failed"))
    return assertions.violations(come_to_rest(world), {})


def stripe_id(name: str) -> str:
    """The Stripe invoice of a record."""
    return str(outcome_of("sync-invoice", invoice=name).stripe_id)


@pytest.mark.long
def test_what_is_wrong_is_seen(worlds: WorldPool) -> None:
    """A mail, customer or refund too many, an amount too high, a lease kept, a stuck record."""
    assert any("2 e-mails" in said for said in worlds.do(a_second_mail))
    assert any("2 Stripe customers" in said for said in worlds.do(a_second_customer))
    assert worlds.do(more_than_was_agreed) == ["INV-0001 asks for 245000, 100 was agreed"]
    assert any("credit notes name 45000" in said for said in worlds.do(a_refund_beside))
    assert any("a lease on INV-0001" in said for said in worlds.do(a_lease_left))
    assert worlds.do(stuck_without_a_reason) == ["INV-0001 is stuck without a reason"]


def die_if_told(_: World, told: bool) -> str:
    """Something kills the process that has the world."""
    if told:
        os.kill(os.getpid(), signal.SIGKILL)
    return "lives"


@pytest.mark.long
def test_a_world_that_dies_costs_what_it_played_and_nothing_else(worlds: WorldPool) -> None:
    """Another takes its place."""
    said = list(worlds.do_all(die_if_told, [True, False], lambda *_: "lost"))
    assert sorted(said) == ["lives", "lost"]
    assert [worlds.do(die_if_told, False) for _ in range(2)] == ["lives", "lives"]


class TooLong(BaseException):
    """What pytest raises at its limit of time is no Exception either."""


def speak(_: World, word: str) -> str:
    """The process that has the world interrupts whoever asked, and then answers."""
    if word == "too late":
        os.kill(os.getppid(), signal.SIGUSR1)
    return word


@pytest.mark.long
def test_an_interrupted_question_leaves_no_answer_to_the_next(worlds: WorldPool) -> None:
    """As at pytest's limit of time: every world answers what it is asked after that."""

    def interrupt(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(TooLong):
            worlds.do(speak, "too late")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [worlds.do(speak, word) for word in ("a", "b", "c")] == ["a", "b", "c"]

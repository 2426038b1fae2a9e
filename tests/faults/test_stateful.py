"""Anything that people and the network can do, in any order, against a model of the end.

Hypothesis writes a script, the model says what both systems must say when it has been played;
the script is played in one go, so that it can be played again.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from invoicing.domain.salesforce.queries import Query, equals
from tests.faults import assertions
from tests.faults.assertions import Facts
from tests.faults.faults import at_call, kinds_of
from tests.faults.runner import Attempt, by_hand, outcome_of
from tests.faults.schedules import LEASES_OVER, Sites, come_to_rest
from tests.faults.stories import (
    draft,
    into_the_inbox,
    pay_part,
    stripe_post,
    write,
)
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import World

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("PROVING_EXAMPLES", "5"))


@dataclass
class Model:
    """What both systems must say of one invoice in the end. Amounts are dollars."""

    name: str
    status: str = "Draft"
    total: int = 2450
    paid: int = 0
    mails: int = 0


@dataclass(frozen=True)
class Step:
    """One thing that somebody does."""

    act: Callable[..., None]
    arguments: tuple[Any, ...] = ()


@dataclass
class Script:
    """What is done, and what must come of it."""

    steps: list[Step] = field(default_factory=list)
    invoices: list[Model] = field(default_factory=list)
    out_of_band: int = 0


def play(world: World, script: Script) -> list[str]:
    """Play a script in a new world, and say what is not as its model says."""
    world.renew()
    for step in script.steps:
        step.act(world, *step.arguments)
    world.clear_faults()
    found = come_to_rest(world)
    wrong = assertions.violations(found, {"out_of_band": script.out_of_band})
    return wrong + [w for model in script.invoices for w in differing(found, model)]


def differing(found: Facts, model: Model) -> Iterator[str]:
    """Where the record is not as the model says."""
    record = found.record(model.name)
    there = Model(
        model.name,
        record["Status__c"],
        round(float(record["Total__c"])),
        round(float(record["Amount_Paid__c"] or 0)),
        len(found.mails_of(record)),
    )
    if there != model:
        yield f"{there} instead of {model}"


# What is done; by a user, the customer, somebody at Stripe's dashboard, the schedules, time


def raise_one(world: World) -> None:
    """A user raises a draft."""
    by_hand(world, draft)


def revise(world: World, name: str, quantity: int) -> None:
    """A user changes a quantity."""
    change = [{"line": 1, "quantity": str(quantity)}]
    by_hand(world, lambda: outcome_of("revise-invoice", invoice=name, change=change))


def send(world: World, name: str, service: str, call: int, kind: str, kill_at: int | None) -> None:
    """A user sends it; the network does something; he sends again until it is done."""
    world.order_faults({service: [at_call(kind, call)]} if kind else {}, 0)
    for _ in range(8):
        ending = Attempt(world, "send-invoice", {"invoice": name}, kill_at=kill_at).join()
        world.clear_faults()
        if ending.settled:
            return
        kill_at = None
        world.pass_time(LEASES_OVER)


def at_stripe(world: World, name: str, act: str, **params: str) -> None:
    """Somebody changes it in Stripe's dashboard."""

    def do() -> None:
        stripe_post(f"/v1/invoices/{id_of(name)}/{act}", **params)

    by_hand(world, do)


def out_of_band(world: World, name: str) -> None:
    """Somebody notes a bank transfer in the dashboard."""
    at_stripe(world, name, "pay", paid_out_of_band="true")


def customer_pays(world: World, name: str, amount: int) -> None:
    """The customer pays, or a part."""
    by_hand(world, lambda: pay_part(id_of(name), amount))


def overwrite(world: World, name: str) -> None:
    """A user overwrites what Stripe decides."""
    by_hand(world, lambda: write(name, Status__c="Draft", Total__c=1))


def run(world: World, flow: str, name: str = "") -> None:
    """A schedule or a user starts a flow."""
    by_hand(world, lambda: outcome_of(flow, **({"invoice": name} if name else {})) and None)


def events_arrive(world: World, seed: int) -> None:
    """The receiver gets all events so far, shuffled, and they are handled."""
    import random

    def arrive() -> None:
        into_the_inbox(random.Random(seed))  # noqa: S311 - repeatable on purpose
        outcome_of("handle-events")

    by_hand(world, arrive)


def time_passes(world: World, hours: int) -> None:
    """Hours pass."""
    world.pass_time(hours * 3600)


def id_of(name: str) -> str:
    """The Stripe invoice of a record, as the ledger knows it."""
    from invoicing.connectors import salesforce
    from invoicing.ledger import links

    query = Query("Stripe_Invoice__c", ["Id"], where=equals("Name", name))
    [record] = salesforce.client().query(query)
    return str(links.stripe_id(record["Id"]))


which = st.integers(0, 2)


class EverybodyAtOnce(RuleBasedStateMachine):
    """Everybody at once, up to three invoices."""

    def __init__(self, worlds: WorldPool, sites: Sites) -> None:
        """An empty script."""
        super().__init__()
        self._worlds = worlds
        self._sites = sites
        self._script = Script()

    def _do(self, act: Callable[..., None], *arguments: Any) -> None:
        self._script.steps.append(Step(act, arguments))

    def _some(self, number: int, *states: str) -> Model | None:
        fitting = [model for model in self._script.invoices if model.status in states]
        return fitting[number % len(fitting)] if fitting else None

    @precondition(lambda self: len(self._script.invoices) < 3)
    @rule()
    def somebody_raises(self) -> None:
        """A draft."""
        self._do(raise_one)
        self._script.invoices.append(Model(f"INV-{len(self._script.invoices) + 1:04}"))

    @rule(number=which, quantity=st.integers(1, 9))
    def somebody_revises(self, number: int, quantity: int) -> None:
        """While it is a draft."""
        if model := self._some(number, "Draft"):
            self._do(revise, model.name, quantity)
            model.total = 150 * quantity + 2000

    @rule(number=which, data=st.data())
    def somebody_sends(self, number: int, data: st.DataObject) -> None:
        """With one trouble, and perhaps a death."""
        model = self._some(number, "Draft")
        if model is None:
            return
        service = data.draw(st.sampled_from(sorted(self._sites.calls)))
        call = data.draw(st.integers(0, len(self._sites.calls[service]) - 1))
        method, path = self._sites.calls[service][call]
        kind = data.draw(st.sampled_from(["", *kinds_of(service, method, path)]))
        points = st.integers(0, len(self._sites.points) - 1)
        kill_at = data.draw(st.none() | points)
        self._do(send, model.name, service, call, kind, kill_at)
        model.status, model.mails = "Open", 1

    @rule(number=which)
    def somebody_presses_send_again(self, number: int) -> None:
        """In vain."""
        if model := self._some(number, "Open", "Paid", "Void", "Uncollectible"):
            self._do(run, "send-invoice", model.name)

    @rule(number=which, part=st.booleans())
    def the_customer_pays(self, number: int, part: bool) -> None:
        """All of it, or a part."""
        if model := self._some(number, "Open"):
            left = model.total - model.paid
            amount = min(100, left) if part else left
            self._do(customer_pays, model.name, amount)
            model.paid += amount
            model.status = "Paid" if model.paid == model.total else "Open"

    @rule(number=which)
    def a_bank_transfer_is_noted(self, number: int) -> None:
        """Nothing more is due."""
        if (model := self._some(number, "Open")) and not model.paid:
            self._do(out_of_band, model.name)
            model.status, model.paid = "Paid", model.total
            self._script.out_of_band += 1

    @rule(number=which, act=st.sampled_from(["void", "mark_uncollectible"]))
    def somebody_gives_it_up(self, number: int, act: str) -> None:
        """Void, or uncollectible."""
        if (model := self._some(number, "Open")) and not model.paid:
            self._do(at_stripe, model.name, act)
            model.status = "Void" if act == "void" else "Uncollectible"

    @rule(number=which)
    def somebody_overwrites_the_record(self, number: int) -> None:
        """It is put right in the end."""
        if model := self._some(number, "Open", "Paid", "Void", "Uncollectible"):
            self._do(overwrite, model.name)

    @rule(flow=st.sampled_from(["poll-events", "handle-events", "full-sync", "watch-salesforce"]))
    def a_schedule_fires(self, flow: str) -> None:
        """At any time."""
        self._do(run, flow)

    @rule(number=which)
    def somebody_syncs(self, number: int) -> None:
        """At any time."""
        if model := self._some(number, "Draft", "Open", "Paid", "Void", "Uncollectible"):
            self._do(run, "sync-invoice", model.name)

    @rule(seed=st.integers(0, 99))
    def events_come_in(self, seed: int) -> None:
        """Late, doubled, out of order."""
        self._do(events_arrive, seed)

    @rule(hours=st.sampled_from([1, 25, 24 * 6]))
    def time_goes_by(self, hours: int) -> None:
        """Hours, or days."""
        self._do(time_passes, hours)

    def teardown(self) -> None:
        """Play it."""
        if self._script.steps:
            assert self._worlds.do(play, self._script) == [], self._script


@pytest.mark.timeout(0)
def test_whatever_people_do_both_systems_agree(worlds: WorldPool, sites: dict[str, Sites]) -> None:
    """And say what the model says."""
    run_state_machine_as_test(
        cast(type[EverybodyAtOnce], partial(EverybodyAtOnce, worlds, sites["send-invoice"])),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=10,
            deadline=None,
            derandomize=EXAMPLES < 10,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )

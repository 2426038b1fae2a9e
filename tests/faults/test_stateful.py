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
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from invoicing.domain.salesforce.queries import Query, equals
from tasks.corrections.duplicate_requests import DUPLICATE_WINDOW
from tests.faults import assertions
from tests.faults.assertions import Facts
from tests.faults.faults import at_call, kinds_of
from tests.faults.runner import Attempt, by_hand, outcome_of
from tests.faults.schedules import LEASES_OVER, Sites, carry_out, come_to_rest
from tests.faults.stories import (
    ACME,
    BY_SOMEBODY,
    creating,
    draft,
    into_the_inbox,
    pay_part,
    press,
    stripe_get,
    stripe_post,
    write,
)
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import SALESFORCE, STRIPE, World

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("PROVING_EXAMPLES", "5"))
STEPS = 16


PART = 50
"""What is credited or refunded at once, in dollars; what people pay in parts is a multiple."""

GIVE_BACK = {"refund": "refund", "credit": "customer balance", "out_of_band": "out of band"}
"""Ways in which a paid invoice is credited: the dashboard's, and the form's words for them."""


@dataclass
class Model:
    """What both systems must say of one invoice in the end. Amounts are dollars.

    Attributes:
        by_card: What is left of each payment by card.
        deducted: What a credit note took off before payment, and what the balance paid.
    """

    name: str
    status: str = "Draft"
    total: int = 2450
    paid: int = 0
    mails: int = 0
    credited: int = 0
    refunded: int = 0
    disputed: int = 0
    paid_back: int = 0
    deducted: int = 0
    from_balance: int = 0
    refunded_beside: bool = False
    is_disputed: bool = False
    decided: bool = False
    by_card: list[int] = field(default_factory=list)

    @property
    def left(self) -> int:
        """What is still to be paid."""
        return self.total - self.paid - self.deducted

    @property
    def payment_state(self) -> str:
        """Where the money stands, worked out from what was done."""
        if self.disputed:
            return "Disputed"
        if back := self.refunded + self.paid_back:
            return "Refunded" if back >= self.paid else "Partly Refunded"
        if self.status == "Paid":
            return "Paid"
        return "Partly Paid" if self.paid else "Unpaid"

    @property
    def said(self) -> tuple[Any, ...]:
        """What can be read of it on the record and in the mailbox."""
        money = (self.total, self.paid, self.credited, self.refunded, self.disputed)
        return (self.status, *money, self.payment_state, self.mails)


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
    merged: bool = False
    out_of_band: int = 0
    credit_notes: int = 0
    refunds: int = 0
    mails: int = 0
    requests: int = 0
    balance: int = 0


def play(world: World, script: Script) -> list[str]:
    """Play a script in a new world, and say what is not as its model says."""
    world.renew()
    for step in script.steps:
        step.act(world, *step.arguments)
    world.clear_faults()
    found = come_to_rest(world)
    wanted = ("out_of_band", "credit_notes", "refunds", "mails")
    wrong = assertions.violations(found, {what: getattr(script, what) for what in wanted})
    wrong += [w for model in script.invoices for w in differing(found, model)]
    answers = [f"{asked['State__c']}: {asked['Outcome__c']}" for asked in found.asked]
    if len(answers) != script.requests or not all(a.startswith("Done: ") for a in answers):
        wrong.append(f"{script.requests} requests, answered {answers}")
    return wrong


def differing(found: Facts, model: Model) -> Iterator[str]:
    """Where the record is not as the model says."""
    record = found.record(model.name)
    amounts = ("Total", "Amount_Paid", "Amount_Credited", "Amount_Refunded", "Amount_Disputed")
    said = (
        record["Status__c"],
        *(round(float(record[f"{amount}__c"] or 0)) for amount in amounts),
        record["Payment_State__c"] or "Unpaid",
        sum(assertions.matter(mail) != "Credit" for mail in found.mails_of(record)),
    )
    if said != model.said:
        yield f"{said} instead of {model.said} of {model}"


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


def describe(world: World, name: str) -> None:
    """Somebody edits what is said of an invoice in the dashboard; of money it says nothing."""
    by_hand(world, lambda: stripe_post(f"/v1/invoices/{id_of(name)}", description="As discussed"))


def edit(world: World, name: str, quantity: int) -> None:
    """Somebody edits the first line of a draft on its own record in Salesforce."""
    from invoicing.connectors import salesforce

    def do() -> None:
        client, where = salesforce.client(), equals("Invoice__r.Name", name)
        lines = client.query(Query("Stripe_Invoice_Line__c", ["Id"], where, order="Position__c"))
        client.update("Stripe_Invoice_Line__c", lines[0]["Id"], {"Quantity__c": quantity})

    by_hand(world, do)


def refund(world: World, name: str, payment: int) -> None:
    """Somebody refunds a part of a payment in the dashboard."""

    def do() -> None:
        stripe_post(
            "/v1/refunds",
            payment_intent=intents_of(name)[payment],
            amount=PART * 100,
            **{f"metadata[{BY_SOMEBODY}]": "yes"},
        )

    by_hand(world, do)


def dispute(world: World, name: str) -> None:
    """The customer's bank claims the payment back."""
    stripe = world.sandboxes[STRIPE]
    by_hand(world, lambda: stripe.admin("POST", "disputes", invoice=id_of(name)))


def decide_dispute(world: World, name: str, verdict: str) -> None:
    """The bank decides."""

    def do() -> None:
        [intent] = intents_of(name)
        [found] = stripe_get("/v1/disputes", payment_intent=intent)
        order = {"dispute": found["id"], "status": verdict}
        world.sandboxes[STRIPE].admin("POST", "disputes/close", **order)

    by_hand(world, do)


def credit_there(world: World, name: str, way: str) -> None:
    """Somebody issues a credit note in the dashboard; what was paid goes back in some way."""
    back = {f"{way}_amount": PART * 100} if way else {}

    def do() -> None:
        stripe_post("/v1/credit_notes", invoice=id_of(name), amount=PART * 100, **back)

    by_hand(world, do)


def ask(world: World, name: str, action: str, given: str, seed: int) -> None:
    """A user presses a button in Salesforce; its run may die, and is begun again.

    Whoever means the same once more waits until it cannot be a button pressed twice.
    """
    world.pass_time(DUPLICATE_WINDOW.total_seconds() + 1)  # Salesforce tells whole seconds
    by_hand(world, lambda: press(name, action, given))
    outcome = by_hand(world, lambda: outcome_of("watch-salesforce").sentence)
    endings = carry_out(world, seed)
    assert endings, outcome


def merge(world: World) -> None:
    """Somebody merges the customer's Account into a new one of the same name."""
    from invoicing.connectors import salesforce

    def do() -> None:
        client = salesforce.client()
        [old] = client.query(Query("Account", ["Id"], where=ACME))
        same = {"Name": "Acme Corporation", "Invoice_Email__c": "billing@acme.example.com"}
        made = client.write_graph([creating("Account", "new", same)])
        order = {"master": made["new"]["id"], "losers": [old["Id"]]}
        world.sandboxes[SALESFORCE].admin("POST", "merge", **order)

    by_hand(world, do)


def intents_of(name: str) -> list[str]:
    """The payments of an invoice by card, oldest first."""
    paid = stripe_get("/v1/invoice_payments", invoice=id_of(name), status="paid")
    means = [payment["payment"] for payment in reversed(paid)]
    return [each["payment_intent"] for each in means if each["type"] == "payment_intent"]


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


which, seeds = st.integers(0, 2), st.sampled_from([0, 0, 1, 2, 3])


def where(*states: str) -> Callable[[Any], Any]:
    """A rule that needs an invoice in one of some states; one that finds none would do nothing."""
    return precondition(lambda self: self._some(0, *states) is not None)


class EverybodyAtOnce(RuleBasedStateMachine):
    """Everybody at once, up to three invoices, of which one was sent and perhaps paid."""

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

    def _lower(self, model: Model) -> None:
        """An open invoice is credited before it is paid."""
        model.credited += PART
        model.deducted += PART
        self._script.credit_notes += 1

    def _give_back(self, model: Model, way: str) -> None:
        """A paid invoice is credited, and a part of it goes back."""
        model.credited += PART
        self._script.credit_notes += 1
        if way == "refund":
            self._script.refunds += 1
            model.refunded += PART
            model.by_card[0] -= PART
        elif way == "credit":
            self._script.balance += PART
        else:
            model.paid_back += PART

    def _sent(self, model: Model) -> None:
        """What stands on the customer's balance pays first."""
        model.status, model.mails = "Open", 1
        model.from_balance = min(self._script.balance, model.total)
        model.deducted += model.from_balance
        self._script.balance -= model.from_balance

    def _ask(self, model: Model, action: str, given: str, seed: int) -> None:
        self._script.requests += 1
        self._do(ask, model.name, action, given, seed)

    @initialize(paid=st.booleans())
    def one_was_sent(self, paid: bool) -> None:
        """Most of what can happen happens to what was sent."""
        self.somebody_raises()
        [model] = self._script.invoices
        self._do(send, model.name, "", 0, "", None)
        self._sent(model)
        if paid:
            self.the_customer_pays(0, part=False)

    @precondition(lambda self: len(self._script.invoices) < 3)
    @rule()
    def somebody_raises(self) -> None:
        """A draft."""
        self._do(raise_one)
        self._script.invoices.append(Model(f"INV-{len(self._script.invoices) + 1:04}"))

    @where("Draft")
    @rule(number=which, quantity=st.integers(1, 9))
    def somebody_revises(self, number: int, quantity: int) -> None:
        """While it is a draft."""
        if model := self._some(number, "Draft"):
            self._do(revise, model.name, quantity)
            model.total = 150 * quantity + 2000

    @where("Draft")
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
        self._sent(model)

    @where("Open", "Paid", "Void", "Uncollectible")
    @rule(number=which)
    def somebody_presses_send_again(self, number: int) -> None:
        """In vain."""
        if model := self._some(number, "Open", "Paid", "Void", "Uncollectible"):
            self._do(run, "send-invoice", model.name)

    @where("Open")
    @rule(number=which, part=st.booleans())
    def the_customer_pays(self, number: int, part: bool) -> None:
        """All of it, or a part."""
        if model := self._some(number, "Open"):
            amount = min(2 * PART, model.left) if part else model.left
            self._do(customer_pays, model.name, amount)
            model.paid += amount
            model.by_card.append(amount)
            model.status = "Open" if model.left else "Paid"

    @where("Open")
    @rule(number=which)
    def a_bank_transfer_is_noted(self, number: int) -> None:
        """Nothing more is due."""
        if (model := self._some(number, "Open")) and not model.paid:
            self._do(out_of_band, model.name)
            model.status, model.paid = "Paid", model.left
            self._script.out_of_band += 1

    @where("Open")
    @rule(number=which, act=st.sampled_from(["void", "mark_uncollectible"]))
    def somebody_gives_it_up(self, number: int, act: str) -> None:
        """Void, or uncollectible."""
        if (model := self._some(number, "Open")) and not (model.paid or model.credited):
            self._do(at_stripe, model.name, act)
            model.status = "Void" if act == "void" else "Uncollectible"
            if act == "void":
                self._script.balance += model.from_balance

    @where("Open", "Paid")
    @rule(number=which, pick=st.integers(0, 5))
    def somebody_refunds_in_the_dashboard(self, number: int, pick: int) -> None:
        """A part of a payment by card, and nobody is told."""
        model = self._some(number, "Open", "Paid")
        payments = [n for n, rest in enumerate(model.by_card) if rest >= PART] if model else []
        if model is None or model.is_disputed or not payments:
            return
        model.refunded_beside = True
        payment = payments[pick % len(payments)]
        self._do(refund, model.name, payment)
        model.refunded += PART
        model.by_card[payment] -= PART

    @where("Open", "Paid")
    @rule(number=which)
    def the_bank_claims_a_payment_back(self, number: int) -> None:
        """The only payment of an invoice, of which nothing was given back."""
        model = self._some(number, "Open", "Paid")
        untouched = model and [model.paid] == model.by_card and not model.credited
        if model and untouched and not model.is_disputed:
            self._do(dispute, model.name)
            model.disputed, model.is_disputed = model.paid, True

    @precondition(lambda self: any(m.disputed and not m.decided for m in self._script.invoices))
    @rule(number=which, verdict=st.sampled_from(["won", "lost"]))
    def the_bank_decides(self, number: int, verdict: str) -> None:
        """What was lost stays away."""
        undecided = [m for m in self._script.invoices if m.disputed and not m.decided]
        model = undecided[number % len(undecided)]
        self._do(decide_dispute, model.name, verdict)
        model.decided = True
        model.disputed = model.disputed if verdict == "lost" else 0

    @where("Open", "Paid")
    @rule(number=which, way=st.sampled_from(["refund", "credit", "out_of_band"]))
    def somebody_credits_in_the_dashboard(self, number: int, way: str) -> None:
        """Before payment or after it, and nobody is told."""
        model = self._some(number, "Open", "Paid")
        if model is None or model.is_disputed:
            return
        if model.status == "Open" and model.left > PART:
            self._do(credit_there, model.name, "")
            self._lower(model)
        elif self._may_give_back(model, way):
            self._do(credit_there, model.name, way)
            self._give_back(model, way)

    def _may_give_back(self, model: Model, way: str) -> bool:
        enough = model.paid - model.refunded - model.paid_back - model.credited >= PART
        by_card = model.by_card == [model.paid - model.refunded]
        return model.status == "Paid" and enough and (way != "refund" or by_card)

    @where("Open", "Paid")
    @rule(number=which, way=st.sampled_from(["refund", "credit", "out_of_band"]), seed=seeds)
    def somebody_presses_credit(self, number: int, way: str, seed: int) -> None:
        """While nobody has given anything back beside us."""
        model = self._some(number, "Open", "Paid")
        if model is None or model.is_disputed:
            return
        asked = f"amount: {PART}\ngive_back: "
        if model.status == "Open" and model.left > PART:
            self._ask(model, "Credit", f"{asked}nothing", seed)
            self._lower(model)
        elif self._may_give_back(model, way) and not model.refunded_beside:
            self._ask(model, "Credit", asked + GIVE_BACK[way], seed)
            self._give_back(model, way)

    @where("Open")
    @rule(number=which, seed=seeds)
    def somebody_presses_record_payment(self, number: int, seed: int) -> None:
        """A part came in at the bank."""
        model = self._some(number, "Open")
        if model and model.left >= PART:
            self._ask(model, "Record Payment", f"amount: {PART}", seed)
            model.paid += PART
            model.status = "Open" if model.left else "Paid"
            self._script.out_of_band += 1

    @where("Draft", "Open")
    @rule(number=which, action=st.sampled_from(["Send", "Void", "Resend", "Sync"]), seed=seeds)
    def somebody_presses(self, number: int, action: str, seed: int) -> None:
        """A button on the record, where its state allows that."""
        model = self._some(number, "Draft" if action == "Send" else "Open")
        if model is None or (action == "Void" and (model.paid or model.credited)):
            return
        self._ask(model, action, "", seed)
        if action == "Send":
            self._sent(model)
        elif action == "Void":
            model.status = "Void"
            self._script.balance += model.from_balance
        elif action == "Resend":
            model.mails += 1
            self._script.mails += 1

    @where("Draft")
    @rule(number=which, quantity=st.integers(1, 9))
    def somebody_edits_a_line_in_salesforce(self, number: int, quantity: int) -> None:
        """On the record itself, while it is a draft."""
        if model := self._some(number, "Draft"):
            self._do(edit, model.name, quantity)
            model.total = 150 * quantity + 2000

    @where("Open")
    @rule(number=which)
    def somebody_describes_it_in_the_dashboard(self, number: int) -> None:
        """Nothing about money."""
        if model := self._some(number, "Open"):
            self._do(describe, model.name)

    @precondition(lambda self: not self._script.merged)
    @rule()
    def somebody_merges_the_account(self) -> None:
        """Into one that has no customer; it is billed as the old one."""
        self._script.merged = True
        self._do(merge)

    @where("Open", "Paid", "Void", "Uncollectible")
    @rule(number=which)
    def somebody_overwrites_the_record(self, number: int) -> None:
        """It is put right in the end."""
        if model := self._some(number, "Open", "Paid", "Void", "Uncollectible"):
            self._do(overwrite, model.name)

    @rule(flow=st.sampled_from(["poll-events", "handle-events", "full-sync", "watch-salesforce"]))
    def a_schedule_fires(self, flow: str) -> None:
        """At any time."""
        self._do(run, flow)

    @where("Draft", "Open", "Paid", "Void", "Uncollectible")
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
        if len(self._script.steps) > 2:
            assert self._worlds.do(play, self._script) == [], self._script


@pytest.mark.timeout(0)
def test_whatever_people_do_both_systems_agree(worlds: WorldPool, sites: dict[str, Sites]) -> None:
    """And say what the model says."""
    run_state_machine_as_test(
        cast(type[EverybodyAtOnce], partial(EverybodyAtOnce, worlds, sites["send-invoice"])),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=EXAMPLES < 10,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )

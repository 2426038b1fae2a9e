"""Parts of the proof: a sample of every story's troubles; `make prove` plays them all."""

import random

import pytest

from tests.faults.runner import deployed
from tests.faults.schedules import (
    LEASES_OVER,
    PLAYED,
    Schedule,
    Sites,
    at_random,
    expired_keys,
    perform,
    single_faults,
    single_kills,
)
from tests.faults.stories import STORIES
from tests.faults.world_pool import WorldPool

MANY = 200

GOES_OUT = frozenset(
    [
        "credit-invoice",
        "full-sync",
        "handle-events",
        "listener",
        "reject-invoice",
        "resend-invoice",
        "send-invoice",
    ]
)
"""Stories of which each change plays a sample: something mails, gives back, repairs or listens."""


def test_every_deployed_flow_is_proved() -> None:
    """A flow is in the harness by being deployed: without a story it is named here."""
    assert sorted(set(deployed()) - set(STORIES)) == []


@pytest.mark.parametrize(
    "flow",
    [flow if flow in GOES_OUT else pytest.param(flow, marks=pytest.mark.long) for flow in STORIES],
)
def test_one_fault_or_one_death_changes_nothing(
    worlds: WorldPool, sites: dict[str, Sites], flow: str
) -> None:
    """Of each story, a call that goes wrong and a point of death; the same ones each time."""
    dice = random.Random(flow)  # noqa: S311 - repeatable on purpose
    all_of_them = (single_faults(flow, sites[flow]), single_kills(flow, sites[flow]))
    chosen = [dice.choice(troubles) for troubles in all_of_them if troubles]
    for verdict in worlds.do_all(perform, chosen or [Schedule(flow, flow)]):
        assert verdict.violations == [], verdict


GOES_OUT_FOR_GOOD = (
    ("send-invoice", "after POST v1/invoices/*/send"),
    ("send-invoice", "after POST v1/invoices"),
    ("send-invoice, charged", "after POST v1/invoices/*/pay"),
    ("credit-invoice", "after POST v1/credit_notes"),
    ("resend-invoice", "after POST v1/invoices/*/send"),
)
"""Effects of which each change plays the death that nobody hears of for a day."""


@pytest.mark.parametrize(("flow", "effect"), GOES_OUT_FOR_GOOD)
def test_no_key_protects_what_was_done(
    worlds: WorldPool, sites: dict[str, Sites], flow: str, effect: str
) -> None:
    """Killed after its effect, and run again when Stripe has forgotten the key: evidence counts."""
    [schedule] = [one for one in expired_keys(flow, sites[flow]) if one.kills == (effect,)]
    verdict = worlds.do(perform, schedule)
    assert (verdict.kills, verdict.violations) == (1, []), verdict


@pytest.mark.long
@pytest.mark.parametrize("flow", PLAYED)
def test_no_key_protects_anything(worlds: WorldPool, sites: dict[str, Sites], flow: str) -> None:
    """The same of every effect that a story has in Stripe."""
    for verdict in worlds.do_all(perform, expired_keys(flow, sites[flow])):
        assert (verdict.kills, verdict.violations) == (1, []), verdict


@pytest.mark.parametrize("again", [False, True], ids=["the same run", "the next one"])
def test_who_has_started_a_run_dies(
    worlds: WorldPool, sites: dict[str, Sites], again: bool
) -> None:
    """Nobody has written down that it was started: whoever looks next comes to the same run."""
    started = "after POST api/deployments/*/create_flow_run"
    dies = Schedule("dies", "watch-salesforce", kills=(started,), again=again, pause=LEASES_OVER)
    verdict = worlds.do(perform, dies)
    assert (verdict.kills, verdict.violations) == (1, []), verdict


@pytest.mark.long
@pytest.mark.timeout(3600)  # each has the limit of its world
def test_many_troubles_at_once(worlds: WorldPool, sites: dict[str, Sites]) -> None:
    """The same, some hundred times."""
    schedules = [at_random(seed, list(STORIES), sites) for seed in range(4, 4 + MANY)]
    for verdict in worlds.do_all(perform, schedules):
        assert verdict.violations == [], verdict


def test_somebody_works_in_the_dashboard_meanwhile(
    worlds: WorldPool, sites: dict[str, Sites]
) -> None:
    """Whatever a person does in Stripe at the same time: nothing twice, and both sides agree."""
    schedules = [at_random(seed, ["send-invoice"], sites, others=True) for seed in range(4)]
    for verdict in worlds.do_all(perform, schedules):
        assert verdict.violations == [], verdict


def test_several_troubles_at_once(worlds: WorldPool, sites: dict[str, Sites]) -> None:
    """Rival runs, events meanwhile, several faults and deaths, time passing."""
    schedules = [at_random(seed, list(STORIES), sites) for seed in range(4)]
    for verdict in worlds.do_all(perform, schedules):
        assert verdict.violations == [], verdict

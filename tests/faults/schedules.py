"""Schedules: what goes wrong, when, and how the world comes to rest afterwards."""

import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, zip_longest
from typing import Any
from uuid import UUID

from tasks.runtime.step import exponential_delays
from tests.faults import assertions, process_patches
from tests.faults.assertions import Facts, agrees
from tests.faults.faults import Rule, at_call, away, kind_of, kinds_of, now_and_then
from tests.faults.forked_process import Broken, Child, Hung, Tell
from tests.faults.listening import LISTENER, WATCH, waiting_runs
from tests.faults.process_patches import Away, is_prefects
from tests.faults.runner import Attempt, Ending, by_hand, outcome_of
from tests.faults.stories import (
    OTHER_WAYS,
    STORIES,
    Parameters,
    Story,
    into_the_inbox,
    somebody_else,
)
from tests.faults.worlds import DAY, SALESFORCE, STRIPE, World

LEASES_OVER = 400.0
"""Seconds after which whatever a killed process held is free again."""

KEYS_OVER = 25 * 3600.0
"""Seconds after which Stripe has forgotten an idempotency key, and so have we."""

PAUSES = (0.0, LEASES_OVER, KEYS_OVER, 31 * DAY)
"""How long it may take until somebody tries again."""

WITHOUT_LEDGER, WITHOUT_PREFECT = "ledger away for minutes", "Prefect's API away or unheard"

RANDOM, DASHBOARD = "random", "dashboard"
"""Kinds of schedules: several kinds of trouble; the same while others act on both sides."""

PLAYED = {**STORIES, **OTHER_WAYS}

TRIES = 10
ROUNDS = 12


@dataclass(frozen=True)
class Schedule:
    """What goes wrong in one playing of a story.

    Attributes:
        name: Names the schedule for good: playing it again is playing the same.
        flow: Whose story, or the name of another way of a flow.
        seed: Of everything that is left to chance.
        rules: Trouble on the wire, by service.
        kills: At which point the first, second … attempt is killed, by its number or its label;
            None for not at all.
        stall: At which point the first attempt stops, until after its run was taken up by
            another process; None for not at all.
        stall_again: The same of the second attempt.
        ledger_away: When the first attempt finds no ledger.
        prefect_away: When the first attempt finds no API of Prefect's, or gets no answer.
        rivals: Runs of the same flow that start at the same moment.
        rival_kills: At which point the first attempt of each of them is killed.
        arrivals: Events arrive and are handled meanwhile, in any order.
        others: Somebody works on the same invoices meanwhile, in Stripe and in Salesforce.
        pause: Seconds that pass between the failure and the second try.
        again: Tried again by a new run, not by the same one.
        stubborn: The trouble goes on in the second attempt.
    """

    name: str
    flow: str
    seed: int = 0
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    kills: tuple[int | str | None, ...] = ()
    stall: int | None = None
    stall_again: int | None = None
    ledger_away: Away | None = None
    prefect_away: Away | None = None
    rivals: int = 0
    rival_kills: tuple[int | None, ...] = ()
    arrivals: bool = False
    others: bool = False
    pause: float = 0.0
    again: bool = False
    stubborn: bool = False

    @property
    def undisturbed(self) -> bool:
        """Whether nothing can keep the story from its own end."""
        return self.pause < DAY and not self.arrivals and not self.rivals


@dataclass
class Verdict:
    """The outcome of a schedule."""

    schedule: Schedule
    violations: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    stalls: int = 0
    seconds: float = 0.0
    endings: list[str] = field(default_factory=list)


def perform(world: World, schedule: Schedule) -> Verdict:
    """Play a schedule in a new world, bring everything to its end, and judge."""
    verdict = Verdict(schedule)
    began = time.perf_counter()
    try:
        _play(world, schedule, verdict)
    except (Broken, Hung) as error:
        verdict.violations.append(f"the world did not come to rest: {error}")
    verdict.seconds = time.perf_counter() - began
    return verdict


def _play(world: World, schedule: Schedule, verdict: Verdict) -> None:
    story = PLAYED[schedule.flow]
    world.renew()
    asked: Parameters = by_hand(world, story.prepare)
    world.order_faults(schedule.rules, schedule.seed)
    requests = [asked, *(story.rival(asked) for _ in range(schedule.rivals))]
    kills = [*schedule.kills, None]
    first = [
        Attempt(
            world,
            story.flow,
            asked,
            kill_at=kills[0],
            stall_at=schedule.stall,
            ledger_away=schedule.ledger_away,
            prefect_away=schedule.prefect_away,
        )
    ]
    first += [
        Attempt(world, story.flow, request, kill_at=kill_at)
        for request, kill_at in zip_longest(requests[1:], schedule.rival_kills)
    ]
    beside = [
        Child(partial(deed, world, schedule.seed))
        for deed, done in (
            (_arrive, schedule.arrivals),
            (_interfere, schedule.others),
            (partial(_meanwhile, story), story.meanwhile),
        )
        if done
    ]
    if story.meanwhile:
        beside.pop().join()
    stalled = first[0].stalls() if schedule.stall is not None else None
    endings = [stalled] if stalled else [first[0].join()]
    endings += [attempt.join() for attempt in first[1:]]
    for deed in beside:
        deed.join()
    _note(world, verdict, endings)
    if schedule.name.startswith("away:"):
        verdict.violations += [
            f"what was away let a run end as {ending.how}: {ending.message[-1500:]}"
            for ending in endings
            if ending.how in ("unknown", "hung")
        ]
    if not schedule.stubborn:
        world.clear_faults()
    if any(not ending.settled for ending in endings):
        world.pass_time(schedule.pause)
    again = schedule.again and story.again
    if stalled:
        endings[0] = _take_up(world, schedule, first[0], stalled, requests[0], again=again)
        _note(world, verdict, endings[:1])
    last = [
        _bring_to_end(world, schedule, request, ending, verdict, again=again)
        for request, ending in zip(requests, endings, strict=True)
    ]
    if stalled:
        first[0].go_on()
        late = first[0].join()
        verdict.endings.append(f"in the end the stalled process was {late.how}: {late.message}")
    world.clear_faults()
    nobody_listens = schedule.flow == LISTENER and any(end.how == "killed" for end in last)
    if story.meanwhile:
        if nobody_listens:
            Attempt(world, WATCH, {}).join()
        carried_out = carry_out(world, schedule.seed)
        _note(world, verdict, carried_out)
    found = come_to_rest(world)
    wanted = {**story.wanted, "edited": int(schedule.others)}
    verdict.violations += assertions.violations(found, wanted)
    if story.by_events and schedule.pause < DAY and not (schedule.others or agrees(found.syncs[0])):
        verdict.violations.append(f"the events had left to the full sync: {found.syncs[0]}")
    ended_otherwise = [] if schedule.others else list(story.ends(found, asked))
    if ended_otherwise and (
        schedule.undisturbed or any(e.how == "completed" for e in last) or not _excused(found)
    ):
        verdict.violations += ended_otherwise
    verdict.violations += [
        f"a run ended as {ending.how}: {ending.message[-1500:]}"
        for ending in last
        if not (ending.settled or nobody_listens) or ending.how == "unknown"
    ]


def _take_up(
    world: World,
    schedule: Schedule,
    stalled: Attempt,
    ending: Ending,
    request: Parameters,
    *,
    again: bool,
) -> Ending:
    """Take a run up that is believed dead; every other time it comes back to life meanwhile."""
    flow = PLAYED[schedule.flow].flow
    successor = Attempt(world, flow, request, run=None if again else ending.run)
    if schedule.seed % 2:
        stalled.go_on()
    return successor.join()


def _note(world: World, verdict: Verdict, endings: Sequence[Ending]) -> None:
    verdict.faults.update({kind_of(rule): rule["hits"] for rule in world.faults() if rule["hits"]})
    if without_ledger := sum(ending.without_ledger for ending in endings):
        verdict.faults[WITHOUT_LEDGER] += without_ledger
    if without_prefect := sum(ending.without_prefect for ending in endings):
        verdict.faults[WITHOUT_PREFECT] += without_prefect
    verdict.kills += sum(ending.how == "killed" for ending in endings)
    verdict.stalls += sum(ending.how == "stalled" for ending in endings)
    verdict.endings += [f"{ending.how}: {ending.message}" for ending in endings]


def _bring_to_end(
    world: World,
    schedule: Schedule,
    request: Parameters,
    ending: Ending,
    verdict: Verdict,
    *,
    again: bool,
) -> Ending:
    """Try again as an operator or as Prefect would, until nobody would try again.

    A listener that nobody starts again is no loss: a schedule does what it does. One that is
    started again needs no schedule.
    """
    if schedule.flow == LISTENER and ending.how == "killed" and not again:
        return ending
    kills = list(schedule.kills[1:])
    for number in range(TRIES):
        if ending.settled or ending.how == "hung":
            break
        if number:
            world.pass_time(LEASES_OVER)
        run: UUID | None = None if again else ending.run
        kill_at = kills.pop(0) if kills else None
        stall_at = schedule.stall_again if number == 0 else None
        flow = PLAYED[schedule.flow].flow
        attempt = Attempt(world, flow, request, run=run, kill_at=kill_at, stall_at=stall_at)
        if stall_at is not None and (stalled := attempt.stalls()):
            verdict.stalls += 1
            ending = _take_up(world, schedule, attempt, stalled, request, again=again)
            attempt.go_on()
            verdict.endings.append(f"the stalled second attempt was {attempt.join().how}")
        else:
            ending = attempt.join()
        if number == 0 and schedule.stubborn:
            _note(world, verdict, [ending])
            world.clear_faults()
        else:
            verdict.kills += ending.how == "killed"
            verdict.endings.append(f"{ending.how}: {ending.message}")
    return ending


def carry_out(world: World, seed: int = 0) -> list[Ending]:
    """Run whatever was started, as workers do; some runs die once or twice, by the seed.

    Those of one invoice go one after the other: to wait for each other, they would need minutes.

    Returns:
        How each attempt ended.

    Raises:
        Broken: a run came to no end.
    """
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    every: list[Ending] = []
    left: dict[str, Any] = {}
    for number in range(ROUNDS):
        waiting = waiting_runs(os.environ["PREFECT_API_URL"], world.moment)
        left |= {run["id"]: run for run in waiting}  # what died early is scheduled still
        if not left:
            return every
        turn = {run["parameters"].get("invoice", run["id"]): run for run in reversed(left.values())}
        deadly = 3 if seed and number < 2 else 0
        attempts = [
            (run, Attempt(world, run["flow"], run["parameters"], run=UUID(run["id"]), kill_at=dies))
            for run in turn.values()
            for dies in [dice.randrange(DEADLY) if deadly > dice.randrange(9) else None]
        ]
        endings = [(run, attempt.join()) for run, attempt in attempts]
        every += [ending for _, ending in endings]
        for run, ending in endings:
            if ending.settled:
                del left[run["id"]]
        world.pass_time(0 if all(ending.settled for _, ending in endings) else LEASES_OVER)
    raise Broken(f"not to be brought to an end: {left}; {every}")


DEADLY = 60
"""Points of a run that was started for a request at which it may die."""


def come_to_rest(world: World) -> Facts:
    """Let time pass and the schedules work until nothing waits, and read what is so then."""
    for _ in range(ROUNDS):
        world.pass_time(LEASES_OVER)
        if by_hand(world, assertions.settle_down):
            break
    found: Facts = by_hand(world, assertions.compare)
    return found


def _excused(found: Facts) -> bool:
    """Whether a run was refused with reasons, and the record says them."""
    return all(
        record["Sync_Message__c"] or record["Sync_State__c"] == "Clean" for record in found.records
    )


def _arrive(world: World, seed: int, tell: Tell) -> None:
    """Events come in again and again, shuffled and doubled, and are handled meanwhile."""
    from invoicing.errors import InvoicingError

    process_patches.enter(world.moment)
    process_patches.be_a_new_process()
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    with process_patches.without_prefect():
        for _ in range(dice.randint(2, 5)):
            time.sleep(dice.uniform(0, 0.15))
            try:
                into_the_inbox(dice)
            except InvoicingError:
                continue
            outcome_of("handle-events")


def _meanwhile(story: Story, world: World, seed: int, tell: Tell) -> None:
    """People do what belongs to the story."""
    process_patches.enter(world.moment)
    process_patches.be_a_new_process()
    with process_patches.without_prefect():
        if story.meanwhile:
            story.meanwhile(random.Random(seed), world)  # noqa: S311 - repeatable on purpose


def _interfere(world: World, seed: int, tell: Tell) -> None:
    """Other people act, in Stripe's dashboard and in Salesforce."""
    process_patches.enter(world.moment)
    process_patches.be_a_new_process()
    dice = random.Random(-seed)  # noqa: S311 - repeatable on purpose
    with process_patches.without_prefect():
        for _ in range(dice.randint(1, 4)):
            time.sleep(dice.uniform(0, 0.4))
            somebody_else(dice, world)


# Plans


@dataclass(frozen=True)
class Sites:
    """Where something can go wrong in a story that goes well.

    Attributes:
        calls: Requests to each service in order: method and path.
        points: The points at which the process may die.
    """

    calls: dict[str, list[tuple[str, str]]]
    points: tuple[str, ...]

    @property
    def of_prefect(self) -> list[str]:
        """The requests to Prefect's API, of what is not Prefect's own."""
        return [p for p in self.points if p.startswith("before") and is_prefects(p)]


def explore(world: World, flow: str) -> tuple[str, Sites]:
    """Play a story without trouble; returns its flow, with every call and every point."""
    world.renew()
    asked: Any = by_hand(world, PLAYED[flow].prepare)
    for sandbox in world.sandboxes.values():
        sandbox.admin("DELETE", "requests")
    attempt = Attempt(world, PLAYED[flow].flow, asked, watched=True)
    if PLAYED[flow].meanwhile:
        Child(partial(_meanwhile, PLAYED[flow], world, 0)).join()
    ending = attempt.join()
    if ending.how != PLAYED[flow].how:
        raise Broken(f"{flow} does not complete without trouble: {ending}")
    calls = {
        name: [(r["method"], r["path"]) for r in sandbox.admin("GET", "requests")["requests"]]
        for name, sandbox in world.sandboxes.items()
    }
    return flow, Sites(calls, ending.points)


def single_faults(flow: str, sites: Sites) -> list[Schedule]:
    """Every call of a story times every kind of trouble."""
    return [
        Schedule(
            f"fault:{flow}:{service}:{number}:{kind}",
            flow,
            rules={service: [at_call(kind, number)]},
            again=number % 2 == 1,
        )
        for service, calls in sites.calls.items()
        for number, (method, path) in enumerate(calls)
        for kind in kinds_of(service, method, path)
    ]


def single_kills(flow: str, sites: Sites) -> list[Schedule]:
    """Every point of a story, taken up again by the same run, and by a new one."""
    return [
        Schedule(
            f"kill:{flow}:{point}:{'new' if again else 'same'}",
            flow,
            kills=(point,),
            again=again,
            pause=LEASES_OVER if again else 0.0,
        )
        for point in sites.points
        for again in ((False, True) if PLAYED[flow].again else (False,))
    ]


def expired_keys(flow: str, sites: Sites) -> list[Schedule]:
    """Stripe had each effect of a story, nobody heard, and no key protects when it is run again."""
    return [
        Schedule(f"expired:{flow}:{point}", flow, kills=(point,), again=True, pause=KEYS_OVER)
        for point in sites.points
        if point.startswith(("after POST v1/", "after DELETE v1/"))
    ]


def single_stalls(flow: str, sites: Sites) -> list[Schedule]:
    """Every point of a story outside of transactions, where its process freezes for a while."""
    return [
        Schedule(f"stall:{flow}:{point}", flow, seed=point, stall=point)
        for point, label in enumerate(sites.points)
        if not label.startswith("before commit")
    ]


def outages(flow: str, sites: Sites) -> list[Schedule]:
    """Each service, the ledger and Prefect's API are away, from a story's start or its middle.

    Three minutes are outlived; of ten, the run gives up, and is taken up when they are over.
    """
    return [
        Schedule(
            f"away:{flow}:{service}:{after}:{minutes}",
            flow,
            rules={service: [away(tries_in(minutes), after)]} if service in sites.calls else {},
            ledger_away=Away(after, tries_in(minutes)) if service == LEDGER else None,
            prefect_away=Away(after, tries_in(minutes)) if service == PREFECT else None,
            pause=minutes * 60.0,
            again=after > 0,
            stubborn=minutes == min(OUTAGE_MINUTES),
        )
        for service, calls in {
            **sites.calls,
            LEDGER: sites.points,
            PREFECT: sites.of_prefect,
        }.items()
        for after in sorted({0, len(calls) // 2})
        for minutes in OUTAGE_MINUTES
        if calls
    ]


LEDGER, PREFECT = "ledger", "prefect"
OUTAGE_MINUTES = (3, 10)


def tries_in(minutes: float) -> int:
    """How often a step is tried in so many minutes, by the delays that it has in production."""
    delays = accumulate(exponential_delays(int(minutes * 60)))
    return sum(1 for waited in delays if waited < minutes * 60) + 1


def at_random(
    seed: int,
    flows: Sequence[str],
    sites: dict[str, Sites],
    only: str = "",
    *,
    others: bool = False,
) -> Schedule:
    """A schedule with several kinds of trouble, drawn by its seed."""
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    flow = dice.choice([*flows, *(f for f in flows if f == "send-invoice")])
    points = max(1, len(sites[flow].points))  # a flow that asks Prefect alone has none
    rules: dict[str, list[Rule]] = {}
    for service in (STRIPE, SALESFORCE):
        for _ in range(dice.choice((0, 1, 1, 2))):
            kind = only or dice.choice(kinds_of(service, "POST"))
            if kind in kinds_of(service, "POST"):
                rule = now_and_then(kind, dice.choice((0.05, 0.15, 0.4)), dice.randint(1, 6))
                rules.setdefault(service, []).append(rule | {"after": dice.randint(0, 8)})
    stall = dice.randrange(points) if dice.random() < 0.15 else None
    chance = 0 if stall is not None else 0.4
    kills = tuple(dice.randrange(points) if dice.random() < chance else None for _ in range(3))
    rivals = dice.choice((0, 0, 1, 1, 2))

    def perhaps(probability: float) -> int | None:
        return dice.randrange(points) if dice.random() < probability else None

    drawn = Schedule(
        f"{DASHBOARD if others else RANDOM}:{seed}",
        flow,
        seed,
        rules,
        kills,
        stall,
        rivals=rivals,
        arrivals=dice.random() < 0.35,
        others=others,
        pause=dice.choice(PAUSES if stall is None else PAUSES[:2]),
        again=dice.random() < 0.5,
        stubborn=dice.random() < 0.3,
        stall_again=perhaps(0.1),
        rival_kills=tuple(perhaps(0.25) for _ in range(rivals)),
    )
    if sites[flow].of_prefect and dice.random() < 0.4:
        away_from = dice.randrange(len(sites[flow].of_prefect))
        return replace(drawn, prefect_away=Away(away_from, dice.randint(1, 4)))
    return drawn

"""A story in an org: prepared, met by what the org is like, and brought to its end even so."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.faults.assertions import compare, settle_down
from tests.faults.process_patches import without_prefect
from tests.faults.runner import deployed, outcome_of
from tests.faults.stories import STORIES, Parameters
from tests.orgs.org_world import OrgWorld, let_time_pass
from tests.orgs.profiles import PROFILES

TRIES = 12
"""How often a flow is run again once what was in its way gave way."""

Run = Callable[[str, Parameters], Any]


def called(flow: str, parameters: Parameters) -> Any:
    """The outcome of a flow, or its error, without Prefect."""
    with without_prefect():
        return outcome_of(flow, **parameters)


def play(world: OrgWorld, names: Sequence[str], flow: str, run: Run = called) -> list[str]:
    """Play a flow's story in an org that is so; returns what is wrong with its end.

    A flow that the org refuses has to say why, and is run again once that is over.
    """
    deployed()  # imports every flow, which is what is called plainly then
    story = STORIES[flow]
    with without_prefect():
        for name in names:
            PROFILES[name].before(world)
        parameters = story.prepare()
    let_time_pass()
    for name in names:
        PROFILES[name].meanwhile(world)
    _rule(world, names, lifted=False)
    outcome = run(flow, parameters)
    said: list[str] = []
    while isinstance(outcome, Exception) and story.how == "completed" and len(said) < TRIES:
        said.append(str(outcome))
        _relent(world, names)
        outcome = run(flow, parameters)
    _relent(world, names)
    world.sandbox.admin("POST", "limits")
    let_time_pass()
    met = any(PROFILES[name].says for name in names)
    if met and story.again:
        run(flow, parameters)  # the next morning's, or by somebody who was told what is missing
    with without_prefect():
        if met and "invoice" in parameters:
            outcome_of("sync-invoice", invoice=parameters["invoice"])
        settle_down()
        facts = compare()
    return [
        *(f"said: {text}" for text in said if not _is_told(text, names)),
        *_how(outcome, story.how),
        *story.ends(facts, parameters),
    ]


def _rule(world: OrgWorld, names: Sequence[str], *, lifted: bool) -> None:
    rules = [rule for name in names for rule in PROFILES[name].rules]
    gone = [rule for name in names for rule in PROFILES[name].until_refused if lifted]
    world.sandbox.admin("POST", "rules", profiles=[rule for rule in rules if rule not in gone])


def _relent(world: OrgWorld, names: Sequence[str]) -> None:
    _rule(world, names, lifted=True)
    for name in names:
        PROFILES[name].relents(world)
    let_time_pass()


def _is_told(text: str, names: Sequence[str]) -> bool:
    return any(part in text for name in names for part in PROFILES[name].says)


def _how(outcome: Any, wanted: str) -> Iterator[str]:
    if isinstance(outcome, Exception) == (wanted == "completed"):
        yield f"it ended with {outcome!r}"

"""Every flow's story in an org of every kind: each kind alone, and several at once."""

from pathlib import Path

import pytest
import yaml

from invoicing.org_check import main
from sandbox.salesforce import org, org_rules
from tests.conftest import ROOT
from tests.faults.stories import STORIES
from tests.orgs.conftest import Enter
from tests.orgs.playing import play
from tests.orgs.profiles import PROFILES, Names, fit, together

NEED_PREFECT = frozenset(
    {
        *("raise-invoice-wizard", "refresh-choices", "overview"),
        *("export-customer", "erase-customer", "forget-old-data"),
    }
)
"""Played in `test_stories_that_need_prefect.py`: they ask a person, or look at runs and forms."""

FLOWS = sorted(STORIES.keys() - NEED_PREFECT - {"listener"})
"""The listener is a process: the requests that it hears of are a flow's story, like all others."""

TOUCHED_MOST = {
    ("renamed", "full-sync"),
    ("namespace", "send-invoice"),
    ("text-names", "raise-invoice"),
    ("orders", "send-invoice"),
    ("country-picklists", "send-invoice"),
    ("person-accounts", "send-invoice"),
    ("validation-rules", "send-invoice"),
    ("before-save", "full-sync"),
    ("duplicates", "send-invoice"),
    ("approvals", "handle-events"),
    ("busy-rows", "handle-events"),
    ("merged-accounts", "full-sync"),
    ("strict-audience", "send-invoice"),
    ("login-limit", "send-invoice"),
    ("daily-limit", "send-invoice"),
    ("daily-limit", "raise-invoice"),
    ("least-permissions", "send-invoice"),
    ("least-permissions", "full-sync"),
}
"""Stories of `make test`: what each kind of org is in the way of most."""

ALONE = [
    pytest.param(
        profile,
        flow,
        id=f"{profile}-{flow}",
        marks=[pytest.mark.standard] if (profile, flow) in TOUCHED_MOST else [],
    )
    for profile in PROFILES
    for flow in FLOWS
]


@pytest.mark.parametrize(("profile", "flow"), ALONE)
def test_the_story_ends_as_it_does_anywhere(enter: Enter, profile: str, flow: str) -> None:
    """Prepared, run, compared twice: the same end, and in words what was in the way."""
    assert play(enter([profile]), [profile], flow) == []


@pytest.mark.parametrize(
    ("names", "flow"),
    [
        pytest.param(names, flow, id=f"{flow}-{'+'.join(names)}")
        for names, flow in zip(together(len(FLOWS)), FLOWS, strict=True)
    ],
)
def test_the_story_ends_so_where_several_things_are_the_matter(
    enter: Enter, names: Names, flow: str
) -> None:
    """Every two kinds of orgs that can be one meet in one of the stories."""
    assert play(enter(names), names, flow) == []


@pytest.mark.parametrize("profile", [name for name in PROFILES if "limit" not in name])
def test_the_check_of_the_org_finds_everything(
    enter: Enter, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    """What it looks for is what the flows need."""
    world = enter([profile])
    PROFILES[profile].before(world)
    PROFILES[profile].meanwhile(world)
    main()
    assert "has everything" in capsys.readouterr().out


@pytest.mark.fast
def test_no_flow_and_no_profile_is_left_out() -> None:
    """Every deployed flow has a story here; every profile of the sandbox an org, but for pages.

    Each of them is met by `make test` too.
    """
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert {*FLOWS, *NEED_PREFECT} == {entry["name"] for entry in deployments}
    assert {profile for profile, _ in TOUCHED_MOST} == PROFILES.keys() - {"plain"}
    assert {flow for _, flow in TOUCHED_MOST} <= {*FLOWS}
    some = PROFILES.values()
    plain = org.open_org().schema
    shapes = {name for name, shape in org.PROFILES.items() if shape(plain) is not plain}
    assert {name for profile in some for name in profile.sandbox} == shapes
    assert {name for profile in some for name in profile.rules} == org_rules.PROFILES.keys()


@pytest.mark.fast
def test_every_two_kinds_of_orgs_that_can_be_one_meet() -> None:
    """In one of the stories that are played in several kinds at once."""
    sets = together(len(FLOWS))
    apart = [
        (one, other)
        for one in PROFILES
        for other in PROFILES
        if one < other and fit([one, other]) and not any({one, other} <= {*s} for s in sets)
    ]
    assert apart == []


@pytest.mark.fast
def test_every_folder_of_an_org_is_used(request: pytest.FixtureRequest) -> None:
    """Companies whose metadata lies here have a story."""
    folders = {path.parent.name for path in Path(__file__).parent.glob("*/objects")}
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert {
        name for name in folders if f'"{name}"' not in text and f"/{name}/" not in text
    } == set()

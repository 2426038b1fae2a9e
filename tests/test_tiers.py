"""The tiers: each test is in one of them, and the commands run what they say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.tiers import TIERS

ROOT = Path(__file__).parents[1]
FAST, STANDARD, SYSTEM, LONG = TIERS


def test_every_test_is_in_one_tier(request: pytest.FixtureRequest) -> None:
    """By its directory, or by a mark of its own; never by two."""
    for item in request.session.items:
        marks = {mark.name for mark in item.iter_markers()} & set(TIERS)
        assert len(marks) == 1, f"{item.nodeid} is in {sorted(marks)}"


@pytest.mark.parametrize(
    ("command", "tiers"),
    [
        ("test-fast", {FAST}),
        ("test", {FAST, STANDARD}),
        ("test-system", {SYSTEM}),
        ("test-all", set(TIERS)),
    ],
)
def test_each_command_runs_its_tiers(
    command: str, tiers: set[str], pytester: pytest.Pytester
) -> None:
    """What the Makefile selects, tried on a test of each tier."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    make = subprocess.check_output(["make", "--dry-run", command], cwd=ROOT, env=alone, text=True)
    [pytest_call] = (line for line in make.splitlines() if "-m pytest" in line)
    chosen = re.findall(r'-m (?!pytest)("[^"]+"|\w+)', pytest_call)
    pytester.makepyfile(
        "import pytest\n"
        + "\n".join(f"@pytest.mark.{tier}\ndef test_{tier}(): pass" for tier in TIERS)
    )
    pytester.makeini("[pytest]\nmarkers =\n" + "\n".join(f"  {tier}: one" for tier in TIERS))
    result = pytester.inline_run(*(part for one in chosen for part in ("-m", one.strip('"'))))
    passed, _, _ = result.listoutcomes()
    assert {report.nodeid.rpartition("test_")[2] for report in passed} == tiers

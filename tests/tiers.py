"""The tier of each test, and which tests share a process: for the product and for `packages`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TIERS = ("fast", "standard", "long")
FAST = frozenset(["invoicing", "sandbox"])
LONG = frozenset(["orgs"])
LONGEST_FIRST = (
    "journeys",
    "deployments",
    "warm_worker",
    "faults",
    "orgs",
    "real",
    "flows",
    "invoicing",
    "sandbox",
)
TOGETHER = {"deployments": "deployments", "warm_worker": "deployments", "faults": "faults"}
"""Rooms whose tests share what is started once."""

BY_FILE = frozenset(["journeys", "orgs"])
"""Rooms whose files have each something to share."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test into a tier, and what shares servers or a browser into one process.

    What takes long begins first, so that all processors are done at the same time.
    """
    for item in items:
        if tier(item) not in item.keywords:
            item.add_marker(tier(item))
        if group := shares(item):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: LONGEST_FIRST.index(directory(item)) if directory(item) else -1)


def directory(item: pytest.Item) -> str:
    """The directory of a test below tests, or nothing for those of the project as a whole.

    A test of a distribution is in the directory that has the distribution's name.
    """
    top, first, *rest = item.path.relative_to(ROOT).parts
    return first if rest or top == "packages" else ""


def tier(item: pytest.Item) -> str:
    """The tier that a test is marked with, or else its directory's."""
    for mark in item.iter_markers():
        if mark.name in TIERS:
            return mark.name
    if directory(item) in LONG:
        return "long"
    in_process = directory(item) in FAST and "browser" not in getattr(item, "fixturenames", ())
    return "fast" if in_process or not directory(item) else "standard"


def shares(item: pytest.Item) -> str:
    """The name of what a test shares with others, if anything."""
    by_file = directory(item) in BY_FILE or "browser" in getattr(item, "fixturenames", ())
    return TOGETHER.get(directory(item)) or (str(item.path) if by_file else "")

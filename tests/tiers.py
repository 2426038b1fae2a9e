"""The tier of each test, and which tests share a process: for the product and for `packages`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TIERS = ("fast", "standard", "system", "long")
FAST = frozenset(["invoicing", "sandbox"])
SERVERS = frozenset(["doctor"])
"""Rooms of ``invoicing`` whose tests start servers of their own, again and again."""
PROGRAMS = frozenset(["listener", "receiver"])
"""Rooms of ``invoicing`` whose tests start and kill the programs that they are of."""
POSTGRESQL = "postgresql"
"""The parameter of a test on a ledger that is a server."""
SYSTEM = frozenset(["deployments", "faults", "journeys", "real", "warm_worker"])
SYSTEM_FILES = frozenset(["test_broken_packages.py", "test_rebuild_ledger.py"])
"""Whole packages that are broken, whole ledgers that are lost."""
LONG = frozenset(["orgs"])
LONG_FILES = frozenset(
    [
        "test_bulk_raise.py",
        "test_click_to_email.py",
        "test_countries.py",
        "test_environment_check.py",
        "test_field_mapping.py",
        "test_invoices_of_many_lines.py",
        "test_link_customer.py",
        "test_merged_accounts.py",
        "test_wrong_stripe_id.py",
        "test_orgs_that_refuse.py",
        "test_package_upgrades.py",
        "test_org_shapes.py",
        "test_personal_data.py",
        "test_prefect_database_lost.py",
        "test_raise_invoice_wizard.py",
        "test_rotated_keys.py",
        "test_spreadsheets.py",
        "test_table_source.py",
        "test_timeline.py",
    ]
)
"""Stories of orgs of other shapes, of tables, and of what seldom happens."""
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

BY_FILE = frozenset(["journeys"])
"""Rooms whose files have each something to share."""

SHARED_STACK = "shared_stack"
"""The fixture whose tests share a stack, whichever file they are in."""


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
    story = directory(item) in ("flows", "journeys")
    if directory(item) in LONG or (story and item.path.name in LONG_FILES):
        return "long"
    if item.path.name in SYSTEM_FILES:
        return "system"
    program = directory(item) in SYSTEM or item.path.parent.name in PROGRAMS
    if program or "browser" in getattr(item, "fixturenames", ()):
        return "system"
    if item.path.parent.name in SERVERS or f"[{POSTGRESQL}]" in item.name:
        return "standard"
    return "fast" if directory(item) in FAST or not directory(item) else "standard"


def shares(item: pytest.Item) -> str:
    """The name of what a test shares with others, if anything."""
    fixtures = getattr(item, "fixturenames", ())
    if SHARED_STACK in fixtures:
        return SHARED_STACK
    by_file = directory(item) in BY_FILE or "browser" in fixtures
    return TOGETHER.get(directory(item)) or (str(item.path) if by_file else "")

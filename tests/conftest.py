"""What the tests stand on: real sandboxes over HTTP, a real Prefect server, a real ledger."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, sync_playwright

from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import open_org
from sandbox.stripe.app import make_app

ROOT = Path(__file__).parents[1]
METADATA = ROOT / "deployments/salesforce/force-app/main/default"

os.environ.update(
    DO_NOT_TRACK="1",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_TO_API_ENABLED="false",
)


TIERS = ("fast", "standard", "long")
FAST = frozenset(["invoicing", "sandbox"])
LONG = frozenset(["orgs"])
LONGEST_FIRST = ("journeys", "deployments", "faults", "orgs", "flows", "invoicing", "sandbox")
TOGETHER = {"deployments": "deployments", "faults": "faults"}
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
    """The directory of a test below tests, or nothing for those of the project as a whole."""
    first, *rest = item.path.relative_to(ROOT / "tests").parts
    return first if rest else ""


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


pytest_plugins = ["pytester"]

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, which a bare machine may lack and CI must have."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None and "CI" not in os.environ:
        pytest.skip("there is no Chromium on this machine: install the package chromium")
    with sync_playwright() as playwright:
        running_browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield running_browser
        running_browser.close()


class Sandbox:
    """A running sandbox and its admin endpoints."""

    def __init__(self, url: str) -> None:
        """Remember where it runs."""
        self.url = url
        self._session = requests.Session()

    def admin(self, method: str, path: str, **body: Any) -> Any:
        """Call an admin endpoint, and return its JSON."""
        answer = self._session.request(method, f"{self.url}/_sandbox/{path}", json=body or None)
        assert answer.ok, answer.text
        return answer.json()

    def post_form(self, url: str, **form: str) -> None:
        """Submit a form of one of its pages."""
        answer = self._session.post(url, data=form)
        assert answer.ok, answer.text


@pytest.fixture(scope="session")
def stripe_process() -> Iterator[Sandbox]:
    """The Stripe sandbox, one for all tests."""
    with running(make_app) as url:
        yield Sandbox(url)


@pytest.fixture(scope="session")
def salesforce_process() -> Iterator[Sandbox]:
    """The Salesforce sandbox, one for all tests."""
    with running(lambda url: application(open_org(METADATA), url)) as url:
        yield Sandbox(url)


@pytest.fixture
def stripe_sandbox(stripe_process: Sandbox) -> Iterator[Sandbox]:
    """An empty Stripe account."""
    stripe_process.admin("POST", "reset")
    yield stripe_process
    stripe_process.admin("DELETE", "faults")


@pytest.fixture
def salesforce_sandbox(salesforce_process: Sandbox) -> Iterator[Sandbox]:
    """The demo org, fresh."""
    salesforce_process.admin("POST", "reset", seed="demo")
    yield salesforce_process
    salesforce_process.admin("DELETE", "faults")


@pytest.fixture(scope="session")
def migrated_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger on SQLite, to be copied: migrating takes longer than many a test."""
    from invoicing.ledger import database

    path = tmp_path_factory.mktemp("migrated") / "ledger.db"
    database.migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    migrated_ledger: Path,
    stripe_sandbox: Sandbox,
    salesforce_sandbox: Sandbox,
) -> Iterator[None]:
    """Settings that point at the sandboxes and at a new, migrated ledger."""
    from invoicing.connectors import salesforce, stripe
    from invoicing.ledger import database
    from invoicing.settings import settings

    values = {
        "STRIPE__API_KEY": "sk_live_sandbox",
        "STRIPE__ACCOUNT_ID": "acct_1SandboxAcme",
        "STRIPE__LIVEMODE": "true",
        "STRIPE__BASE_URL": stripe_sandbox.url,
        "STRIPE__WEBHOOK_SECRETS": '["whsec_test"]',
        "SALESFORCE__URL": salesforce_sandbox.url,
        "SALESFORCE__DOMAIN": "northwind.my",
        "SALESFORCE__CONSUMER_KEY": CONSUMER_KEY,
        "SALESFORCE__CONSUMER_SECRET": CONSUMER_SECRET,
        "SALESFORCE__ORG_ID": "00DHs0000000001IAA",
        "SALESFORCE__MULTI_CURRENCY": "true",
        "LEDGER__URL": f"sqlite:///{tmp_path}/ledger.db",
        "REPORTS": str(tmp_path / "reports"),
        "BUSINESS__TIME_ZONE": "Europe/Berlin",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"INVOICING_{name}", value)
    caches = (settings, database.engine, stripe.client, salesforce.client)
    for cache in caches:
        cache.cache_clear()
    shutil.copy(migrated_ledger, tmp_path / "ledger.db")
    yield
    database.engine().dispose()
    for cache in caches:
        cache.cache_clear()

"""What the tests stand on: real sandboxes over HTTP, a real Prefect server, a real ledger."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deployments.local.stack import SALESFORCE_PACKAGE
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import open_org
from sandbox.stripe.app import make_app

ROOT = Path(__file__).parents[1]


class Sandbox:
    """A running sandbox and its admin endpoints."""

    def __init__(self, url: str) -> None:
        """Remember where it runs."""
        self.url = url
        self.changed = False
        """Whether anybody has ordered anything here since the last reset."""
        self._session = requests.Session()

    def admin(self, method: str, path: str, **body: Any) -> Any:
        """Call an admin endpoint, and return its JSON."""
        self.changed = path != "reset" and (self.changed or method != "GET")
        answer = self._session.request(method, f"{self.url}/_sandbox/{path}", json=body or None)
        assert answer.ok, answer.text
        return answer.json()

    def post_form(self, url: str, **form: str) -> None:
        """Submit a form of one of its pages."""
        self.changed = True
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
    with running(lambda url: application(open_org(SALESFORCE_PACKAGE), url, pubsub_port=0)) as url:
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
    from invoicing.ledger import database

    pubsub = salesforce_sandbox.admin("GET", "pubsub")
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
        "SALESFORCE__ORG_ID": "00DHs0000000001MAA",
        "SALESFORCE__PUBSUB_URL": f"http://127.0.0.1:{pubsub['port']}",
        "LEDGER__URL": f"sqlite:///{tmp_path}/ledger.db",
        "REPORTS": str(tmp_path / "reports"),
        "BUSINESS__TIME_ZONE": "Europe/Berlin",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"INVOICING_{name}", value)
    for cache in clients():
        cache.cache_clear()
    shutil.copy(migrated_ledger, tmp_path / "ledger.db")
    yield
    database.engine().dispose()
    for cache in clients():
        cache.cache_clear()


def clients() -> tuple[Any, ...]:
    """What a process makes once: its settings, and a client of each of the two and the ledger."""
    from invoicing.connectors import salesforce, stripe
    from invoicing.ledger import database
    from invoicing.settings import settings

    return settings, database.engine, stripe.client, salesforce.client

"""The ledger on both of its databases, each really there."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from invoicing.ledger import database
from invoicing.settings import settings
from tests.postgres import start_postgres
from tests.tiers import POSTGRESQL

TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL server; its URL."""
    with TemporaryDirectory(prefix="postgres-") as folder:
        server = start_postgres(Path(folder))
        url = str(server.get_uri())
        template = create_database(url, TEMPLATE, "template0")
        database.migrate(url.replace("/postgres?", f"/{template}?"))
        yield url
        server.cleanup()


@pytest.fixture(params=["sqlite", POSTGRESQL])
def ledger_url(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    migrated_ledger: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """A new, migrated ledger; its URL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/ledger.db"
        shutil.copy(migrated_ledger, tmp_path / "ledger.db")
    else:
        url = new_database(request.getfixturevalue("postgres"), tmp_path.name)
    values = {
        "STRIPE__API_KEY": "sk_test_123",
        "STRIPE__ACCOUNT_ID": "acct_1",
        "STRIPE__LIVEMODE": "false",
        "SALESFORCE__DOMAIN": "acme.my",
        "SALESFORCE__ORG_ID": "00D000000000001",
        "SALESFORCE__CONSUMER_KEY": "key",
        "SALESFORCE__CONSUMER_SECRET": "secret",
        "LEDGER__URL": url,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"INVOICING_{name}", value)
    settings.cache_clear()
    database.engine.cache_clear()
    yield url
    database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()


def new_database(server_url: str, name: str) -> str:
    """Make a database with a migrated ledger on the server, and return its URL."""
    database_name = "".join(filter(str.isalnum, name)).lower()
    return server_url.replace("/postgres?", f"/{create_database(server_url, database_name)}?")


def create_database(server_url: str, name: str, template: str = TEMPLATE) -> str:
    """Make a database like another, and return its name."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return name

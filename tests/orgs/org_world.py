"""An org that stories are played in: its sandbox, its people, and the settings that point at it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import delete, update

from deployments.local.stack import SALESFORCE_PACKAGE
from invoicing.connectors import salesforce
from invoicing.ledger.database import session
from invoicing.ledger.models import Event, Lease
from invoicing.mapping import org_field_reader, org_mapping
from invoicing.settings import settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from tests.conftest import Sandbox
from tests.orgs.org_client import OrgClient
from tests.orgs.package_variants import Variant


@dataclass(frozen=True)
class Served:
    """A sandbox of an org, and the field mapping that the org needs: a file, or none."""

    sandbox: Sandbox
    mapping: Path | None


@dataclass
class Servers:
    """Sandboxes by what their orgs are made of, each begun when it is first needed."""

    folder: Path
    stack: ExitStack
    _begun: dict[tuple[Any, ...], Served] = field(default_factory=dict)

    def serve(self, variants: tuple[Variant, ...], namespace: str) -> Served:
        """A sandbox of an org whose package is such."""
        key = (*variants, namespace)
        if key not in self._begun:
            self._begun[key] = self._begin(variants, namespace)
        return self._begun[key]

    def _begin(self, variants: tuple[Variant, ...], namespace: str) -> Served:
        package, mapping = SALESFORCE_PACKAGE, ""
        place = self.folder / str(len(self._begun))
        for at, make in enumerate(variants):
            made = place / str(at)
            made.mkdir(parents=True)
            mapping += make(package, made)
            package = made
        org = open_org(package, namespace=namespace)
        url = self.stack.enter_context(running(lambda url: application(org, url, pubsub_port=0)))
        if not mapping:
            return Served(Sandbox(url), None)
        (place / "mapping.toml").write_text(mapping, encoding="utf-8")
        return Served(Sandbox(url), place / "mapping.toml")


def forget() -> None:
    """Be a process that has just started: settings, field mapping and login are read anew."""
    for cache in (settings, salesforce.client, org_mapping, org_field_reader):
        cache.cache_clear()


@dataclass
class OrgWorld:
    """What a profile may change.

    Attributes:
        sandbox: The org's.
        people: Somebody who uses the org.
        setting: Sets an environment variable of ours, without its prefix; None removes it.
        folder: For files.
        calls: How many more Salesforce answers, where they are counted.
        audience: The only one that a login may have.
    """

    sandbox: Sandbox
    people: OrgClient
    setting: Callable[[str, str | None], None]
    folder: Path
    calls: int = 2
    audience: str | None = None

    @property
    def billed_at(self) -> dict[str, str]:
        """Where the customer's invoices go, by the org's own field."""
        field = salesforce.client().own_field("Account", "Invoice_Email__c")
        return {str(field): "billing@acme.example.com"}

    def account(self) -> str:
        """The id of the customer of all stories."""
        [row] = self.people.query("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")
        return str(row["Id"])


def environment_setter(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str | None], None]:
    """How settings are changed for one test."""

    def change(name: str, value: str | None) -> None:
        if value is None:
            monkeypatch.delenv(f"INVOICING_{name}")
        else:
            monkeypatch.setenv(f"INVOICING_{name}", value)

    return change


def let_time_pass() -> None:
    """Runs of before are over, and what waits for its next try need not wait any longer."""
    with session() as ledger:
        ledger.execute(delete(Lease))
        ledger.execute(update(Event).values(lease_expires_at=datetime.now(UTC) - timedelta(1)))

"""An installation that is as it should be, one part of which each story breaks."""

from collections.abc import Callable, Iterator

import pytest

from invoicing.connectors import salesforce, stripe
from invoicing.doctor.checks import Check, Finding, examine
from invoicing.doctor.ledger_checks import ledger_checks
from invoicing.doctor.listener_checks import listener_checks
from invoicing.doctor.receiver_checks import receiver_checks
from invoicing.doctor.salesforce_checks import salesforce_checks
from invoicing.doctor.settings_checks import settings_checks
from invoicing.doctor.stripe_checks import endpoint_url, stripe_checks
from invoicing.domain.stripe.event_parsing import HANDLED_TYPES
from invoicing.ledger import database, stream_positions
from invoicing.mapping import org_mapping
from invoicing.receiver.app import build_app
from invoicing.settings import settings
from sandbox.common.serve import running

GROUPS: dict[str, Callable[[], list[Check]]] = {
    "Settings": settings_checks,
    "Ledger": ledger_checks,
    "Stripe": stripe_checks,
    "Receiver": receiver_checks,
    "Salesforce": salesforce_checks,
    "Listener": listener_checks,
}


class Doctor:
    """The checks of each service, as a process that has just started makes them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Remember what to change the environment with."""
        self._environment = monkeypatch

    def set(self, **values: str) -> None:
        """Change settings."""
        for name, value in values.items():
            self._environment.setenv(f"INVOICING_{name}", value)

    def looks(self, *groups: str) -> dict[str, Finding]:
        """What each check of some groups finds, by its name; of all groups unless told."""
        forget()
        chosen = {"Settings", "Ledger", *groups} if groups else set(GROUPS)
        checks = [check for group, make in GROUPS.items() if group in chosen for check in make()]
        found = {finding.name: finding for finding in examine(checks)}
        assert len(found) == len(checks)
        return found

    def fails(self, *groups: str) -> dict[str, str]:
        """What is said of the checks that fail; each of them has a remedy of one line."""
        failed = {n: f for n, f in self.looks(*groups).items() if f.verdict == "fail"}
        assert all(found.remedy and "\n" not in found.remedy for found in failed.values())
        return {name: found.said for name, found in failed.items()}

    def cannot_tell(self, *groups: str) -> dict[str, str]:
        """What is said of the checks that could be made and told nothing."""
        found = self.looks(*groups).items()
        return {n: f.said for n, f in found if f.verdict == "unknown" and not f.waits}


def forget() -> None:
    """Let everything that is read once in a process be read again."""
    for cache in (settings, org_mapping, stripe.client, salesforce.client, database.engine):
        cache.cache_clear()


@pytest.fixture
def doctor(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doctor]:
    """All is as it should be: a receiver runs, Stripe sends its events there, somebody listens."""
    with running(lambda _url: build_app(settings())) as url, monkeypatch.context() as changed:
        changed.setenv("INVOICING_RECEIVER__URL", url)
        settings.cache_clear()
        stripe.client().create_webhook_endpoint(endpoint_url(settings()), HANDLED_TYPES)
        stream_positions.move(settings().salesforce.request_stream, b"place")
        yield Doctor(changed)
    forget()

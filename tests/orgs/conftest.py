"""Orgs of every kind, each served when a story first needs it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from prefect.settings import PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from invoicing.connectors.prefect import Prefect, RunState
from tests.conftest import Sandbox
from tests.faults import runner
from tests.faults.process_patches import hurry
from tests.orgs.org_client import OrgClient
from tests.orgs.org_world import OrgWorld, Servers, environment_setter, forget
from tests.orgs.profiles import PROFILES

Enter = Callable[[Sequence[str]], OrgWorld]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The sandboxes of orgs that are made of something else than our package as it is."""
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("orgs"), stack)


@pytest.fixture
def enter(
    environment: None,
    salesforce_sandbox: Sandbox,
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Enter]:
    """Make the org be what some profiles say, with the demo's records, and settings for it."""
    hurry()
    monkeypatch.setattr(runner, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("INVOICING_REMINDERS__BEFORE_DUE", "[45]")
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"USD": "100000"}')
    monkeypatch.setattr(Prefect, "start", lambda _, flow, __, key: f"{flow} {key}")
    monkeypatch.setattr(Prefect, "start_unless_started", lambda *_: True)
    monkeypatch.setattr(Prefect, "unfinished", lambda *_: [])
    monkeypatch.setattr(Prefect, "state", lambda _, run: RunState(run, "SCHEDULED", ""))

    def make(names: Sequence[str]) -> OrgWorld:
        some = [PROFILES[name] for name in names]
        variants = tuple(profile.variant for profile in some if profile.variant)
        namespace = next((profile.namespace for profile in some if profile.namespace), "")
        sandbox = salesforce_sandbox
        setting = environment_setter(monkeypatch)
        if variants or namespace:
            served = servers.serve(variants, namespace)
            sandbox = served.sandbox
            port = sandbox.admin("GET", "pubsub")["port"]
            setting("SALESFORCE__URL", sandbox.url)
            setting("SALESFORCE__PUBSUB_URL", f"http://127.0.0.1:{port}")
            if served.mapping:
                setting("MAPPING", str(served.mapping))
        if namespace:
            setting("SALESFORCE__NAMESPACE", namespace)
        wanted = [name for profile in some for name in profile.sandbox]
        sandbox.admin("POST", "reset", seed="demo", profiles=wanted)
        forget()
        return OrgWorld(sandbox, OrgClient(sandbox.url), setting, tmp_path)

    with temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}):
        yield make
    salesforce_sandbox.admin("POST", "reset", seed="demo")
    forget()

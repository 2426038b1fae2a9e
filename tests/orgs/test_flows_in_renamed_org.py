"""No flow goes past the field mapping: each one's story, in an org without a name of ours.

Every object, field, relationship and picklist value of the package has another name there, so
whatever still goes out under ours is refused, as a real org would refuse it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import delete

from deployments.local.stack import SALESFORCE_PACKAGE
from invoicing.connectors import salesforce
from invoicing.connectors.prefect import Prefect
from invoicing.ledger.database import session
from invoicing.ledger.models import Lease
from invoicing.mapping import org_field_reader, org_mapping
from invoicing.mapping_check import main
from invoicing.settings import settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from tests.conftest import Sandbox
from tests.faults.assertions import settle_down
from tests.faults.process_patches import without_prefect
from tests.faults.runner import deployed, outcome_of
from tests.faults.stories import BILL_TO, STORIES
from tests.orgs.org_client import People
from tests.orgs.renamed_org import PREFIX, rename

NEED_PREFECT = {"raise-invoice-wizard", "refresh-choices"}
"""Stories that need a Prefect server: to ask a person, to change a form."""


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Path]]:
    """A sandbox of the org, and its field mapping."""
    folder = tmp_path_factory.mktemp("renamed")
    mapping = folder / "mapping.toml"
    mapping.write_text(rename(SALESFORCE_PACKAGE, folder), encoding="utf-8")
    with running(lambda url: application(open_org(folder), url, first="empty")) as url:
        yield Sandbox(url), mapping


def forget() -> None:
    """Read the settings and the field mapping again."""
    for cache in (settings, salesforce.client, org_mapping, org_field_reader):
        cache.cache_clear()


@pytest.fixture
def org(
    environment: None, renamed: tuple[Sandbox, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[People]:
    """The org with one customer and three products."""
    sandbox, mapping = renamed
    sandbox.admin("POST", "reset", seed="empty")
    monkeypatch.setenv("INVOICING_SALESFORCE__URL", sandbox.url)
    monkeypatch.setenv("INVOICING_MAPPING", str(mapping))
    monkeypatch.setenv("INVOICING_REMINDERS__BEFORE_DUE", "[45]")
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"USD": "100000"}')
    monkeypatch.setattr(Prefect, "start", lambda _, flow, __, key: f"{flow} {key}")
    monkeypatch.setattr(Prefect, "start_unless_started", lambda *_: True)
    monkeypatch.setattr(Prefect, "unfinished", lambda *_: [])
    forget()
    people = People(sandbox.url)
    email = {f"{PREFIX}Invoice_Email__c": "billing@acme.example.com"}
    acme = people.create("Account", Name="Acme Corporation", CurrencyIsoCode="USD", **email)
    people.create("Contact", AccountId=acme, LastName="Coyote", Email=BILL_TO)
    people.sell("USD", Consulting=150, Onboarding=2500, Training_Day=1800)
    yield people
    forget()


def test_the_org_has_everything_under_other_names(
    org: People, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the command that checks the field mapping says so."""
    main()
    assert "has everything" in capsys.readouterr().out


@pytest.mark.parametrize("flow", sorted(set(STORIES) - NEED_PREFECT))
def test_the_story_ends_as_it_does_under_our_names(org: People, flow: str) -> None:
    """Prepared, run, compared twice: the same end."""
    deployed()  # imports every flow, which is what is called plainly then
    story = STORIES[flow]
    with without_prefect():
        parameters = story.prepare()
        with session() as ledger:
            ledger.execute(delete(Lease))  # of runs that are over by now
        outcome = outcome_of(flow, **parameters)
        assert not isinstance(outcome, Exception), outcome
        facts = settle_down()
    assert list(story.ends(facts, parameters)) == []

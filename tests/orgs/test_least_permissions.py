"""Every flow works as the user that the package is for: with its permission set, and no more."""

from collections.abc import Iterator

import pytest
from sqlmodel import delete

from invoicing.connectors.prefect import Prefect
from invoicing.ledger.database import session
from invoicing.ledger.models import Lease
from invoicing.mapping_check import main
from tests.conftest import Sandbox
from tests.faults.assertions import settle_down
from tests.faults.process_patches import without_prefect
from tests.faults.runner import deployed, outcome_of
from tests.faults.stories import STORIES

INTEGRATION = "Invoice_Integration"

NEED_PREFECT = {"raise-invoice-wizard", "refresh-choices"}
"""Stories that need a Prefect server: to ask a person, to change a form."""

BEGUN_BY_PEOPLE = {"bulk-raise", "reject-invoice", "watch-salesforce"}
"""Stories that begin with what only people may do: winning an Opportunity, pressing a button."""

TOUCHED_MOST = {"send-invoice", "full-sync"}
"""Stories of `make test`."""

STORIES_HERE = [
    pytest.param(flow, marks=pytest.mark.standard) if flow in TOUCHED_MOST else flow
    for flow in sorted(set(STORIES) - NEED_PREFECT)
]


@pytest.fixture
def user(
    environment: None, salesforce_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The integration user of a demo org; people do what they do there as before."""
    monkeypatch.setenv("INVOICING_REMINDERS__BEFORE_DUE", "[45]")
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"USD": "100000"}')
    monkeypatch.setattr(Prefect, "start", lambda _, flow, __, key: f"{flow} {key}")
    monkeypatch.setattr(Prefect, "start_unless_started", lambda *_: True)
    monkeypatch.setattr(Prefect, "unfinished", lambda *_: [])
    salesforce_sandbox.admin("POST", "user", permission_sets=[INTEGRATION])
    yield
    salesforce_sandbox.admin("POST", "user")


def test_the_check_of_the_org_agrees(user: None, capsys: pytest.CaptureFixture[str]) -> None:
    """What it looks for is what the permission set grants."""
    main()
    assert "has everything" in capsys.readouterr().out


@pytest.mark.parametrize("flow", STORIES_HERE)
def test_the_story_ends_as_it_does_with_every_right(
    user: None, salesforce_sandbox: Sandbox, flow: str
) -> None:
    """Prepared, run, compared twice: the same end."""
    deployed()  # imports every flow, which is what is called plainly then
    story = STORIES[flow]
    with without_prefect():
        sets = None if flow in BEGUN_BY_PEOPLE else [INTEGRATION]
        salesforce_sandbox.admin("POST", "user", permission_sets=sets)
        parameters = story.prepare()
        salesforce_sandbox.admin("POST", "user", permission_sets=[INTEGRATION])
        with session() as ledger:
            ledger.execute(delete(Lease))  # of runs that are over by now
        outcome = outcome_of(flow, **parameters)
        assert not isinstance(outcome, Exception), outcome
        facts = settle_down()
    assert list(story.ends(facts, parameters)) == []

"""Every flow's story in an org whose own people have set up rules, several at once.

What passes with time costs nothing but time; what the org changes as it saves is its own matter.
"""

import pytest
from sqlmodel import delete

from invoicing.connectors.prefect import Prefect
from invoicing.ledger.database import session
from invoicing.ledger.models import Lease
from tests.conftest import Sandbox
from tests.faults.assertions import settle_down
from tests.faults.process_patches import hurry, without_prefect
from tests.faults.runner import deployed, outcome_of
from tests.faults.stories import STORIES

NEED_PREFECT = {"raise-invoice-wizard", "refresh-choices"}
"""Stories that need a Prefect server: to ask a person, to change a form."""

ORGS = {
    "busy": ["rows-busy", "triggers-busy", "duplicates-alerted"],
    "changing": ["numbers-prefixed", "lines-in-capitals"],
}


@pytest.fixture
def story_world(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo org, and nobody who waits."""
    hurry()
    monkeypatch.setenv("INVOICING_REMINDERS__BEFORE_DUE", "[45]")
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"USD": "100000"}')
    monkeypatch.setattr(Prefect, "start", lambda _, flow, __, key: f"{flow} {key}")
    monkeypatch.setattr(Prefect, "start_unless_started", lambda *_: True)
    monkeypatch.setattr(Prefect, "unfinished", lambda *_: [])


@pytest.mark.parametrize("flow", sorted(set(STORIES) - NEED_PREFECT))
@pytest.mark.parametrize("org", sorted(ORGS))
def test_the_story_ends_as_in_an_org_without_rules(
    story_world: None, salesforce_sandbox: Sandbox, org: str, flow: str
) -> None:
    """Prepared, run, compared twice: the same end."""
    deployed()  # imports every flow, which is what is called plainly then
    story = STORIES[flow]
    with without_prefect():
        parameters = story.prepare()
        with session() as ledger:
            ledger.execute(delete(Lease))  # of runs that are over by now
        salesforce_sandbox.admin("POST", "rules", profiles=ORGS[org])
        outcome = outcome_of(flow, **parameters)
        assert not isinstance(outcome, Exception), outcome
        facts = settle_down()
    assert list(story.ends(facts, parameters)) == []

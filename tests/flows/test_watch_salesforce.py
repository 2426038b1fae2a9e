"""A record asks for something, and it is done once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from prefect.exceptions import Abort

from deployments.local.stack import SALESFORCE_PACKAGE
from flows.watch_salesforce import watch_salesforce
from invoicing.connectors import salesforce
from invoicing.connectors.prefect import Prefect
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import InvoicingError
from invoicing.ledger import action_field_requests, stream_positions
from invoicing.settings import settings
from tasks.requests.action_field import FLOW_BY_ACTION
from tasks.runtime.run_name import this_attempt
from tests.conftest import ROOT, Sandbox
from tests.flows.conftest import Deployed, Org
from tests.leases import release

PICKLIST = (
    SALESFORCE_PACKAGE / "objects/Stripe_Invoice__c/fields/Action_Requested__c.field-meta.xml"
)


def asks_for(org: Org, name: str) -> object:
    """What a record's action field says."""
    soql = f"SELECT Action_Requested__c FROM Stripe_Invoice__c WHERE Name = '{name}'"
    return org.query(soql)[0]["Action_Requested__c"]


def test_every_action_of_the_field_is_a_deployed_flow() -> None:
    """What people can choose is what there is."""
    ns = {"sf": "http://soap.sforce.com/2006/04/metadata"}
    offered = ElementTree.parse(PICKLIST).findall(".//sf:value/sf:fullName", ns)  # noqa: S314
    assert {value.text for value in offered} == set(FLOW_BY_ACTION)
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert set(FLOW_BY_ACTION.values()) <= {entry["name"] for entry in deployments}


def test_a_request_is_started_once_and_the_field_is_cleared(
    draft: Callable[..., InvoiceOutcome], org: Org, deployed: Deployed
) -> None:
    """However often we look."""
    name = draft().name
    org.set(name, Action_Requested__c="Send")
    assert watch_salesforce().sentence == (
        "1 record asked for something; 1 run started: send-invoice."
    )
    assert asks_for(org, name) is None
    assert watch_salesforce().sentence == "0 records asked for something; 0 runs started."
    assert deployed.runs("send-invoice") == 1


def test_asking_again_is_another_request(
    draft: Callable[..., InvoiceOutcome], org: Org, deployed: Deployed
) -> None:
    """First sync, then sync again: two runs."""
    name = draft().name
    for _ in range(2):
        org.set(name, Action_Requested__c="Sync")
        watch_salesforce()
    assert deployed.runs("sync-invoice") == 2


def test_a_record_that_salesforce_commits_late_is_heard(
    draft: Callable[..., InvoiceOutcome], org: Org, deployed: Deployed
) -> None:
    """Another one, that says it changed minutes later, was seen before it."""
    org.set(draft().name, Action_Requested__c="Sync")
    stream_positions.move_cursor(
        f"requests:{settings().salesforce.org_id}", datetime.now(UTC) + timedelta(minutes=3)
    )
    watch_salesforce()
    assert deployed.runs("sync-invoice") == 1


@pytest.mark.parametrize("kind", ["lost", "refuse"])
def test_trouble_while_clearing_starts_one_run(
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    deployed: Deployed,
    salesforce_sandbox: Sandbox,
    kind: str,
) -> None:
    """The answer is lost, or Salesforce is away for a moment."""
    name = draft().name
    org.set(name, Action_Requested__c="Send")
    rule = {"kind": kind, "method": "PATCH", "path": "*/sobjects/*", "count": 1}
    salesforce_sandbox.admin("POST", "faults", rules=[rule])
    watch_salesforce()
    assert asks_for(org, name) is None
    assert deployed.runs("send-invoice") == 1


def test_prefect_away_between_clearing_and_starting(
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    deployed: Deployed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The field is cleared already, and the request is not forgotten."""
    name = draft().name
    org.set(name, Action_Requested__c="Send")

    def away(*_: object) -> str:
        raise InvoicingError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(Prefect, "start", away)
        with pytest.raises(InvoicingError, match="killed here"):
            watch_salesforce()
    assert asks_for(org, name) is None
    assert watch_salesforce().sentence.endswith("1 run started: send-invoice.")
    assert deployed.runs("send-invoice") == 1


def test_killed_before_the_run_is_noted(
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    deployed: Deployed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run was started, and its starter died: it is the same run that is found again."""
    org.set(draft().name, Action_Requested__c="Send")
    note = action_field_requests.mark

    def killed(number: int, *, run_id: str | None = None, **marked: Any) -> None:
        if run_id:
            raise InvoicingError("killed here")
        note(number, **marked)

    with monkeypatch.context() as patch:
        patch.setattr(action_field_requests, "mark", killed)
        with pytest.raises(InvoicingError, match="killed here"):
            watch_salesforce()
    watch_salesforce()
    assert deployed.runs("send-invoice") == 1


Sleep = Callable[[Any, str, Callable[[], object]], None]


@pytest.fixture
def sleeps_behind(monkeypatch: pytest.MonkeyPatch) -> Sleep:
    """Lets a run sleep once it has read what is asked for, until another has done all of it."""

    def let(reader: Any, call: str, happens: Callable[[], object]) -> None:
        read = getattr(reader, call)

        def and_sleep(*given: Any) -> Any:
            waiting = read(*given)
            if waiting and "Send" in repr(waiting):
                monkeypatch.setattr(reader, call, read)
                release(f"requests:{settings().salesforce.org_id}", this_attempt())
                watch_salesforce()
                happens()
            return waiting

        monkeypatch.setattr(reader, call, and_sleep)

    return let


def test_what_another_has_started_meanwhile_is_not_asked_for_again(
    draft: Callable[..., InvoiceOutcome], org: Org, deployed: Deployed, sleeps_behind: Sleep
) -> None:
    """A run has read it, and sleeps until another one has cleared and started it."""
    org.set(draft().name, Action_Requested__c="Send")
    sleeps_behind(salesforce.client(), "query", lambda: None)
    with pytest.raises(Abort, match="others have gone on with its work"):
        watch_salesforce()
    watch_salesforce()
    assert deployed.runs("send-invoice") == 1


def test_what_is_asked_for_next_is_not_cleared_with_what_was_asked_before(
    draft: Callable[..., InvoiceOutcome], org: Org, deployed: Deployed, sleeps_behind: Sleep
) -> None:
    """A run sleeps before it clears the field, which asks for something else by then."""
    name = draft().name
    org.set(name, Action_Requested__c="Send")
    sleeps_behind(
        action_field_requests, "unfinished", lambda: org.set(name, Action_Requested__c="Sync")
    )
    with pytest.raises(Abort, match="others have gone on with its work"):
        watch_salesforce()
    watch_salesforce()
    assert (deployed.runs("send-invoice"), deployed.runs("sync-invoice")) == (1, 1)

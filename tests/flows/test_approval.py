"""Where Salesforce cannot ask: above a limit, somebody has to say yes in Prefect's dialogue."""

from collections.abc import Callable
from typing import Any

import pytest
from prefect.states import Failed

from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.send_scheduled import send_scheduled
from invoicing.connectors import salesforce
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.model.dates import written
from invoicing.errors import Rejected
from invoicing.ledger import leases
from invoicing.settings import settings
from tasks.sending.pending_sends import being_sent
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Deployed, Org
from tests.flows.dialogues import Conversation
from tests.leases import acquire, release

Raise = Callable[..., InvoiceOutcome]
YES = {"decision": "Approve", "approver": "Anna Ledger"}


@pytest.fixture(autouse=True)
def limit(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 2,000 dollars somebody is asked; the draft of these tests is over 2,450."""
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"usd": "2000"}')
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
    settings.cache_clear()


def approval(org: Org, name: str) -> dict[str, Any]:
    """What the record says about approval."""
    fields = "Approval_Status__c, Approved_By__c, Approved_At__c, Approved_Amount__c"
    soql = f"SELECT Id, {fields}, Approval_Comment__c FROM Stripe_Invoice__c WHERE Name = '{name}'"
    return org.query(soql)[0]


def says_nothing(org: Org, name: str) -> None:
    """Make sure that a record says nothing of approval."""
    said = approval(org, name)
    assert {field: said[field] for field in said if "Appro" in field and said[field]} == {}


def test_it_waits_for_a_yes_and_holds_nothing(
    draft: Raise, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Nobody hears of it while somebody thinks; then who, when and what is on the record."""
    name = draft().name
    talk = Conversation(send_invoice, invoice=name)
    assert "May INV-0001 be sent to Acme Corporation?" in talk.said
    assert "2,450.00 USD" in talk.said
    assert "| 2,000.00 | 2,000.00 USD |" in talk.said
    assert f"due {written(NEXT_MONTH)}" in talk.said
    waiting = approval(org, name)
    assert waiting["Approval_Status__c"] == "Waiting"
    assert leases.expiry(waiting["Id"]) is None
    assert stripe_sandbox.admin("GET", "mail")["data"] == []
    assert "was sent to Acme" in talk.answer(**YES, comment="As agreed")
    decided = approval(org, name)
    assert (decided["Approval_Status__c"], decided["Approved_By__c"]) == ("Approved", "Anna Ledger")
    assert float(decided["Approved_Amount__c"]) == 2450
    assert decided["Approved_At__c"]
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 1


def test_declined_it_stays_a_draft_with_the_reason(draft: Raise, org: Org) -> None:
    """A no needs a reason, which is on the record; asking again is possible."""
    name = draft().name
    talk = Conversation(send_invoice, invoice=name)
    no = {"decision": "Decline", "approver": "Anna Ledger"}
    assert "why it is declined" in talk.answer(**no)
    assert "declined by Anna Ledger: Wrong customer" in talk.answer(**no, comment="Wrong customer")
    record = org.record(name)
    assert record["Status__c"] == "Draft"
    assert "Wrong customer" in record["Sync_Message__c"]
    assert approval(org, name)["Approval_Status__c"] == "Declined"
    assert Conversation(send_invoice, invoice=name).waits


def test_nobody_decided_in_time(
    draft: Raise, org: Org, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """The record no longer says that it waits, but what to do; then somebody is asked again."""
    name = draft().name
    talk = Conversation(send_invoice, invoice=name.lower())
    assert "expired" not in send_scheduled().sentence
    assert approval(org, name)["Approval_Status__c"] == "Waiting"
    deployed.put("send-invoice", Failed())
    at_work = approval(org, name)["Id"], "a run that has just asked"
    acquire(*at_work)
    assert "expired" not in send_scheduled().sentence
    release(*at_work)
    assert send_scheduled().sentence.endswith("1 approval expired.")
    record = org.record(name)
    assert approval(org, name)["Approval_Status__c"] == "Expired"
    assert (record["Status__c"], record["Sync_State__c"]) == ("Draft", "Failed")
    assert "Send it again, and the approvers are asked again." in record["Sync_Message__c"]
    assert "expired" not in send_scheduled().sentence
    talk = Conversation(send_invoice, invoice=name)
    assert approval(org, name)["Approval_Status__c"] == "Waiting"
    assert "was sent" in talk.answer(**YES)
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 1


def test_what_begins_to_wait_while_others_expire_goes_on_waiting(
    draft: Raise, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run has asked since those that are at work were looked at."""
    late, other = draft().name, draft().name
    Conversation(send_invoice, invoice=late)
    deployed.put("send-invoice", Failed())

    def and_one_more_asks() -> set[str]:
        asking = being_sent()
        Conversation(send_invoice, invoice=other)
        return asking

    monkeypatch.setattr("tasks.sending.approval.being_sent", and_one_more_asks)
    assert send_scheduled().sentence.endswith("1 approval expired.")
    assert approval(org, late)["Approval_Status__c"] == "Expired"
    assert approval(org, other)["Approval_Status__c"] == "Waiting"


def test_what_was_made_small_and_sent_does_not_expire(
    draft: Raise, org: Org, deployed: Deployed
) -> None:
    """Nobody has answered, and nobody had to: it does not say that it was not sent."""
    name = draft().name
    Conversation(send_invoice, invoice=name)
    revise_invoice(name, remove=[2])
    assert "was sent" in send_invoice(name).sentence
    says_nothing(org, name)
    deployed.put("send-invoice", Failed())
    assert "expired" not in send_scheduled().sentence
    assert org.record(name)["Sync_State__c"] == "Clean"


@pytest.mark.parametrize("before", ["Expired", "Declined", "Approved"])
def test_what_goes_out_unasked_says_nothing_of_what_was_before(
    draft: Raise, org: Org, deployed: Deployed, stripe_sandbox: Sandbox, before: str
) -> None:
    """It was asked about once, and is another, small invoice by now, which nobody had to see."""
    name = draft().name
    talk = Conversation(send_invoice, invoice=name)
    if before == "Expired":
        deployed.put("send-invoice", Failed())
        send_scheduled()
    else:
        rule = {"kind": "refuse", "path": "*/finalize", "status": 400, "count": 1}
        stripe_sandbox.admin("POST", "faults", rules=[rule])
        talk.answer(decision=before.rstrip("d"), approver="Anna Ledger", comment="As agreed")
    assert approval(org, name)["Approval_Status__c"] == before
    revise_invoice(name, remove=[2])
    stripe_sandbox.admin("POST", "faults", rules=[])
    assert "was sent" in send_invoice(name).sentence
    says_nothing(org, name)


def test_an_approval_that_counts_stays_where_the_limit_was_raised(
    draft: Raise, org: Org, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody said yes to this very content; that nobody had to does not undo it."""
    name = draft().name
    talk = Conversation(send_invoice, invoice=name)
    rule = {"kind": "refuse", "path": "*/finalize", "status": 400, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    talk.answer(**YES)
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"usd": "5000"}')
    settings.cache_clear()
    assert "was sent" in send_invoice(name).sentence
    decided = approval(org, name)
    assert (decided["Approval_Status__c"], decided["Approved_By__c"]) == ("Approved", "Anna Ledger")


def test_an_approval_is_for_what_was_approved(draft: Raise, org: Org) -> None:
    """The draft was changed while somebody thought: the answer no longer counts."""
    name = draft().name
    talk = Conversation(send_invoice, invoice=name)
    revise_invoice(name, description="Twice the services")
    assert "Twice the services" in talk.answer(**YES)
    assert org.record(name)["Status__c"] == "Draft"
    assert "was sent" in talk.answer(**YES)


def test_changed_by_hand_after_a_sending_died(
    draft: Raise, org: Org, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun may be finished unasked, but not with ten times as much on it."""

    class Killed(BaseException):
        """The process is gone."""

    def die(*_: Any) -> None:
        raise Killed

    name = draft(lines=[{"product": "Consulting", "quantity": "1"}]).name
    with monkeypatch.context() as patch:
        patch.setattr(Stripe, "finalize", die)
        with pytest.raises(Killed):
            send_invoice(name)
    [line] = org.record(name)["Lines__r"]["records"]
    salesforce.client().update("Stripe_Invoice_Line__c", line["Id"], {"Quantity__c": 100})
    talk = Conversation(send_invoice, invoice=name)
    assert talk.waits
    assert stripe_sandbox.admin("GET", "mail")["data"] == []
    assert "was sent" in talk.answer(**YES)


def test_only_who_may(draft: Raise, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named approvers are a list to choose from; nobody else is taken."""
    monkeypatch.setenv("INVOICING_APPROVAL__APPROVERS", '["Chief", "Deputy"]')
    settings.cache_clear()
    talk = Conversation(send_invoice, invoice=draft().name)
    assert talk.choices("approver") == ["Chief", "Deputy"]
    assert talk.refused(**YES)
    assert "was sent" in talk.answer(decision="Approve", approver="Deputy")


def test_who_was_taken_off_the_list_meanwhile_may_not(
    draft: Raise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form still offers the name: what counts is who may when it is answered."""
    monkeypatch.setenv("INVOICING_APPROVAL__APPROVERS", '["Chief", "Deputy"]')
    settings.cache_clear()
    talk = Conversation(send_invoice, invoice=draft().name)
    monkeypatch.setenv("INVOICING_APPROVAL__APPROVERS", '["Chief"]')
    settings.cache_clear()
    said = talk.answer(decision="Approve", approver="Deputy")
    assert "Deputy may not approve; Chief may." in said
    assert "was sent" in talk.answer(decision="Approve", approver="Chief")


def test_a_blank_is_nobodys_name(draft: Raise) -> None:
    """Somebody has to be named on the record."""
    talk = Conversation(send_invoice, invoice=draft().name)
    assert "The approver's name is missing." in talk.answer(decision="Approve", approver=" ")


def test_other_currencies_and_small_amounts_are_not_asked_for(draft: Raise, org: Org) -> None:
    """As before, without a deployment; above the limit that is refused, and nothing is sent."""
    small = draft(lines=[{"product": "Onboarding", "unit_price": "2000"}])
    assert "was sent" in send_invoice(small.name).sentence
    big = draft()
    with pytest.raises(Rejected, match="nobody can be asked here"):
        send_invoice(big.name)
    assert org.record(big.name)["Status__c"] == "Draft"

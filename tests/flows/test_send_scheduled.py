"""A draft with a sending date is sent when its day has come."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from prefect.states import Failed, Suspended

from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.send_scheduled import send_scheduled
from invoicing.connectors import prefect
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.errors import Rejected
from tasks.runtime.clock import today
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org

Raise = Callable[..., InvoiceOutcome]


def test_each_draft_is_started_once_when_its_day_has_come(
    draft: Raise, org: Org, deployed: Deployed
) -> None:
    """Today's is started, tomorrow's waits, and those without a date are left alone."""
    draft(options=Options(send_on=today()))
    tomorrow = draft(options=Options(send_on=today() + timedelta(days=1))).name
    draft()
    assert send_scheduled().sentence == "The day of 1 draft has come; 1 run started."
    assert send_scheduled().sentence == "The day of 1 draft has come; 0 runs started."
    org.set(tomorrow, Send_On__c=today().isoformat())
    send_scheduled()
    assert deployed.runs("send-invoice") == 2


def test_what_failed_is_tried_once_more_a_day(
    draft: Raise, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draft that could not be sent is not forgotten, and not tried every hour either."""
    name = draft(options=Options(send_on=today())).name
    send_scheduled()
    for _ in range(3):
        deployed.put("send-invoice", Failed())
        revise_invoice(invoice=name, description="Put right")
        send_scheduled()
    assert deployed.runs("send-invoice") == 2
    monkeypatch.setattr("tasks.sending.scheduled.today", lambda: today() + timedelta(days=1))
    for _ in range(2):
        send_scheduled()
        deployed.put("send-invoice", Failed())
    assert deployed.runs("send-invoice") == 3


def test_another_day_is_another_attempt(draft: Raise, org: Org, deployed: Deployed) -> None:
    """It failed twice on its day; put right and given another day, it is tried on that."""
    name = draft(options=Options(send_on=today())).name
    for _ in range(2):
        send_scheduled()
        deployed.put("send-invoice", Failed())
    org.set(name, Send_On__c=(today() - timedelta(days=1)).isoformat())
    assert send_scheduled().sentence == "The day of 1 draft has come; 1 run started."


def test_what_waits_for_an_approval_is_not_started_again(
    draft: Raise, org: Org, deployed: Deployed
) -> None:
    """Whatever else went wrong with the record meanwhile; nobody is asked the same twice."""
    name = draft(options=Options(send_on=today())).name
    send_scheduled()
    deployed.put("send-invoice", Suspended())
    org.set(name, Sync_State__c="Failed")
    assert send_scheduled().sentence == "The day of 1 draft has come; 0 runs started."


@pytest.mark.parametrize("named", [" inv-0001 ", "its short id", "its id in Stripe"])
def test_what_somebody_has_sent_by_hand_is_left_to_that_run(
    draft: Raise, org: Org, deployed: Deployed, named: str
) -> None:
    """By whichever name they know it; nobody is asked to approve it twice."""
    name = draft(options=Options(send_on=today())).name
    org.set(name, Stripe_Invoice_Id__c="in_1Draft")
    names = {"its short id": str(org.record(name)["Id"])[:15], "its id in Stripe": "in_1Draft"}
    prefect.client().start("send-invoice", {"invoice": names.get(named, named)}, "by hand")
    deployed.put("send-invoice", Suspended())
    assert send_scheduled().sentence == "The day of 1 draft has come; 0 runs started."


def test_what_was_declined_is_not_asked_about_each_day(
    draft: Raise, org: Org, deployed: Deployed
) -> None:
    """Its day has come, and an approver has said no: only a person sends it again."""
    name = draft(options=Options(send_on=today())).name
    org.set(name, Approval_Status__c="Declined")
    assert send_scheduled().sentence == "The day of 0 drafts has come; 0 runs started."
    org.set(name, Approval_Status__c=None)
    assert send_scheduled().sentence == "The day of 1 draft has come; 1 run started."


def test_a_sending_date_can_be_taken_back(draft: Raise, deployed: Deployed) -> None:
    """Cleared, it is sent by hand only; a date that has passed is refused."""
    name = draft(options=Options(send_on=today())).name
    revise_invoice(invoice=name, clear=["sending date"])
    send_scheduled()
    assert deployed.runs("send-invoice") == 0
    with pytest.raises(Rejected, match=r"sending date .* has passed"):
        revise_invoice(invoice=name, options=Options(send_on=today() - timedelta(days=1)))


@pytest.mark.parametrize("days", [9, None])
def test_another_day_is_chosen_while_the_run_waits_for_a_worker(
    draft: Raise, org: Org, deployed: Deployed, stripe_sandbox: Sandbox, days: int | None
) -> None:
    """The run was started for a day that counts no more: nothing is sent until the new one."""
    name = draft(options=Options(send_on=today())).name
    send_scheduled()
    org.set(name, Send_On__c=days and (today() + timedelta(days=days)).isoformat())
    deployed.carry_out(send_invoice)
    assert org.record(name)["Status__c"] == "Draft"
    assert not stripe_sandbox.admin("GET", "mail")["data"]
    org.set(name, Send_On__c=(today() - timedelta(days=1)).isoformat())
    send_scheduled()
    deployed.carry_out(send_invoice)
    assert org.record(name)["Status__c"] == "Open"

"""Approvers decide in Salesforce, which knows who they are and refuses everybody else."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import requests
import stripe
from prefect.states import Failed, Scheduled

from flows.preview_invoice import preview_invoice
from flows.reject_invoice import reject_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.send_scheduled import send_scheduled
from flows.sync_invoice import sync_invoice
from flows.watch_salesforce import watch_salesforce
from invoicing.connectors import salesforce
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem
from invoicing.errors import Rejected
from invoicing.settings import settings
from tasks.sending.finalize_and_deliver import conclude_sending
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org
from tests.flows.dialogues import Conversation, Killed

Draft = Callable[..., InvoiceOutcome]
APPROVER, USER = ("Invoice_Approver",), ("Invoice_User",)


class Person:
    """Somebody who calls Salesforce's API as themselves."""

    def __init__(self, sandbox: Sandbox, name: str, *sets: str) -> None:
        """Let there be such a user, with some permission sets."""
        made = sandbox.admin("POST", "people", name=name, permission_sets=list(sets))
        self.id: str = made["id"]
        self._at = f"{sandbox.url}/services/data/v67.0/sobjects"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {made['access_token']}"

    def create(self, sobject: str, **fields: Any) -> requests.Response:
        """Create a record."""
        return self._session.post(f"{self._at}/{sobject}", json=fields, timeout=60)

    def change(self, sobject: str, record_id: str, **fields: Any) -> requests.Response:
        """Change a record."""
        return self._session.patch(f"{self._at}/{sobject}/{record_id}", json=fields, timeout=60)

    def press(self, action: str, org: Org, name: str, comment: str = "", key: str = "") -> str:
        """Press Approve or Reject, as the dialogue does; returns the request's id."""
        answer = self.try_to_press(action, org, name, comment, key)
        assert answer.ok, answer.text
        return str(answer.json()["id"])

    def try_to_press(
        self, action: str, org: Org, name: str, comment: str = "", key: str = "", **more: Any
    ) -> requests.Response:
        """Press Approve or Reject; returns what Salesforce says."""
        shown = approval(org, name)
        parameters = f"approval_key: {key or shown['Approval_Key__c']}\ncomment: {comment}"
        body = {
            "Invoice__c": shown["Id"],
            "Action__c": action,
            "Open_Key__c": f"{shown['Id']}:{action}",
            "Parameters__c": parameters,
        }
        return self.create("Stripe_Invoice_Request__c", **body | more)


@pytest.fixture(autouse=True)
def limit(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 2,000 dollars somebody is asked; the draft of these tests is over 2,450."""
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"usd": "2000"}')
    settings.cache_clear()


@pytest.fixture
def ann(salesforce_sandbox: Sandbox) -> Person:
    """An approver."""
    return Person(salesforce_sandbox, "Ann Ledger", *APPROVER)


@pytest.fixture
def bo(salesforce_sandbox: Sandbox) -> Person:
    """Another approver."""
    return Person(salesforce_sandbox, "Bo Chief", *APPROVER)


@pytest.fixture
def una(salesforce_sandbox: Sandbox) -> Person:
    """Somebody who raises and sends invoices."""
    return Person(salesforce_sandbox, "Una Sales", *USER)


@pytest.fixture
def raised(org: Org, una: Person) -> str:
    """A draft over 2,450 dollars that Una raised; its name."""
    return raise_by(una, org)


def raise_by(person: Person, org: Org, price: int = 2450) -> str:
    """A draft of one line of work, raised by a person in Salesforce; its name."""
    [account] = org.query("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")
    body = {
        "Account__c": account["Id"],
        "Currency__c": "USD",
        "Description__c": "November services",
        "Due_Date__c": "2099-01-31",
    }
    made = person.create("Stripe_Invoice__c", **body)
    assert made.ok, made.text
    line = {
        "Invoice__c": made.json()["id"],
        "Description__c": "Work",
        "Quantity__c": 1,
        "Unit_Price__c": price,
    }
    assert person.create("Stripe_Invoice_Line__c", **line).ok
    soql = f"SELECT Name FROM Stripe_Invoice__c WHERE Id = '{made.json()['id']}'"
    return str(org.query(soql)[0]["Name"])


def approval(org: Org, name: str) -> dict[str, Any]:
    """What the record says about approval."""
    fields = (
        "Id, Status__c, Approval_Status__c, Approved_By__c, Approved_At__c, Approved_Amount__c, "
        "Approval_Comment__c, Approval_Key__c, Sync_Message__c"
    )
    return org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = '{name}'")[0]


def dialogue_from_now_on(monkeypatch: pytest.MonkeyPatch, *, but_not: bool = False) -> None:
    """Let Prefect's dialogue ask from now on, or Salesforce again."""
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", str(but_not))
    settings.cache_clear()


def mails(stripe_sandbox: Sandbox) -> int:
    """How many mails went out."""
    return len(stripe_sandbox.admin("GET", "mail")["data"])


def bells(salesforce_sandbox: Sandbox) -> list[dict[str, Any]]:
    """What users were notified of."""
    return list(salesforce_sandbox.admin("GET", "notifications")["sent"])


def test_it_waits_without_a_run_and_approve_sends_it(
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    salesforce_sandbox: Sandbox,
) -> None:
    """The sending ends, the approvers hear of it, and who pressed is whom the platform says."""
    said = send_invoice(raised).sentence
    assert said == (
        f"{raised} waits for approval over 2,450.00 USD. Above 2,000.00 USD, somebody has to "
        "approve."
    )
    waiting = approval(org, raised)
    assert waiting["Approval_Status__c"] == "Waiting"
    assert float(waiting["Approved_Amount__c"]) == 2450
    assert waiting["Sync_Message__c"] == said
    [bell] = bells(salesforce_sandbox)
    [group] = org.query("SELECT Id FROM Group WHERE DeveloperName = 'Invoice_Approvers'")
    assert bell["recipientIds"] == [group["Id"]]
    assert bell["title"] == f"{raised} waits for approval"
    assert bell["targetId"] == waiting["Id"]
    assert mails(stripe_sandbox) == 0
    request = ann.press("Approve", org, raised, "As agreed")
    watch_salesforce()
    deployed.carry_out(send_invoice)
    told = org.request(request)
    assert told["State__c"] == "Done"
    assert f"{raised} over 2,450.00 USD was sent to Acme" in told["Outcome__c"]
    decided = approval(org, raised)
    assert (decided["Status__c"], decided["Approval_Status__c"]) == ("Open", "Approved")
    assert (decided["Approved_By__c"], decided["Approval_Comment__c"]) == (
        "Ann Ledger",
        "As agreed",
    )
    assert decided["Approval_Key__c"] is None
    assert mails(stripe_sandbox) == 1


def test_salesforce_refuses_whoever_is_no_approver(
    raised: str, org: Org, una: Person, salesforce_sandbox: Sandbox
) -> None:
    """Through the API, without the permission: nothing is written, whatever they claim to be."""
    send_invoice(raised)
    for action in ("Approve", "Reject"):
        refused = una.try_to_press(action, org, raised, "I may")
        assert refused.status_code == 400
        [error] = refused.json()
        assert error["errorCode"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        assert "permission set Invoice Approver" in error["message"]
    nobody = Person(salesforce_sandbox, "No Body")
    assert not nobody.try_to_press("Approve", org, raised).ok
    assert org.query("SELECT Id FROM Stripe_Invoice_Request__c") == []
    assert watch_salesforce().sentence.startswith("0 records")


def test_nobody_can_be_somebody_else(raised: str, org: Org, una: Person, ann: Person) -> None:
    """Who asked is no field that can be written, and what was asked cannot be changed later."""
    send_invoice(raised)
    assert not ann.try_to_press("Approve", org, raised, CreatedById=una.id).ok
    asked = una.create(
        "Stripe_Invoice_Request__c",
        Invoice__c=approval(org, raised)["Id"],
        Action__c="Sync",
        Open_Key__c=f"{approval(org, raised)['Id']}:Sync",
    ).json()["id"]
    assert not una.change("Stripe_Invoice_Request__c", asked, Action__c="Approve").ok
    for fields in ({"Approval_Status__c": "Approved"}, {"Approved_By__c": "Ann Ledger"}):
        for person in (una, ann):
            assert not person.change("Stripe_Invoice__c", approval(org, raised)["Id"], **fields).ok


def test_an_approver_asks_for_nothing_else(raised: str, org: Org, ann: Person) -> None:
    """The permission to approve is none to void."""
    refused = ann.try_to_press("Void", org, raised)
    assert "permission set Invoice User" in refused.json()[0]["message"]


def test_the_action_field_approves_nothing(raised: str, org: Org, una: Person) -> None:
    """It forgets who wrote it."""
    send_invoice(raised)
    record_id = approval(org, raised)["Id"]
    assert not una.change("Stripe_Invoice__c", record_id, Action_Requested__c="Approve").ok


def test_a_field_that_says_approved_is_no_approval(
    raised: str, org: Org, stripe_sandbox: Sandbox
) -> None:
    """An administrator wrote it on the record."""
    send_invoice(raised)
    org.set(raised, Approval_Status__c="Approved", Approved_By__c="Ann Ledger")
    assert "waits for approval" in send_invoice(raised).sentence
    assert mails(stripe_sandbox) == 0


def test_not_by_whoever_raised_it(
    org: Org, deployed: Deployed, ann: Person, salesforce_sandbox: Sandbox, stripe_sandbox: Sandbox
) -> None:
    """An approver who raises invoices too: somebody else has to approve these."""
    both = Person(salesforce_sandbox, "Cleo Both", *APPROVER, *USER)
    name = raise_by(both, org)
    send_invoice(name)
    refused = both.press("Approve", org, name)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    told = org.request(refused)
    assert told["State__c"] == "Refused"
    assert told["Outcome__c"].startswith(f"You raised {name}")
    assert approval(org, name)["Approval_Status__c"] == "Waiting"
    assert "waits for approval" in approval(org, name)["Sync_Message__c"]
    ann.press("Approve", org, name)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert approval(org, name)["Approved_By__c"] == "Ann Ledger"
    assert mails(stripe_sandbox) == 1


@pytest.mark.parametrize("wrote", ["what is there", "a line of her own"])
def test_not_by_whoever_wrote_its_lines(
    raised: str, org: Org, una: Person, deployed: Deployed, salesforce_sandbox: Sandbox, wrote: str
) -> None:
    """Una raised it, Cleo made it dearer: then Cleo does not approve it, whoever wrote last."""
    both = Person(salesforce_sandbox, "Cleo Both", *APPROVER, *USER)
    [line] = org.record(raised)["Lines__r"]["records"]
    if wrote == "what is there":
        assert both.change("Stripe_Invoice_Line__c", line["Id"], Unit_Price__c=9000).ok
    else:
        more = {"Description__c": "More work", "Quantity__c": 1, "Unit_Price__c": 9000}
        record_id = approval(org, raised)["Id"]
        made = both.create("Stripe_Invoice_Line__c", Invoice__c=record_id, **more)
        assert una.change("Stripe_Invoice_Line__c", made.json()["id"], Quantity__c=2).ok
    send_invoice(raised)
    refused = both.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(refused)["State__c"] == "Refused"


def test_not_by_whoever_raised_what_others_wrote_all_lines_of(
    org: Org, una: Person, deployed: Deployed, salesforce_sandbox: Sandbox
) -> None:
    """Cleo raised it, and no line of hers is left."""
    both = Person(salesforce_sandbox, "Cleo Both", *APPROVER, *USER)
    name = raise_by(both, org)
    [line] = org.record(name)["Lines__r"]["records"]
    salesforce.client().delete("Stripe_Invoice_Line__c", line["Id"])
    work = {"Description__c": "Work", "Quantity__c": 1, "Unit_Price__c": 2450}
    assert una.create("Stripe_Invoice_Line__c", Invoice__c=approval(org, name)["Id"], **work).ok
    send_invoice(name)
    refused = both.press("Approve", org, name)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(refused)["Outcome__c"].startswith(f"You raised {name}")


def test_a_program_wrote_on_what_a_person_raised(
    raised: str, org: Org, ann: Person, bo: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """Somebody made it dearer by a form, and nobody knows who: two approve it."""
    revise_invoice(raised, add=[LineItem(description="More work", unit_price="9000")])
    send_invoice(raised)
    for approver, sent in ((ann, 0), (bo, 1)):
        approver.press("Approve", org, raised)
        watch_salesforce()
        deployed.carry_out(send_invoice)
        assert mails(stripe_sandbox) == sent


def test_where_two_eyes_are_enough(
    org: Org,
    deployed: Deployed,
    salesforce_sandbox: Sandbox,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A firm of one person switches it off."""
    monkeypatch.setenv("INVOICING_APPROVAL__FOUR_EYES", "false")
    settings.cache_clear()
    name = raise_by(Person(salesforce_sandbox, "Cleo Both", *APPROVER, *USER), org)
    cleo = Person(salesforce_sandbox, "Cleo Again", *APPROVER, *USER)
    send_invoice(name)
    cleo.press("Approve", org, name)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == 1


def test_what_a_program_raised_takes_two(
    draft: Draft, org: Org, deployed: Deployed, ann: Person, bo: Person, stripe_sandbox: Sandbox
) -> None:
    """Nobody knows who asked the program, so nobody approves it alone, nor twice."""
    name = draft().name
    send_invoice(name)
    for _ in range(2):
        first = ann.press("Approve", org, name)
        watch_salesforce()
        deployed.carry_out(send_invoice)
        assert org.request(first)["Outcome__c"].startswith(
            f"Ann Ledger approved {name}. A program wrote it, so another one has to as well."
        )
        assert approval(org, name)["Approval_Status__c"] == "Waiting"
        assert approval(org, name)["Approved_By__c"] == "Ann Ledger"
    bo.press("Approve", org, name)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert approval(org, name)["Approved_By__c"] == "Ann Ledger, Bo Chief"
    assert mails(stripe_sandbox) == 1


@pytest.mark.parametrize("four_eyes", ["true", "false"])
def test_a_program_is_no_approver(
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    four_eyes: str,
) -> None:
    """An administrator gave our own user the permission: whoever holds its key approves nothing."""
    monkeypatch.setenv("INVOICING_APPROVAL__FOUR_EYES", four_eyes)
    settings.cache_clear()
    send_invoice(raised)
    given = f"approval_key: {approval(org, raised)['Approval_Key__c']}"
    ours = org.ask(raised, "Approve", given)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(ours)["State__c"] == "Refused"
    assert org.request(ours)["Outcome__c"] == (
        f"You are the user as whom programs act here, and nobody but a person approves {raised}: "
        "log in as yourself, and press Approve."
    )
    assert approval(org, raised)["Approval_Status__c"] == "Waiting"
    assert mails(stripe_sandbox) == 0
    ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert approval(org, raised)["Approved_By__c"] == "Ann Ledger"
    assert mails(stripe_sandbox) == 1


def test_a_program_is_not_one_of_the_two(
    draft: Draft, org: Org, ann: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """It wrote the invoice, and cannot be the second pair of eyes either."""
    name = draft().name
    send_invoice(name)
    given = f"approval_key: {approval(org, name)['Approval_Key__c']}"
    org.ask(name, "Approve", given)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    ann.press("Approve", org, name)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert approval(org, name)["Approval_Status__c"] == "Waiting"
    assert mails(stripe_sandbox) == 0


def test_rejected_it_stays_a_draft(
    raised: str,
    org: Org,
    una: Person,
    ann: Person,
    deployed: Deployed,
    salesforce_sandbox: Sandbox,
    stripe_sandbox: Sandbox,
) -> None:
    """The reason is on the record, whoever sent it hears of it, and sending it asks again."""
    record_id = approval(org, raised)["Id"]
    fields = {"Invoice__c": record_id, "Action__c": "Send", "Open_Key__c": f"{record_id}:Send"}
    assert una.create("Stripe_Invoice_Request__c", **fields).ok
    watch_salesforce()
    deployed.carry_out(send_invoice)
    key = approval(org, raised)["Approval_Key__c"]
    request = ann.press("Reject", org, raised, "Wrong customer")
    watch_salesforce()
    deployed.carry_out(reject_invoice)
    assert org.request(request)["State__c"] == "Done"
    record = approval(org, raised)
    assert (record["Status__c"], record["Approval_Status__c"]) == ("Draft", "Declined")
    assert record["Sync_Message__c"] == f"{raised} was declined by Ann Ledger: Wrong customer."
    assert [(bell["title"], bell["recipientIds"]) for bell in bells(salesforce_sandbox)][1:] == [
        (f"{raised} was declined", [una.id])
    ]
    assert "waits for approval" in send_invoice(raised).sentence
    assert approval(org, raised)["Approval_Key__c"] not in (None, key)
    assert len(bells(salesforce_sandbox)) == 3
    late = ann.press("Approve", org, raised, key=key)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert "no longer waits for what was decided about" in org.request(late)["Outcome__c"]
    assert mails(stripe_sandbox) == 0


def test_rejected_twice(raised: str, org: Org, ann: Person, bo: Person, deployed: Deployed) -> None:
    """The first no is on the record, and stays there."""
    send_invoice(raised)
    key = approval(org, raised)["Approval_Key__c"]
    for approver in (ann, bo):
        request = approver.press("Reject", org, raised, "No", key=key)
        watch_salesforce()
        deployed.carry_out(reject_invoice)
    assert "was rejected by Ann Ledger" in org.request(request)["Outcome__c"]
    assert approval(org, raised)["Approved_By__c"] == "Ann Ledger"


def test_approve_and_reject_at_once(
    raised: str, org: Org, ann: Person, bo: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """Whoever's run comes first has decided; the other is told."""
    send_invoice(raised)
    yes, no = ann.press("Approve", org, raised), bo.press("Reject", org, raised, "No")
    watch_salesforce()
    deployed.carry_out(reject_invoice)
    deployed.carry_out(send_invoice)
    assert org.request(no)["State__c"] == "Done"
    assert "was rejected by Bo Chief" in org.request(yes)["Outcome__c"]
    assert approval(org, raised)["Approval_Status__c"] == "Declined"
    send_invoice(raised)
    yes, no = ann.press("Approve", org, raised), bo.press("Reject", org, raised, "No")
    watch_salesforce()
    deployed.carry_out(send_invoice)
    deployed.carry_out(reject_invoice)
    assert org.request(yes)["State__c"] == "Done"
    assert "was approved already, by Ann Ledger" in org.request(no)["Outcome__c"]
    assert approval(org, raised)["Approval_Status__c"] == "Approved"
    assert mails(stripe_sandbox) == 1


def test_approve_pressed_twice(
    raised: str, org: Org, ann: Person, bo: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """By one: Salesforce has the request already. By two at once: sent once, and both know."""
    send_invoice(raised)
    key = approval(org, raised)["Approval_Key__c"]
    request = ann.press("Approve", org, raised)
    assert "DUPLICATE_VALUE" in bo.try_to_press("Approve", org, raised).text
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(request)["State__c"] == "Done"
    late = bo.press("Approve", org, raised, key=key)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(late)["Outcome__c"] == f"{raised} was approved already, by Ann Ledger."
    assert mails(stripe_sandbox) == 1


@pytest.mark.parametrize("point", ["finalize", "send"])
def test_killed_between_approve_and_mail(
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    """The run is begun again, and goes on: nobody is asked again, and one mail goes out."""

    def die(*_: Any) -> None:
        raise Killed

    send_invoice(raised)
    request = ann.press("Approve", org, raised)
    watch_salesforce()
    with monkeypatch.context() as patch:
        patch.setattr(Stripe, point, die)
        with pytest.raises(Killed):
            deployed.carry_out(send_invoice)
    assert approval(org, raised)["Approval_Status__c"] == "Approved"
    deployed.put("send-invoice", Scheduled())
    deployed.carry_out(send_invoice)
    assert org.request(request)["State__c"] == "Done"
    assert mails(stripe_sandbox) == 1


def test_killed_when_all_of_what_was_approved_was_done(
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody was told: the run is begun again, and says that it was sent."""

    def and_die(*given: Any) -> None:
        conclude_sending(*given)
        raise Killed

    send_invoice(raised)
    request = ann.press("Approve", org, raised)
    watch_salesforce()
    with monkeypatch.context() as patch:
        patch.setattr("flows.send_invoice.conclude_sending", and_die)
        with pytest.raises(Killed):
            deployed.carry_out(send_invoice)
    deployed.put("send-invoice", Scheduled())
    deployed.carry_out(send_invoice)
    told = org.request(request)
    assert (told["State__c"], "was sent to Acme" in told["Outcome__c"]) == ("Done", True)
    assert mails(stripe_sandbox) == 1


def test_a_sending_that_failed_after_the_approval_is_not_asked_again(
    raised: str, org: Org, ann: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """What was approved stays approved; Send To Customer goes on."""
    send_invoice(raised)
    ann.press("Approve", org, raised)
    watch_salesforce()
    rule = {"kind": "refuse", "path": "*/finalize", "status": 400, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == 0
    assert "was sent" in send_invoice(raised).sentence
    assert mails(stripe_sandbox) == 1


def test_edited_between(
    raised: str, org: Org, una: Person, ann: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """Una changes a line while Ann looks: what Ann saw is not sent, and she is asked again."""
    send_invoice(raised)
    before = approval(org, raised)
    [line] = org.record(raised)["Lines__r"]["records"]
    assert una.change("Stripe_Invoice_Line__c", line["Id"], Unit_Price__c=9000).ok
    request = ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(request)["Outcome__c"].startswith(
        f"{raised} was changed after it was sent for approval. {raised} waits for approval over "
        "9,000.00 USD."
    )
    after = approval(org, raised)
    assert after["Approval_Status__c"] == "Waiting"
    assert after["Approval_Key__c"] != before["Approval_Key__c"]
    assert mails(stripe_sandbox) == 0
    ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == 1


def test_made_small_before_the_approval(
    raised: str, org: Org, una: Person, ann: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """It needs no approval any more; but an approver's click does not send what nobody sent."""
    send_invoice(raised)
    [line] = org.record(raised)["Lines__r"]["records"]
    assert una.change("Stripe_Invoice_Line__c", line["Id"], Unit_Price__c=100).ok
    request = ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(request)["Outcome__c"] == (
        f"{raised} was changed after it was sent for approval. It needs no approval any more; send "
        "it again."
    )
    assert approval(org, raised)["Approval_Status__c"] is None
    assert mails(stripe_sandbox) == 0
    assert "was sent" in send_invoice(raised).sentence
    assert mails(stripe_sandbox) == 1


def test_what_went_out_cannot_be_rejected(
    raised: str, org: Org, una: Person, ann: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """It was made small and sent without approval: nothing waits, and a late no is refused."""
    send_invoice(raised)
    key = approval(org, raised)["Approval_Key__c"]
    [line] = org.record(raised)["Lines__r"]["records"]
    assert una.change("Stripe_Invoice_Line__c", line["Id"], Unit_Price__c=100).ok
    assert "was sent" in send_invoice(raised).sentence
    shown = approval(org, raised)
    assert (shown["Approval_Status__c"], shown["Approval_Key__c"]) == (None, None)
    late = ann.press("Reject", org, raised, key=key)
    watch_salesforce()
    deployed.carry_out(reject_invoice)
    assert org.request(late)["State__c"] == "Refused"
    assert org.request(late)["Outcome__c"] == f"{raised} needs no approval any more."
    assert "declined" not in (approval(org, raised)["Sync_Message__c"] or "")


def test_edited_after_the_approval(
    raised: str, org: Org, ann: Person, deployed: Deployed, stripe_sandbox: Sandbox
) -> None:
    """The sending failed, the draft was changed: its approval is worth nothing."""
    send_invoice(raised)
    ann.press("Approve", org, raised)
    watch_salesforce()
    rule = {"kind": "refuse", "path": "*/finalize", "status": 400, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    deployed.carry_out(send_invoice)
    shown = approval(org, raised)
    assert (shown["Status__c"], shown["Approval_Status__c"]) == ("Draft", "Approved")
    revise_invoice(raised, due_date=date(2099, 2, 28))
    assert "waits for approval" in send_invoice(raised).sentence
    assert mails(stripe_sandbox) == 0


def test_asked_in_salesforce_and_approved_in_the_dialogue(
    raised: str, org: Org, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody switched it meanwhile, and the sending failed once: who said yes stays there."""
    send_invoice(raised)
    dialogue_from_now_on(monkeypatch)
    talk = Conversation(send_invoice, invoice=raised)
    rule = {"kind": "refuse", "path": "*/finalize", "status": 400, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    assert "was sent" not in talk.answer(decision="Approve", approver="Anna Ledger")
    assert "was sent" in send_invoice(raised).sentence
    shown = approval(org, raised)
    assert (shown["Approval_Status__c"], shown["Approved_By__c"]) == ("Approved", "Anna Ledger")


def test_what_the_dialogue_asks_is_not_answered_in_salesforce_any_more(
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody declined it there; an approver's click on the page of before sends nothing."""
    send_invoice(raised)
    key = approval(org, raised)["Approval_Key__c"]
    dialogue_from_now_on(monkeypatch)
    talk = Conversation(send_invoice, invoice=raised)
    late = ann.press("Approve", org, raised, key=key)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(late)["State__c"] == "Refused"
    assert org.request(late)["Outcome__c"] == (
        f"{raised} is decided in Prefect now: answer the run of send-invoice that waits there."
    )
    talk.answer(decision="Decline", approver="Anna Ledger", comment="Wrong customer")
    assert approval(org, raised)["Approval_Status__c"] == "Declined"
    assert mails(stripe_sandbox) == 0


def test_what_the_dialogue_asked_instead_expires_with_its_run(
    raised: str, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers here or there: the record does not wait for ever."""
    send_invoice(raised)
    dialogue_from_now_on(monkeypatch)
    Conversation(send_invoice, invoice=raised)
    deployed.put("send-invoice", Failed())
    assert send_scheduled().sentence.endswith("1 approval expired.")
    assert approval(org, raised)["Approval_Status__c"] == "Expired"


def test_asked_in_the_dialogue_and_then_in_salesforce(
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A yes in the dialogue of before counts no more, and says so; an approver's does."""
    dialogue_from_now_on(monkeypatch)
    talk = Conversation(send_invoice, invoice=raised)
    dialogue_from_now_on(monkeypatch, but_not=True)
    said = talk.answer(decision="Approve", approver="Anna Ledger")
    assert f"{raised} waits for approval over 2,450.00 USD" in said
    assert "expired" not in send_scheduled().sentence
    assert mails(stripe_sandbox) == 0
    ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert approval(org, raised)["Approved_By__c"] == "Ann Ledger"
    assert mails(stripe_sandbox) == 1


def test_asked_again_in_salesforce_after_the_dialogue(
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Switched there and back: the approvers get a new question, and their yes to it counts."""
    send_invoice(raised)
    key = approval(org, raised)["Approval_Key__c"]
    dialogue_from_now_on(monkeypatch)
    Conversation(send_invoice, invoice=raised)
    dialogue_from_now_on(monkeypatch, but_not=True)
    assert "waits for approval" in send_invoice(raised).sentence
    assert approval(org, raised)["Approval_Key__c"] not in (None, key)
    ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == 1


def test_sent_again_while_it_waits_asks_nobody_twice(
    raised: str, org: Org, salesforce_sandbox: Sandbox, deployed: Deployed
) -> None:
    """One bell, one key; and what waits in Salesforce does not expire with a run."""
    send_invoice(raised)
    key = approval(org, raised)["Approval_Key__c"]
    send_invoice(raised)
    assert approval(org, raised)["Approval_Key__c"] == key
    assert len(bells(salesforce_sandbox)) == 1
    deployed.put("send-invoice", Failed())
    assert "expired" not in send_scheduled().sentence
    assert approval(org, raised)["Approval_Status__c"] == "Waiting"


def test_who_cannot_be_notified_is_asked_all_the_same(
    raised: str, org: Org, salesforce_sandbox: Sandbox
) -> None:
    """It is in the list of what waits, and the bell rings the next time that it is sent."""
    rule = {"kind": "refuse", "path": "*/actions/*", "status": 403, "count": 1}
    salesforce_sandbox.admin("POST", "faults", rules=[rule])
    assert "waits for approval" in send_invoice(raised).sentence
    assert approval(org, raised)["Approval_Status__c"] == "Waiting"
    assert bells(salesforce_sandbox) == []
    send_invoice(raised)
    assert len(bells(salesforce_sandbox)) == 1


def test_the_limit_is_held_to_what_is_due(
    org: Org,
    una: Person,
    ann: Person,
    deployed: Deployed,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """A small invoice of a customer with old debts; a debt that grows meanwhile is asked about."""
    send_invoice(raise_by(una, org, 100))
    before = mails(stripe_sandbox)
    owe(dashboard, 500000)
    name = raise_by(una, org, 100)
    assert "waits for approval over 5,100.00 USD" in send_invoice(name).sentence
    ann.press("Approve", org, name)
    owe(dashboard, 100000)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == before
    assert float(approval(org, name)["Approved_Amount__c"]) == 6100
    ann.press("Approve", org, name)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == before + 1


def test_a_debt_that_grows_while_it_waits_is_another_question(
    raised: str,
    org: Org,
    una: Person,
    ann: Person,
    deployed: Deployed,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """Whoever sends it again asks about what is due by now: one yes to that is enough."""
    send_invoice(raise_by(una, org, 100))
    before = mails(stripe_sandbox)
    send_invoice(raised)
    key = approval(org, raised)["Approval_Key__c"]
    owe(dashboard, 50000)
    assert "waits for approval over 2,950.00 USD" in send_invoice(raised).sentence
    assert approval(org, raised)["Approval_Key__c"] != key
    ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == before + 1


def owe(dashboard: stripe.StripeClient, amount: int) -> None:
    """Let the only customer owe more from before, or less, in minor units."""
    [customer] = dashboard.v1.customers.list().data
    dashboard.v1.customers.balance_transactions.create(
        customer.id, {"amount": amount, "currency": "usd"}
    )


def grow_at_the_last_moment(
    patch: pytest.MonkeyPatch, dashboard: stripe.StripeClient, amount: int
) -> None:
    """Let the customer owe more when the invoice is made final."""
    finalize = Stripe.finalize

    def grow(self: Stripe, invoice_id: str, key: str) -> Any:
        owe(dashboard, amount)
        return finalize(self, invoice_id, key)

    patch.setattr(Stripe, "finalize", grow)


def test_a_debt_above_the_limit_that_comes_back_at_the_last_moment(
    org: Org,
    una: Person,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A preview that showed it is no approval: nobody was asked, for it was gone meanwhile."""
    send_invoice(raise_by(una, org, 100))
    before = mails(stripe_sandbox)
    name = raise_by(una, org, 100)
    owe(dashboard, 500000)
    preview_invoice(name)
    owe(dashboard, -500000)
    grow_at_the_last_moment(monkeypatch, dashboard, 500000)
    assert "waits for approval over 5,100.00 USD" in send_invoice(name).sentence
    assert mails(stripe_sandbox) == before


@pytest.mark.parametrize("previewed", [0, 300000])
def test_a_balance_that_grows_at_the_last_moment(
    previewed: int,
    raised: str,
    org: Org,
    ann: Person,
    deployed: Deployed,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is final, and more than was approved: it waits once more, open and not mailed.

    So it does where a preview said as much, over a debt that was gone when it was approved.
    """
    send_invoice(raised)
    if previewed:
        owe(dashboard, previewed)
        preview_invoice(raised)
        owe(dashboard, -previewed)
        send_invoice(raised)
    ann.press("Approve", org, raised)
    watch_salesforce()
    with monkeypatch.context() as patch:
        grow_at_the_last_moment(patch, dashboard, 50000)
        deployed.carry_out(send_invoice)
    waiting = approval(org, raised)
    assert (waiting["Status__c"], waiting["Approval_Status__c"]) == ("Open", "Waiting")
    assert float(waiting["Approved_Amount__c"]) == 2950
    assert mails(stripe_sandbox) == 0
    request = ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(request)["State__c"] == "Done"
    assert mails(stripe_sandbox) == 1


def test_what_became_final_with_another_text_is_approved_as_it_is(
    raised: str,
    org: Org,
    ann: Person,
    bo: Person,
    deployed: Deployed,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody changed it in Stripe at the last moment; the record says so while two look."""
    finalize = Stripe.finalize

    def change(self: Stripe, invoice_id: str, key: str) -> Any:
        [line] = dashboard.v1.invoices.line_items.list(invoice_id).data
        other: Any = {"id": line.id, "description": "Other work"}
        dashboard.v1.invoices.update_lines(invoice_id, {"lines": [other]})
        return finalize(self, invoice_id, key)

    send_invoice(raised)
    ann.press("Approve", org, raised)
    watch_salesforce()
    with monkeypatch.context() as patch:
        patch.setattr(Stripe, "finalize", change)
        deployed.carry_out(send_invoice)
    assert approval(org, raised)["Approval_Status__c"] == "Waiting"
    sync_invoice(raised)
    [line] = org.record(raised)["Lines__r"]["records"]
    assert line["Description__c"] == "Other work"
    for approver in (ann, bo):
        approver.press("Approve", org, raised)
        watch_salesforce()
        deployed.carry_out(send_invoice)
    assert mails(stripe_sandbox) == 1


def test_a_request_that_is_no_decision(
    raised: str, org: Org, una: Person, ann: Person, deployed: Deployed
) -> None:
    """Whoever reaches Prefect's API invents one, or takes the wrong one, or another invoice's."""
    with pytest.raises(Rejected, match="There is no request 'a0X' in Salesforce to approve"):
        send_invoice(raised, request_id="a0X")
    record_id = approval(org, raised)["Id"]
    fields = {"Invoice__c": record_id, "Action__c": "Sync", "Open_Key__c": f"{record_id}:Sync"}
    sync = una.create("Stripe_Invoice_Request__c", **fields).json()["id"]
    watch_salesforce()
    with pytest.raises(Rejected, match="There is no request"):
        reject_invoice(raised, sync)
    send_invoice(raised)
    others = ann.press(
        "Approve", org, raise_by(una, org), key=approval(org, raised)["Approval_Key__c"]
    )
    watch_salesforce()
    with pytest.raises(Rejected, match="There is no request"):
        send_invoice(raised, request_id=others)


def test_the_integration_needs_no_more_rights(
    raised: str, org: Org, ann: Person, deployed: Deployed, salesforce_sandbox: Sandbox
) -> None:
    """With its permission set and nothing else."""
    salesforce_sandbox.admin("POST", "user", permission_sets=["Invoice_Integration"])
    assert "waits for approval" in send_invoice(raised).sentence
    assert len(bells(salesforce_sandbox)) == 1
    request = ann.press("Approve", org, raised)
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(request)["State__c"] == "Done"
    with pytest.raises(Rejected, match="may not create records of Invoice Request"):
        salesforce.client().write_graph(
            [
                {
                    "method": "POST",
                    "path": "sobjects/Stripe_Invoice_Request__c",
                    "referenceId": "own",
                    "body": {"Action__c": "Approve"},
                }
            ]
        )

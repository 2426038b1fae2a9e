"""A button in Salesforce makes a request: it is carried out once, and answered."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import stripe
from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Crashed, Failed
from sqlmodel import col, select

from flows.credit_invoice import credit_invoice
from flows.delete_draft import delete_draft
from flows.record_payment import record_payment
from flows.resend_invoice import resend_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from flows.watch_salesforce import watch_salesforce
from invoicing.connectors.prefect import Prefect
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import InvoicingError, NotFound
from invoicing.ledger import database, request_records, stream_positions
from invoicing.ledger.intents import ATTACH_PAYMENT, REPORT_PAYMENT
from invoicing.ledger.models import Intent, RequestRecord
from invoicing.settings import settings
from tasks.corrections import duplicate_requests
from tasks.runtime.clock import today
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org

Draft = Callable[..., InvoiceOutcome]


def test_a_request_is_carried_out_and_answered(
    draft: Draft,
    org: Org,
    deployed: Deployed,
    monkeypatch: pytest.MonkeyPatch,
    stripe_sandbox: Sandbox,
) -> None:
    """Queued, running, done: with a sentence, a link to the run, and who asked."""
    monkeypatch.setenv("INVOICING_PREFECT_UI_URL", "https://prefect.example.com")
    settings.cache_clear()
    name = draft().name
    request = org.ask(name, "Send")
    assert org.request(request)["State__c"] == "Queued"
    assert watch_salesforce().sentence == (
        "1 record asked for something; 1 run started: send-invoice."
    )
    assert org.request(request)["State__c"] == "Running"
    deployed.carry_out(send_invoice)
    told = org.request(request)
    assert told["State__c"] == "Done"
    assert told["Outcome__c"].startswith(f"{name} over 2,450.00 USD was sent to Acme Corporation")
    assert told["Run_URL__c"].startswith("https://prefect.example.com/runs/flow-run/")
    assert told["CreatedBy"]["Name"]
    assert watch_salesforce().sentence == "0 records asked for something; 0 runs started."
    assert deployed.runs("send-invoice") == 1
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 1


def test_a_button_pressed_twice_is_one_request(draft: Draft, org: Org, deployed: Deployed) -> None:
    """Salesforce itself refuses the second while the first is open, and takes it afterwards."""
    name = draft().name
    first = org.ask(name, "Sync")
    with pytest.raises(InvoicingError, match="duplicate value found: Open_Key__c"):
        org.ask(name, "Sync")
    other = org.ask(name, "Send")
    watch_salesforce()
    with pytest.raises(InvoicingError, match="duplicate value found: Open_Key__c"):
        org.ask(name, "Sync")
    deployed.carry_out(sync_invoice)
    assert org.request(first)["Open_Key__c"] is None
    org.ask(name, "Sync")
    watch_salesforce()
    assert (deployed.runs("sync-invoice"), deployed.runs("send-invoice")) == (2, 1)
    assert org.request(other)["State__c"] == "Running"


def test_what_was_entered_reaches_the_flow(
    sent: InvoiceOutcome, org: Org, deployed: Deployed
) -> None:
    """A part of the money came in by cheque; what is left empty is the flow's own."""
    entered = "amount: 950.00\nreceived_on: \npaid_by: cheque\nreference: Statement 11: line 7\n"
    request = org.ask(sent.name, "Record Payment", entered)
    watch_salesforce()
    deployed.carry_out(record_payment)
    told = org.request(request)
    assert told["State__c"] == "Done"
    assert told["Outcome__c"].startswith(f"950.00 USD by cheque was noted on {sent.name}")
    assert org.record(sent.name)["Amount_Paid__c"] == 950


def test_a_request_that_salesforce_commits_late_is_heard(
    draft: Draft, org: Org, deployed: Deployed
) -> None:
    """Another one, that says it changed minutes later, was seen before it."""
    request = org.ask(draft().name, "Sync")
    seen = datetime.now(UTC) + timedelta(minutes=3)
    stream_positions.move_cursor(f"request-records:{settings().salesforce.org_id}", seen)
    watch_salesforce()
    assert org.request(request)["State__c"] == "Running"


def test_one_line_of_a_bank_statement_is_noted_once_whoever_presses(
    sent: InvoiceOutcome, org: Org, deployed: Deployed
) -> None:
    """Two people, or one after lunch: the second request says that the money counts already."""
    entered = "amount: 950.00\nreference: Statement 11: line 7\n"
    told = []
    for text in (entered, entered, f"{entered}received_on: {today()}\n"):
        request = org.ask(sent.name, "Record Payment", text)
        watch_salesforce()
        deployed.carry_out(record_payment)
        told.append(org.request(request))
    assert [one["State__c"] for one in told] == ["Done", "Refused", "Refused"]
    assert all("was noted on INV-0001 already" in one["Outcome__c"] for one in told[1:])
    assert not any("The same was asked" in one["Outcome__c"] for one in told)
    assert org.record(sent.name)["Amount_Paid__c"] == 950


@pytest.mark.parametrize(
    ("entered", "credited"), [("amount: 450.00", 450), ("lines: 1", None), ("amount: ", 2450)]
)
def test_a_credit_is_asked_for_in_salesforce(
    sent: InvoiceOutcome, org: Org, deployed: Deployed, entered: str, credited: float | None
) -> None:
    """An amount, a line, or the whole of what is open."""
    request = org.ask(sent.name, "Credit", f"{entered}\ngive_back: nothing\nreason: order change")
    watch_salesforce()
    deployed.carry_out(credit_invoice)
    told = org.request(request)
    assert told["State__c"] == "Done", told["Outcome__c"]
    assert "credited" in told["Outcome__c"]
    amount = org.record(sent.name)["Amount_Credited__c"]
    assert amount == credited if credited else 0 < amount < 2450


PRESSED: dict[str, tuple[str, Flow[..., Any], str | None]] = {
    "Record Payment": ("amount: 100\npaid_by: cheque", record_payment, "reference: No. 4712"),
    "Credit": ("amount: 100\ngive_back: nothing", credit_invoice, "memo: The second day, too"),
    "Resend": ("", resend_invoice, None),
}
"""What is entered, the flow that does it, and what sets another such request apart."""


@pytest.mark.parametrize("action", PRESSED)
def test_the_same_pressed_again_waits_or_says_what_sets_it_apart(
    sent: InvoiceOutcome,
    org: Org,
    deployed: Deployed,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
) -> None:
    """Salesforce takes the second click once the first is done: it is one payment, credit, mail."""

    def effects() -> int:
        remaining = dashboard.v1.invoices.retrieve(sent.stripe_id).amount_remaining
        mails = stripe_sandbox.admin("GET", "mail")["data"]
        return len(mails) - 1 if action == "Resend" else (245000 - remaining) // 10000

    def press(entered: str) -> dict[str, Any]:
        request = org.ask(sent.name, action, entered)
        watch_salesforce()
        deployed.carry_out(flow)
        return org.request(request)

    entered, flow, apart = PRESSED[action]
    assert press(entered)["State__c"] == "Done"
    told = press(entered)
    assert (told["State__c"], effects()) == ("Refused", 1)
    assert "The same was asked for INV-0001 already" in told["Outcome__c"]
    assert "request id" not in told["Outcome__c"]
    if apart:
        assert f"enter a {apart.partition(':')[0]} that sets it apart" in told["Outcome__c"]
        assert press(f"{entered}\n{apart}")["State__c"] == "Done"
    else:
        over = timedelta(minutes=-1)
        monkeypatch.setattr(duplicate_requests, "DUPLICATE_WINDOW", over)
        assert press(entered)["State__c"] == "Done"
    assert effects() == 2


def test_the_same_pressed_while_no_worker_ran_is_still_the_same(
    sent: InvoiceOutcome, org: Org, deployed: Deployed
) -> None:
    """What counts is when it was asked for, not when somebody came to carry it out."""
    outcome = record_payment(sent.name, Decimal("100"))
    request = org.ask(sent.name, "Record Payment", "amount: 100")
    watch_salesforce()
    with database.session() as ledger:
        both = col(Intent.operation).in_([REPORT_PAYMENT, ATTACH_PAYMENT])
        row = ledger.get_one(RequestRecord, request)
        for intent in ledger.exec(select(Intent).where(both)):
            intent.intended_at -= timedelta(hours=2)
            intent.concluded_at = intent.intended_at
            row.asked_at = intent.intended_at + timedelta(minutes=1)
            ledger.add_all([intent, row])
    deployed.carry_out(record_payment)
    assert outcome.status == "Open"
    assert org.request(request)["State__c"] == "Refused"
    assert org.record(sent.name)["Amount_Paid__c"] == 100


def test_two_cheques_over_one_sum_have_a_reference_each(
    sent: InvoiceOutcome, org: Org, deployed: Deployed
) -> None:
    """They are two payments, however soon one follows the other."""
    for number in (1, 2):
        entered = f"amount: 100\npaid_by: cheque\nreference: Cheque {number}"
        request = org.ask(sent.name, "Record Payment", entered)
        watch_salesforce()
        deployed.carry_out(record_payment)
        assert org.request(request)["State__c"] == "Done"
        assert org.record(sent.name)["Amount_Paid__c"] == 100 * number


def test_each_request_by_itself(
    draft: Draft, sent: InvoiceOutcome, org: Org, deployed: Deployed
) -> None:
    """What cannot be done is refused with its reason, and holds up nothing else."""
    name, gone, other = draft().name, draft().name, draft().name
    refused = {
        org.ask(sent.name, "Record Payment", "amount: 10\ncolour: red"): (
            "Record Payment does not take colour; it takes amount, received_on, paid_by, reference."
        ),
        org.ask(name, "Sync", "now"): "1 parameter without a value: now.",
        org.ask(gone, "Send"): "The invoice was deleted before this was taken up.",
        org.ask(other, "Send", Open_Key__c=None): "This request lacks its Open Key",
    }
    delete_draft(gone)
    good = org.ask(name, "Send")
    assert watch_salesforce().sentence == (
        "5 records asked for something; 1 run started: send-invoice."
    )
    for request, why in refused.items():
        told = org.request(request)
        assert told["State__c"] == "Refused"
        assert told["Outcome__c"].startswith(why)
        assert told["Open_Key__c"] is None
    assert org.request(good)["State__c"] == "Running"


def test_what_the_flow_does_not_take_is_refused(
    sent: InvoiceOutcome, org: Org, deployed: Deployed
) -> None:
    """An amount in words."""
    request = org.ask(sent.name, "Record Payment", "paid_by: seashells")
    watch_salesforce()
    told = org.request(request)
    assert told["State__c"] == "Refused"
    assert "does not take what was entered" in told["Outcome__c"]
    assert "paid_by" in told["Outcome__c"]


def test_a_refusal_is_told_where_it_was_asked(
    draft: Draft, org: Org, deployed: Deployed, salesforce_sandbox: Sandbox
) -> None:
    """The reasons of the flow stand on the request, and whoever asked is notified once."""
    name = draft().name
    org.set(name, Due_Date__c="2020-01-01")
    request = org.ask(name, "Send")
    watch_salesforce()
    deployed.carry_out(send_invoice)
    told = org.request(request)
    assert told["State__c"] == "Refused"
    assert "due date" in told["Outcome__c"].lower()
    watch_salesforce()
    [notified] = salesforce_sandbox.admin("GET", "notifications")["sent"]
    assert notified["title"] == f"{name}: Send was refused"
    assert notified["body"] == told["Outcome__c"]
    assert notified["recipientIds"] == [told["CreatedById"]]
    assert notified["targetId"] == org.record(name)["Id"]


def test_nobody_is_notified_of_what_was_done(
    draft: Draft, org: Org, deployed: Deployed, salesforce_sandbox: Sandbox
) -> None:
    """The record shows it; a bell for each invoice that was sent would be too many."""
    org.ask(draft().name, "Send")
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert salesforce_sandbox.admin("GET", "notifications")["sent"] == []


def test_a_notification_that_cannot_be_sent(
    draft: Draft, org: Org, deployed: Deployed, salesforce_sandbox: Sandbox
) -> None:
    """The user may not be told, or the right is missing: the request says it all the same."""
    request = org.ask(draft().name, "Sync", "now")
    rule = {"kind": "refuse", "path": "*/actions/*", "status": 403}
    salesforce_sandbox.admin("POST", "faults", rules=[rule])
    watch_salesforce()
    assert org.request(request)["State__c"] == "Refused"
    assert watch_salesforce().sentence.startswith("0 records")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (Failed(message="It ended five times."), ("Failed", "It ended five times.")),
        (Cancelled(message="By Ann."), ("Refused", "Somebody cancelled it in Prefect. By Ann.")),
        (Crashed(message="It is begun again."), ("Running", None)),
    ],
    ids=["failed", "cancelled", "crashed"],
)
def test_a_run_that_ended_without_a_word(
    draft: Draft, org: Org, deployed: Deployed, state: State[Any], said: tuple[str, str | None]
) -> None:
    """Nobody waits for a run that is dead; one that is begun again still answers."""
    request = org.ask(draft().name, "Send")
    watch_salesforce()
    deployed.put("send-invoice", state)
    watch_salesforce()
    told = org.request(request)
    assert (told["State__c"], told["Outcome__c"]) == said


def test_a_run_that_prefect_has_forgotten(
    draft: Draft, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database was lost, or tidied up."""
    request = org.ask(draft().name, "Send")
    watch_salesforce()

    def forgotten(*_: object) -> None:
        raise NotFound("no such run")

    monkeypatch.setattr(Prefect, "state", forgotten)
    watch_salesforce()
    assert org.request(request)["State__c"] == "Failed"


def test_prefect_has_no_such_run(deployed: Deployed) -> None:
    """A run that is gone is something else than a server that is."""
    with pytest.raises(NotFound):
        Prefect(settings().prefect_api_url).state("00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("kind", ["lost", "refuse"])
@pytest.mark.parametrize("path", ["*/composite/sobjects*", "*/query*"])
def test_salesforce_away_while_a_request_is_taken_up(
    draft: Draft,
    org: Org,
    deployed: Deployed,
    salesforce_sandbox: Sandbox,
    path: str,
    kind: str,
) -> None:
    """The answer is lost, or Salesforce is away for a moment: one run, all the same."""
    request = org.ask(draft().name, "Send")
    salesforce_sandbox.admin("POST", "faults", rules=[{"kind": kind, "path": path, "count": 1}])
    watch_salesforce()
    watch_salesforce()
    assert org.request(request)["State__c"] == "Running"
    assert deployed.runs("send-invoice") == 1


def test_killed_before_the_run_is_noted(
    draft: Draft, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run was started, and its starter died: it is the same run that is found again."""
    request = org.ask(draft().name, "Send")

    def killed(*_: object) -> None:
        raise InvoicingError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(request_records, "started", killed)
        with pytest.raises(InvoicingError, match="killed here"):
            watch_salesforce()
    watch_salesforce()
    assert deployed.runs("send-invoice") == 1
    deployed.carry_out(send_invoice)
    assert org.request(request)["State__c"] == "Done"


def test_a_run_that_is_quicker_than_its_starter(
    draft: Draft, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of it stays on the request: that it is taken up was shown before."""
    request, note = org.ask(draft().name, "Sync"), request_records.started

    def and_it_runs(*noted: str) -> None:
        note(*noted)
        deployed.carry_out(sync_invoice)

    monkeypatch.setattr(request_records, "started", and_it_runs)
    watch_salesforce()
    assert org.request(request)["State__c"] == "Done"


def test_two_who_look_at_once(
    draft: Draft, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has started it, and it is done, when the other comes to it: nothing is left."""
    request, read = org.ask(draft().name, "Sync"), request_records.open_requests

    def and_the_other_looks() -> list[RequestRecord]:
        waiting = read()
        monkeypatch.setattr(request_records, "open_requests", read)
        watch_salesforce()
        deployed.carry_out(sync_invoice)
        return waiting

    monkeypatch.setattr(request_records, "open_requests", and_the_other_looks)
    watch_salesforce()
    assert org.request(request)["State__c"] == "Done"
    assert deployed.runs("sync-invoice") == 1


def test_the_outcome_is_told_later_if_it_cannot_be_told_now(
    draft: Draft, org: Org, deployed: Deployed, salesforce_sandbox: Sandbox
) -> None:
    """Salesforce is away just when the run ends."""
    request = org.ask(draft().name, "Sync")
    watch_salesforce()
    path = "*/sobjects/Stripe_Invoice_Request__c/*"
    rule = {"kind": "refuse", "method": "PATCH", "path": path, "count": 1}
    salesforce_sandbox.admin("POST", "faults", rules=[rule])
    deployed.carry_out(sync_invoice)
    assert org.request(request)["State__c"] == "Running"
    watch_salesforce()
    assert org.request(request)["State__c"] in {"Done", "Failed"}
    assert org.request(request)["Outcome__c"]


def test_prefect_is_away(
    draft: Draft, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request stays open until Prefect is back."""
    request = org.ask(draft().name, "Send")
    with monkeypatch.context() as patch:
        patch.setattr(Prefect, "_deployment", lambda *_: "00000000-0000-0000-0000-000000000000")
        assert watch_salesforce().sentence.endswith("0 runs started.")
    watch_salesforce()
    deployed.carry_out(send_invoice)
    assert org.request(request)["State__c"] == "Done"

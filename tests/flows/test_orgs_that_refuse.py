"""Orgs whose own rules refuse, change or lock what is written: for a time, or for good."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import stripe
from prefect.artifacts import Artifact
from sqlalchemy import select, update

import flows.watch_salesforce as watching
from flows.full_sync import full_sync
from flows.handle_events import handle_events
from flows.poll_events import poll_events
from flows.record_payment import record_payment
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from flows.void_invoice import void_invoice
from flows.watch_salesforce import watch_salesforce
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import Rejected
from invoicing.ledger import action_field_requests, database, drift, inbox, sync_history
from invoicing.ledger.models import Event
from tasks.requests.action_field import collect_requests
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org
from tests.flows.events import event_from

Raise = Callable[..., InvoiceOutcome]


@pytest.fixture
def rules(salesforce_sandbox: Sandbox) -> Callable[..., None]:
    """Put profiles of the org in force, and no others; or one rule."""

    def put(*profiles: str, **rule: Any) -> None:
        salesforce_sandbox.admin("DELETE", "rules")
        order = [rule] if rule else []
        salesforce_sandbox.admin("POST", "rules", profiles=profiles, rules=order)

    return put


def pay(sandbox: Sandbox, invoice: InvoiceOutcome) -> None:
    """Pay as the customer does, on the hosted page."""
    sandbox.post_form(invoice.hosted_invoice_url, card="4242424242424242")


def let_time_pass() -> None:
    """What waits for its next try need not wait any longer."""
    with database.session() as ledger:
        ledger.execute(update(Event).values(lease_expires_at=datetime.now(UTC) - timedelta(1)))


def failures() -> dict[str, int]:
    """Tries in vain, by type of event, of what is not done."""
    with database.session() as ledger:
        waiting = ledger.scalars(select(Event)).all()
        return {event.type: event.failures for event in waiting if event.state != "done"}


def page(key: str) -> str:
    """What stands in the Prefect UI under a key."""
    return str(cast(Artifact, Artifact.get(key)).data)


def mails(sandbox: Sandbox) -> int:
    """How many letters went out."""
    return len(sandbox.admin("GET", "mail")["data"])


# -- an Account, or an invoice, that refuses every write


def test_what_was_mailed_is_sent_though_the_account_cannot_be_written(
    draft: Raise, org: Org, rules: Callable[..., None], stripe_sandbox: Sandbox
) -> None:
    """The note names object and rule; once the rule is gone, the next sending writes it."""
    rules("accounts-frozen")
    sent = send_invoice(draft().name)
    said = (
        "The Account Acme Corporation does not show cus_",
        "Salesforce refused to write the Account: a validation rule says “Accounts are frozen",
    )
    record = org.record(sent.name)
    assert (record["Status__c"], record["Sync_State__c"]) == ("Open", "Clean")
    assert "was sent to Acme Corporation" in sent.sentence
    for part in said:
        assert part in sent.sentence
        assert part in record["Sync_Message__c"]
    assert record["Account__r"]["Stripe_Customer_Id__c"] is None
    rules()
    send_invoice(draft().name)
    assert org.record(sent.name)["Account__r"]["Stripe_Customer_Id__c"] is not None
    assert mails(stripe_sandbox) == 2


def test_a_full_sync_tries_again_what_an_account_refused(
    draft: Raise, org: Org, rules: Callable[..., None]
) -> None:
    """Where nothing differs, too: the report says why not, until it can be; then nothing does."""
    rules("accounts-frozen")
    sent = send_invoice(draft().name)
    for _ in range(2):
        assert full_sync().sentence == (
            "1 invoice compared, 0 differed. 1 Account does not show its Stripe customer."
        )
        assert "| [Acme Corporation](" in page("drift-report")
        assert "a validation rule says “Accounts are frozen" in page("drift-report")
    rules()
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    assert "Acme Corporation" not in page("drift-report")
    record = org.record(sent.name)
    assert record["Account__r"]["Stripe_Customer_Id__c"] is not None
    assert (record["Sync_State__c"], record["Sync_Message__c"]) == ("Clean", None)


def test_what_was_mailed_is_sent_though_its_record_cannot_be_written(
    draft: Raise, org: Org, rules: Callable[..., None], stripe_sandbox: Sandbox
) -> None:
    """The run says so; events bring it home when the rule is gone, and nothing is mailed again."""
    raised = draft()
    rules("period-closed")
    sent = send_invoice(raised.name)
    assert "was sent to Acme Corporation" in sent.sentence
    assert "a validation rule on Status says “The period is closed" in sent.sentence
    assert (sent.status, org.record(sent.name)["Status__c"]) == ("Open", "Draft")
    poll_events()
    assert set(inbox.backlog()) == {"failed"}
    rules()
    let_time_pass()
    handle_events()
    record = org.record(sent.name)
    assert (record["Status__c"], record["Sync_State__c"]) == ("Open", "Clean")
    assert mails(stripe_sandbox) == 1


@pytest.mark.parametrize("act", [void_invoice, record_payment])
def test_what_was_done_in_stripe_is_done_though_the_record_is_locked(
    sent: InvoiceOutcome,
    dashboard: stripe.StripeClient,
    rules: Callable[..., None],
    act: Callable[[str], InvoiceOutcome],
) -> None:
    """Not Failed, which would be taken for not done; what the record does not show is said."""
    rules("in-approval")
    outcome = act(sent.name)
    assert "the record in Salesforce does not show it yet" in outcome.sentence
    assert "it is locked, as a record is while its approval is under way" in outcome.sentence
    assert dashboard.v1.invoices.retrieve(sent.stripe_id).status in ("void", "paid")


# -- a payment comes in meanwhile


def test_a_row_that_is_locked_once_costs_nothing(
    sent: InvoiceOutcome, org: Org, rules: Callable[..., None], stripe_sandbox: Sandbox
) -> None:
    """Bare, or wrapped into the error of a trigger: it passes within the run."""
    pay(stripe_sandbox, sent)
    rules("triggers-busy", "rows-busy")
    poll_events()
    assert org.record(sent.name)["Status__c"] == "Paid"
    assert inbox.backlog() == {}


@pytest.mark.parametrize("profile", ["in-approval", "period-closed"])
def test_a_payment_is_tried_for_days_and_then_waits_on_the_list(
    sent: InvoiceOutcome,
    org: Org,
    rules: Callable[..., None],
    stripe_sandbox: Sandbox,
    profile: str,
) -> None:
    """Until whatever puts the invoice right closes what is on the list."""
    pay(stripe_sandbox, sent)
    rules(profile)
    outcome = poll_events()
    assert "1 could not be processed: INV-0001: Salesforce refused to write the Stripe Invoice" in (
        outcome.sentence
    )
    assert set(failures().values()) == {1}
    for tries in range(2, inbox.MAX_FAILURES + 1):
        let_time_pass()
        handle_events()
        assert tries == inbox.MAX_FAILURES or set(failures().values()) == {tries}
    assert set(inbox.backlog()) == {"dead"}
    assert sent.stripe_id in page("dead-letters")
    assert "Salesforce refused to write the Stripe Invoice" in page("dead-letters")
    rules()
    sync_invoice(sent.name)
    assert org.record(sent.name)["Status__c"] == "Paid"
    assert inbox.backlog() == {}
    handle_events()
    assert "There are none" in page("dead-letters")


def test_the_record_says_that_it_is_behind_where_that_can_be_written(
    sent: InvoiceOutcome, org: Org, rules: Callable[..., None], stripe_sandbox: Sandbox
) -> None:
    """A rule about amounts lets the sync state be written; the next success takes it back."""
    pay(stripe_sandbox, sent)
    rules(
        kind="validation",
        sobject="Stripe_Invoice__c",
        message="Only Accounting notes payments.",
        field="Amount_Paid__c",
        when="Amount_Paid__c > 0",
    )
    poll_events()
    record = org.record(sent.name)
    assert (record["Status__c"], record["Sync_State__c"]) == ("Open", "Failed")
    assert (
        "a validation rule on Amount Paid says “Only Accounting notes payments.”"
        in (record["Sync_Message__c"])
    )
    rules()
    let_time_pass()
    handle_events()
    record = org.record(sent.name)
    assert (record["Status__c"], record["Sync_State__c"]) == ("Paid", "Clean")
    assert record["Sync_Message__c"] is None


def test_a_full_sync_closes_the_dead_letters_of_what_is_in_step(
    sent: InvoiceOutcome, org: Org, rules: Callable[..., None], stripe_sandbox: Sandbox
) -> None:
    """Also of payments, which no page of Stripe's list shows."""
    pay(stripe_sandbox, sent)
    poll_events()
    with database.session() as ledger:
        ledger.execute(update(Event).values(state="dead", done_at=datetime.now(UTC)))
    assert len(inbox.dead_letters("acct_1SandboxAcme")) > 1
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    assert inbox.backlog() == {}


def test_one_invoice_that_is_locked_holds_up_no_other(
    draft: Raise, org: Org, rules: Callable[..., None], stripe_sandbox: Sandbox
) -> None:
    """Of two payments one waits, by event and by night."""
    first, second = (send_invoice(draft().name) for _ in range(2))
    for one in (first, second):
        pay(stripe_sandbox, one)
    rules(kind="approval_lock", sobject="Stripe_Invoice__c", when=f'Name = "{first.name}"')
    poll_events()
    assert [org.record(one.name)["Status__c"] for one in (first, second)] == ["Open", "Paid"]
    assert "2 invoices compared, 1 differed: 1 not repaired" in full_sync().sentence


# -- what the org changes as it saves


def entries(org: Org) -> int:
    """How many entries all timelines have."""
    return len(org.query("SELECT Id FROM Stripe_Invoice_Event__c"))


def test_a_number_that_the_org_prefixes_is_said_once_and_repaired_never(
    draft: Raise, org: Org, rules: Callable[..., None]
) -> None:
    """The report names the field, night after night; the timeline does not grow."""
    rules("numbers-prefixed")
    sent = send_invoice(draft().name)
    assert f"Salesforce changes number as it saves it: “{sent.number}” becomes" in sent.sentence
    before = entries(org)
    for _ in range(2):
        assert full_sync().sentence == "1 invoice compared, 0 differed."
        report = page("drift-report")
        assert "Changed by the org as it saves" in report
        assert f"| number | 1 | {sent.number} | US-{sent.number} |" in report
        poll_events()
    assert entries(org) == before
    assert org.record(sent.name)["Number__c"] == f"US-{sent.number}"
    rules()
    assert "brought up to date: number" in sync_invoice(sent.name).sentence
    assert org.record(sent.name)["Number__c"] == sent.number
    full_sync()
    assert "Changed by the org" not in page("drift-report")


@pytest.mark.parametrize("many", [False, True], ids=["one by one", "in bulk"])
def test_what_an_org_began_to_change_later_is_learned_in_one_night(
    sent: InvoiceOutcome,
    org: Org,
    rules: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    many: bool,
) -> None:
    """A new rule, and somebody saves the record: one night finds out, the next has nothing."""
    if many:
        monkeypatch.setattr("tasks.full_sync.repair.MAX_SINGLE_REPAIRS", 0)
    rules("numbers-prefixed")
    org.set(sent.name, Action_Requested__c=None)
    before = entries(org)
    assert "1 differed: 1 " in full_sync(approve_above=1).sentence
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    if not many:
        assert entries(org) == before
    assert "Changed by the org as it saves" in page("drift-report")


def test_lines_that_the_org_writes_in_capitals(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, rules: Callable[..., None]
) -> None:
    """An invoice made in Stripe, whose lines are written here: the same holds for them."""
    rules("lines-in-capitals")
    customer = str(dashboard.v1.invoices.retrieve(sent.stripe_id).customer)
    invoice = dashboard.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 14}
    )
    dashboard.v1.invoice_items.create(
        {"customer": customer, "invoice": invoice.id, "amount": 5000, "description": "Travel"}
    )
    dashboard.v1.invoices.finalize_invoice(invoice.id)
    poll_events()
    [line] = org.record("INV-0002")["Lines__r"]["records"]
    assert line["Description__c"] == "TRAVEL"
    before = entries(org)
    assert full_sync().sentence == "2 invoices compared, 0 differed."
    assert "| a line's description | 1 | Travel | TRAVEL |" in page("drift-report")
    assert entries(org) == before


FORBIDDEN = pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("Amount_Paid__c", "0", "amount paid as it saves it: “2450.0” becomes “0.0”"),
        ("Status__c", '"Open"', "status as it saves it: “Paid” becomes “Open”"),
        ("Due_Date__c", '"2031-01-01"', "becomes “2031-01-01”"),
        ("Stripe_Customer_Id__c", '"cus_x"', "becomes “cus_x”"),
    ],
)


@FORBIDDEN
def test_an_amount_a_state_a_date_or_an_id_that_the_org_changes_is_wrong_each_night(
    sent: InvoiceOutcome,
    org: Org,
    rules: Callable[..., None],
    stripe_sandbox: Sandbox,
    field: str,
    value: str,
    said: str,
) -> None:
    """Never repaired, never got used to; the timeline does not grow by it."""
    rules(kind="before_save", sobject="Stripe_Invoice__c", field=field, value=value)
    pay(stripe_sandbox, sent)
    poll_events()
    before = entries(org)
    for _ in range(2):
        outcome = full_sync()
        assert outcome.sentence == "1 invoice compared, 1 differed: 1 not repaired."
    assert entries(org) == before
    record = org.record(sent.name)
    assert record["Sync_State__c"] == "Failed"
    assert said in record["Sync_Message__c"]


@FORBIDDEN
def test_what_the_org_must_not_change_is_not_repaired_by_a_job_of_many(
    sent: InvoiceOutcome,
    rules: Callable[..., None],
    stripe_sandbox: Sandbox,
    org: Org,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    value: str,
    said: str,
) -> None:
    """Salesforce says that each row was written; what it made of it is looked at all the same."""
    monkeypatch.setattr("tasks.full_sync.repair.MAX_SINGLE_REPAIRS", 0)
    rules(kind="before_save", sobject="Stripe_Invoice__c", field=field, value=value)
    pay(stripe_sandbox, sent)
    before = entries(org)
    for _ in range(2):
        outcome = full_sync(approve_above=1)
        assert outcome.sentence == "1 invoice compared, 1 differed: 1 not repaired."
        [row] = [row for rows in drift.chunks(sync_history.last_syncs(1)[0].id) for row in rows]
        assert said in row.outcome
    assert entries(org) == before


# -- requests, and events that nobody can do anything about


def test_a_request_of_a_record_that_is_deleted_meanwhile_holds_up_no_other(
    draft: Raise, org: Org, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read, then deleted: it is over, and the others are started."""
    gone, kept = draft(), draft()
    for one in (gone, kept):
        org.set(one.name, Action_Requested__c="Sync")

    def read_then_deleted() -> int:
        asking = int(collect_requests())
        salesforce.client().delete("Stripe_Invoice__c", gone.record_id)
        return asking

    with monkeypatch.context() as patch:
        patch.setattr(watching, "collect_requests", read_then_deleted)
        sentence = watch_salesforce().sentence
    assert "1 run started: sync-invoice. 1 could not be started: Sync for" in sentence
    assert "the record was deleted meanwhile" in sentence
    assert deployed.runs("sync-invoice") == 1
    assert watch_salesforce().sentence == "0 records asked for something; 0 runs started."


def test_a_request_of_a_record_that_is_locked_waits_and_holds_up_no_other(
    draft: Raise, org: Org, deployed: Deployed, rules: Callable[..., None]
) -> None:
    """It is started once it can be taken up, once."""
    locked, free = draft(), draft()
    for one in (locked, free):
        org.set(one.name, Action_Requested__c="Sync")
    rules(kind="approval_lock", sobject="Stripe_Invoice__c", when=f'Name = "{locked.name}"')
    for _ in range(2):
        assert "1 could not be started: Sync for" in watch_salesforce().sentence
    assert deployed.runs("sync-invoice") == 1
    rules()
    watch_salesforce()
    watch_salesforce()
    assert deployed.runs("sync-invoice") == 2


def test_an_action_that_is_none_of_ours_holds_up_no_other(
    draft: Raise, org: Org, deployed: Deployed
) -> None:
    """An org adds values to a picklist; the record says which there are."""
    strange, known = draft(), draft()
    moment = datetime.now(UTC)
    action_field_requests.add({strange.record_id: "Dunning"}, {strange.record_id: moment})
    org.set(known.name, Action_Requested__c="Sync")
    assert "1 run started: sync-invoice. 1 could not" in watch_salesforce().sentence
    assert "'Dunning' is none of the actions" in org.record(strange.name)["Sync_Message__c"]
    assert watch_salesforce().sentence == "0 records asked for something; 0 runs started."


def test_one_customer_that_cannot_be_shown_on_its_account_holds_up_no_other(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, rules: Callable[..., None]
) -> None:
    """Both were renamed in Stripe; one Account is frozen."""
    for account in ("Acme Corporation", "Globex"):
        send_invoice(draft(account=account).name)
    for customer in dashboard.v1.customers.list().data:
        dashboard.v1.customers.update(customer.id, {"name": "Renamed"})
    rules(kind="validation", sobject="Account", when='Name = "Globex"', message="Frozen.")
    poll_events()
    shown = org.query("SELECT Name FROM Account WHERE Stripe_Customer_Name__c = 'Renamed'")
    assert [account["Name"] for account in shown] == ["Acme Corporation"]
    assert failures() == {"customer.updated": 1}


@pytest.mark.parametrize("carried", [True, False], ids=["snapshot", "type alone"])
def test_an_event_about_a_paid_invoice_that_the_account_does_not_have_is_found_in_the_list(
    sent: InvoiceOutcome, carried: bool
) -> None:
    """Only drafts can be deleted: it is said what is known, and it is no invoice looked at."""
    named: dict[str, Any] = {"object": "invoice", "id": "in_elsewhere"}
    body = {
        "id": "evt_elsewhere",
        "object": "event",
        "type": "invoice.updated" if carried else "invoice.paid",
        "livemode": True,
        "created": int(datetime.now(UTC).timestamp()),
        "data": {"object": named | ({"status": "paid"} if carried else {})},
    }
    inbox.receive([event_from(body)])
    sentence = handle_events().sentence
    assert (
        "by the event evt_elsewhere it is Paid, but the Stripe account acct_1SandboxAcme has "
        in (sentence)
    )
    assert "no such invoice, and Stripe deletes drafts only" in page("dead-letters")
    full_sync()
    assert inbox.backlog() == {"dead": 1}


def test_an_event_about_a_draft_that_is_gone_is_done(sent: InvoiceOutcome) -> None:
    """It may have been deleted before anybody looked."""
    body = {
        "id": "evt_gone",
        "object": "event",
        "type": "invoice.created",
        "livemode": True,
        "created": int(datetime.now(UTC).timestamp()),
        "data": {"object": {"object": "invoice", "id": "in_gone", "status": "draft"}},
    }
    inbox.receive([event_from(body)])
    assert handle_events().sentence == "1 invoice looked at, 0 changed."
    assert inbox.backlog() == {}


def test_an_empty_answer_of_salesforce_passes(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """200 and a list of nothing, once to each kind of call: the run goes on."""
    pay(stripe_sandbox, sent)
    fault = {"kind": "empty_list", "count": 1}
    for path in ("*/query/*", "*/composite/*", "*/jobs/query*"):
        salesforce_sandbox.admin("POST", "faults", rules=[fault | {"path": path}])
        full_sync()
    assert org.record(sent.name)["Status__c"] == "Paid"


def test_a_sync_that_an_org_refuses_says_why_and_changes_nothing(
    sent: InvoiceOutcome, org: Org, rules: Callable[..., None], stripe_sandbox: Sandbox
) -> None:
    """The button's own run fails, since nothing was done."""
    pay(stripe_sandbox, sent)
    rules("in-approval")
    with pytest.raises(
        Rejected, match="Salesforce refused to write the Stripe Invoice: it is lock"
    ):
        sync_invoice(sent.name)
    assert org.record(sent.name)["Sync_State__c"] == "Clean"

"""The nightly sync puts right what drifted apart, and says what it was."""

import csv
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
import stripe
from prefect.artifacts import Artifact
from prefect.utilities.callables import parameter_schema

from flows.full_sync import full_sync
from flows.poll_events import poll_events
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from flows.void_invoice import void_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.model.money import Money
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.salesforce.record import INVOICE, number
from invoicing.domain.stripe.projection import Projection
from invoicing.domain.sync.drift_kinds import Kind
from invoicing.errors import Busy, Conflict, Rejected, TransientError
from invoicing.ledger import drift, leases, links, staging
from invoicing.ledger.database import session
from invoicing.ledger.drift import Difference
from invoicing.ledger.models import SyncRun
from invoicing.settings import settings
from tasks.full_sync import create_missing, repair
from tasks.full_sync.sync_run import SUBJECT, lock_sync
from tasks.records.accounts import surviving_accounts
from tasks.sync.stripe_reader import read_invoices
from tests.conftest import Sandbox
from tests.faults.process_patches import ShiftedDatetime, shift_time
from tests.flows.conftest import Org, forget_links
from tests.flows.dialogues import Conversation
from tests.leases import acquire, release

MADE = "repaired: made in Salesforce."


def last_sync() -> str:
    """The id of the newest full sync."""
    from sqlmodel import col, select

    with session() as ledger:
        run = ledger.exec(select(SyncRun).order_by(col(SyncRun.started_at).desc())).first()
    assert run is not None
    return run.id


def last_drift() -> dict[str, Difference]:
    """The drift of the newest full sync, by kind."""
    return {row.kind: row for rows in drift.chunks(last_sync()) for row in rows}


def report() -> str:
    """The page of the newest drift report."""
    found = cast(Artifact | None, Artifact.get("drift-report"))
    assert found is not None
    return str(found.data)


@pytest.fixture
def fast(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account whose limits are far away."""
    monkeypatch.setenv("INVOICING_STRIPE__REQUESTS_PER_SECOND", "1000")
    settings.cache_clear()


@pytest.fixture
def drifted(
    draft: Callable[..., InvoiceOutcome], org: Org, dashboard: stripe.StripeClient
) -> Callable[[], Any]:
    """Three invoices that drifted: overwritten here, made there only, deleted there."""
    send_invoice(draft().name)
    customer = org.record("INV-0001")["Account__r"]["Stripe_Customer_Id__c"]
    org.set("INV-0001", Status__c="Void", Total__c=1)
    made = dashboard.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 14}
    )
    dashboard.v1.invoices.add_lines(
        made.id, {"lines": [{"amount": 9900, "description": "Workshop"}]}
    )
    dashboard.v1.invoices.finalize_invoice(made.id)
    lost = dashboard.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 14}
    )
    second = draft().name
    org.set(second, Stripe_Invoice_Id__c=lost.id)
    dashboard.v1.invoices.delete(lost.id)
    return lambda: (org.record("INV-0001"), org.record(second), org.record("INV-0003"))


def test_every_kind_of_drift_is_repaired_and_reported(drifted: Callable[[], Any]) -> None:
    """Overwritten, missing here, deleted there: each is put right, and said."""
    outcome = full_sync()
    overwritten, deleted, made = drifted()
    assert (overwritten["Status__c"], float(overwritten["Total__c"])) == ("Open", 2450)
    assert deleted["Status__c"] == "Deleted"
    assert (made["Status__c"], float(made["Total__c"])) == ("Open", 99)
    [line] = made["Lines__r"]["records"]
    assert (line["Description__c"], float(line["Amount__c"])) == ("Workshop", 99)
    found = last_drift()
    assert set(found) == {"status", "missing in Salesforce", "deleted"}
    assert all(row.outcome.startswith("repaired") for row in found.values())
    assert "3 differed: 3 repaired" in outcome.sentence
    assert "Deleted, as" not in report()
    full_sync()
    assert report().startswith(
        "# Drift report\n\n2 invoices in Stripe, 3 in Salesforce, **0 differed**. 1 record in "
        "Salesforce is Deleted, as the draft in Stripe is: that is no difference."
    )


def test_a_sent_invoice_whose_record_was_deleted_is_named_and_made_again(
    sent: InvoiceOutcome, org: Org
) -> None:
    """Whoever switched the org's own refusal off, or is above it: the night says so."""
    salesforce.client().delete(INVOICE, sent.record_id)
    assert org.count() == 0
    outcome = full_sync()
    found = last_drift()["missing in Salesforce"]
    assert found.outcome.startswith("repaired")
    assert "1 differed: 1 repaired" in outcome.sentence
    made = org.record("INV-0002")
    assert (made["Status__c"], made["Stripe_Invoice_Id__c"]) == ("Open", sent.stripe_id)
    assert full_sync().sentence == "1 invoice compared, 0 differed."


def test_what_stripe_cannot_have_deleted_is_a_conflict(sent: InvoiceOutcome, org: Org) -> None:
    """A sent invoice whose id Stripe does not know: said to a person, by whichever way it shows."""
    forget_links()
    org.set(sent.name, Stripe_Invoice_Id__c="in_of_another_account")
    reason = "Stripe has no invoice in_of_another_account, but the record says that it is Open"
    for look in (sync_invoice, void_invoice):
        with pytest.raises((Rejected, Conflict), match=reason):
            look(sent.name)
        record = org.record(sent.name)
        assert (record["Status__c"], record["Sync_State__c"]) == ("Open", "Conflict")
        assert reason in record["Sync_Message__c"]
    full_sync(only=[Kind.MISSING_IN_STRIPE])
    assert reason in last_drift()["missing in Stripe"].outcome
    assert org.record(sent.name)["Status__c"] == "Open"
    org.set(sent.name, Stripe_Invoice_Id__c=sent.stripe_id)
    sync_invoice(sent.name)
    assert org.record(sent.name)["Sync_State__c"] == "Clean"


def test_a_second_sync_finds_nothing(drifted: Callable[[], Any]) -> None:
    """After a repair both systems agree."""
    full_sync()
    assert full_sync().sentence == "2 invoices compared, 0 differed."


def test_a_dry_run_reports_and_writes_nothing(
    drifted: Callable[[], Any], org: Org, salesforce_sandbox: Sandbox
) -> None:
    """The same report, and not one write."""
    salesforce_sandbox.admin("DELETE", "requests")
    outcome = full_sync(dry_run=True)
    assert "3 differed: 3 found" in outcome.sentence
    assert org.record("INV-0001")["Status__c"] == "Void"
    assert org.count() == 2
    writes = salesforce_sandbox.admin("GET", "requests?method=PATCH")
    assert writes["count"] == 0


def test_agreement_costs_reading_only(sent: InvoiceOutcome, stripe_sandbox: Sandbox) -> None:
    """Nothing differs: no invoice is read one by one."""
    stripe_sandbox.admin("DELETE", "requests")
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    asked = stripe_sandbox.admin("GET", "requests")["by_path"]
    assert "GET /v1/invoices" in asked
    assert not [path for path in asked if path.startswith("GET /v1/invoices/")]


def test_an_empty_account_costs_one_call(world: None, stripe_sandbox: Sandbox) -> None:
    """Nobody looks through years in which there was nothing."""
    full_sync()
    stripe_sandbox.admin("DELETE", "requests")
    assert full_sync().sentence == "0 invoices compared, 0 differed."
    assert stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"] == 1


def test_many_pages_are_read_side_by_side_and_once(
    world: None, stripe_sandbox: Sandbox, fast: None
) -> None:
    """Readers share one long list; each invoice is staged, and few calls are wasted."""
    stripe_sandbox.admin("POST", "generate", customers=5, invoices=3000)
    stripe_sandbox.admin("DELETE", "requests")
    outcome = full_sync(dry_run=True)
    assert "3,000 invoices compared, 3,000 differed" in outcome.sentence
    assert staging.counts()[0] == 3000
    assert stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"] < 60


def test_a_sync_cut_short_goes_on_where_it_was(
    world: None, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox, fast: None
) -> None:
    """What was staged before Stripe went away is not read again by the next run."""
    salesforce_sandbox.admin("DELETE", "requests")
    stripe_sandbox.admin("POST", "generate", customers=5, invoices=3000)
    broken = {"kind": "refuse", "method": "GET", "path": "/v1/invoices", "after": 20, "status": 400}
    stripe_sandbox.admin("POST", "faults", rules=[broken])
    with pytest.raises(Rejected):
        full_sync(dry_run=True)
    read = staging.counts()[0]
    assert 0 < read < 3000
    stripe_sandbox.admin("DELETE", "faults")
    stripe_sandbox.admin("DELETE", "requests")
    assert "3,000 invoices compared" in full_sync(dry_run=True).sentence
    assert staging.counts()[0] == 3000
    again = stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"]
    assert again < (3000 - read) / 100 + 30
    asked = salesforce_sandbox.admin("GET", "requests?method=POST")["by_path"]
    assert sum(count for path, count in asked.items() if path.endswith("/jobs/query")) == 2


def test_a_schedule_of_old_that_names_workers_is_taken(
    world: None, stripe_sandbox: Sandbox, fast: None
) -> None:
    """The parameter has no effect any more, as its form says: one run reads everything."""
    field = parameter_schema(full_sync.fn).properties["workers"]
    assert field["title"] == "No longer used"
    assert field["description"].startswith("Leave it as it is: it changes nothing.")
    stripe_sandbox.admin("POST", "generate", customers=5, invoices=1000)
    assert "1,000 invoices compared" in full_sync(dry_run=True, workers=3).sentence


def test_two_at_once_are_refused(world: None) -> None:
    """The second says so, and reads nothing."""
    over = threading.Event()

    def another() -> None:
        while not over.wait(0.05):
            acquire(SUBJECT, "another run")

    acquire(SUBJECT, "another run")
    first = threading.Thread(target=another)
    first.start()
    with pytest.raises(Busy, match="Another full sync is under way"):
        full_sync()
    over.set()
    first.join()


def test_a_ledger_that_is_away_for_a_moment_does_not_end_its_turn(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is renewed when the ledger is back, so that no second one begins beside it."""
    monkeypatch.setattr("tasks.records.locks.HEARTBEAT_SECONDS", 0.1)
    renew, tries, renewed = leases.renew, count(), threading.Event()

    def away_at_first(owner: str) -> None:
        if next(tries) == 0:
            raise TransientError("The ledger did not answer.")
        renew(owner)
        renewed.set()

    with lock_sync():
        monkeypatch.setattr("tasks.records.locks.leases.renew", away_at_first)
        assert renewed.wait(60)


def test_one_that_was_killed_is_waited_for(world: None) -> None:
    """Its lease ends by itself."""
    acquire(SUBJECT, "a run that was killed", seconds=1)
    assert full_sync().sentence == "0 invoices compared, 0 differed."


def test_repairs_are_limited_to_the_kinds_asked_for(drifted: Callable[[], Any], org: Org) -> None:
    """The others are reported and left alone."""
    outcome = full_sync(only=[Kind.STATUS])
    overwritten, deleted, *_ = drifted_records(org)
    assert overwritten["Status__c"] == "Open"
    assert deleted["Status__c"] == "Draft"
    assert "1 repaired" in outcome.sentence
    assert "2 found" in outcome.sentence


def drifted_records(org: Org) -> list[dict[str, Any]]:
    """The two records that there were before."""
    return [org.record("INV-0001"), org.record("INV-0002")]


@pytest.fixture
def overwritten(sent: InvoiceOutcome, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    """One invoice, and somebody overwrote it: all invoices there are."""
    monkeypatch.setattr("tasks.full_sync.approval.MAX_UNAPPROVED_CHANGES", 0)
    org.set("INV-0001", Status__c="Void")


def test_a_suspicious_lot_of_changes_needs_approval(overwritten: None, org: Org) -> None:
    """A sync that would rewrite the org stops and says how to let it go on."""
    with pytest.raises(Rejected, match=r"approve_above = 1\.00"):
        full_sync()
    assert org.record("INV-0001")["Status__c"] == "Void"
    assert "1 repaired" in full_sync(approve_above=1).sentence


def test_what_is_left_alone_needs_no_approval(overwritten: None, org: Org) -> None:
    """It is of another kind than those that are to be repaired."""
    assert "1 found" in full_sync(only=[Kind.DELETED]).sentence
    assert org.record("INV-0001")["Status__c"] == "Void"


def test_who_may_let_it_go_on(overwritten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who may approve that an invoice is sent."""
    monkeypatch.setenv("INVOICING_APPROVAL__APPROVERS", '["Chief", "Deputy"]')
    settings.cache_clear()
    assert Conversation(full_sync).choices("approver") == ["Chief", "Deputy"]


def test_an_approval_is_for_what_was_read(
    overwritten: None, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirteen hours later everything is read again, and asked about again."""
    talk = Conversation(full_sync)
    monkeypatch.setattr(staging, "datetime", ShiftedDatetime)
    shift_time(timedelta(hours=13).total_seconds())
    try:
        said = talk.answer(decision="Approve", approver="Anna Ledger")
    finally:
        shift_time(0)
    assert "May 1 invoices be changed in Salesforce?" in said
    assert org.record("INV-0001")["Status__c"] == "Void"


def test_a_deployed_sync_asks_a_person_and_goes_on_with_what_it_read(
    overwritten: None, org: Org, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """It waits without a process and without keeping others from syncing; then it repairs."""
    talk = Conversation(full_sync)
    assert "May 1 invoices be changed in Salesforce?" in talk.said
    assert "| status | 1 |" in talk.said
    assert org.record("INV-0001")["Status__c"] == "Void"
    assert leases.expiry(SUBJECT) is None
    for sandbox in (stripe_sandbox, salesforce_sandbox):
        sandbox.admin("DELETE", "requests")
    assert "1 repaired" in talk.answer(decision="Approve", approver="Anna Ledger")
    assert org.record("INV-0001")["Status__c"] == "Open"
    assert stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"] == 0
    asked = salesforce_sandbox.admin("GET", "requests?method=POST")["by_path"]
    jobs = sum(count for path, count in asked.items() if path.endswith("/jobs/query"))
    assert jobs == 1, "the Accounts, and neither invoices nor lines again"


def test_a_declined_sync_writes_nothing_and_ends(
    overwritten: None, org: Org, stripe_sandbox: Sandbox
) -> None:
    """It says who declined and why; the next one reads again, and asks again."""
    talk = Conversation(full_sync)
    said = talk.answer(decision="Decline", approver="Anna Ledger", comment="Wrong mapping")
    assert "nothing was written: Anna Ledger declined it, saying: Wrong mapping" in said
    assert talk.state.is_completed()
    assert org.record("INV-0001")["Status__c"] == "Void"
    assert last_drift()["status"].outcome == "found"
    stripe_sandbox.admin("DELETE", "requests")
    assert Conversation(full_sync).waits
    assert stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"] == 1


def test_large_drift_is_written_in_bulk_and_failed_rows_are_listed(
    draft: Callable[..., InvoiceOutcome], org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row's own result counts."""
    monkeypatch.setattr("tasks.full_sync.repair.MAX_SINGLE_REPAIRS", 0)
    for _ in range(2):
        send_invoice(draft().name)
    for name in ("INV-0001", "INV-0002"):
        org.set(name, Status__c="Void", Total__c=1, Is_Overdue__c=True)
    assert "2 repaired" in full_sync().sentence
    for name in ("INV-0001", "INV-0002"):
        found = org.record(name)
        assert (found["Status__c"], float(found["Total__c"])) == ("Open", 2450)
    assert full_sync().sentence == "2 invoices compared, 0 differed."


@pytest.fixture
def before_it_writes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Lets something happen between the comparison and the repair, which is in bulk."""
    monkeypatch.setattr("tasks.full_sync.repair.MAX_SINGLE_REPAIRS", 0)

    def happens(what: Callable[[], Any]) -> None:
        monkeypatch.setattr("tasks.full_sync.repair.check_api_usage", what)

    return happens


def test_what_was_paid_while_a_person_thought_about_it_is_written_as_paid(
    sent: InvoiceOutcome, org: Org, before_it_writes: Any, dashboard: stripe.StripeClient
) -> None:
    """What is written is read when it is written, not when it was compared."""
    org.set("INV-0001", Status__c="Void")
    pay = dashboard.v1.invoices.pay
    before_it_writes(lambda: pay(sent.stripe_id, {"paid_out_of_band": True}))
    assert "1 repaired" in full_sync().sentence
    assert org.record("INV-0001")["Status__c"] == "Paid"
    assert last_drift()["status"].outcome == "repaired: now Paid Paid."


def test_what_is_gone_from_stripe_meanwhile_is_told_to_a_person(
    world: None, org: Org, before_it_writes: Any, dashboard: stripe.StripeClient
) -> None:
    """It is not on its page any more, and so it is looked at alone."""
    [acme] = org.query("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")
    customer = dashboard.v1.customers.create({"name": "Acme Corporation"})
    links.link_customer(customer.id, acme["Id"])
    made = dashboard.v1.invoices.create({"customer": customer.id, "auto_advance": False})
    full_sync()
    org.set("INV-0001", Status__c="Open")
    before_it_writes(lambda: dashboard.v1.invoices.delete(made.id))
    full_sync()
    assert "not repaired: Stripe has no invoice" in last_drift()["status"].outcome


@pytest.mark.parametrize("at", ["record_id", "stripe_id"])
def test_what_somebody_works_on_is_waited_for(
    sent: InvoiceOutcome, org: Org, before_it_writes: Any, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """It does not keep the many from being written, and is looked at alone afterwards."""
    left_alone: list[str] = []
    one_by_one = repair.repair_one_by_one

    def watched(sync: SyncRun, subjects: Sequence[str]) -> None:
        left_alone.extend(subjects)
        one_by_one(sync, subjects)

    def somebody_ends(ids: Sequence[str], *more: Any) -> Any:
        if not ids:  # it was looked at, and is not free
            release(getattr(sent, at), "somebody else")
        return read_invoices(ids, *more)

    monkeypatch.setattr("tasks.full_sync.repair.repair_one_by_one", watched)
    monkeypatch.setattr("tasks.sync.refresh.read_invoices", somebody_ends)
    org.set("INV-0001", Status__c="Void")
    before_it_writes(lambda: acquire(getattr(sent, at), "somebody else", seconds=600))
    assert "1 repaired" in full_sync().sentence
    assert org.record("INV-0001")["Status__c"] == "Open"
    assert left_alone == [sent.stripe_id]


def test_a_customer_nobody_knows_is_named_as_such(
    world: None, dashboard: stripe.StripeClient
) -> None:
    """A person has to link it; the sync writes nothing for it."""
    stranger = dashboard.v1.customers.create({"name": "Stranger", "email": "s@example.com"})
    dashboard.v1.invoices.create({"customer": stranger.id})
    assert "1 differed: 1 found" in full_sync().sentence
    assert set(last_drift()) == {Kind.UNLINKED_CUSTOMER}


@pytest.fixture
def unknown(fast: None, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox) -> None:
    """300 invoices of five customers that Salesforce knows, and none of the invoices."""
    stripe_sandbox.admin("POST", "generate", customers=5, invoices=300)
    named = equals("Name", "Acme Corporation")
    [acme] = salesforce.client().query(Query("Account", ["Id"], where=named))
    for customer in {row["customer"] for row in listed(stripe_sandbox)}:
        links.link_customer(customer, acme["Id"])
    for sandbox in (stripe_sandbox, salesforce_sandbox):
        sandbox.admin("DELETE", "requests")


def listed(stripe_sandbox: Sandbox) -> list[Any]:
    """All invoices in Stripe."""
    client = stripe.StripeClient(
        "sk_live_sandbox",
        base_addresses={"api": stripe_sandbox.url},
    )
    return list(client.v1.invoices.list({"limit": 100}).auto_paging_iter())


def are_there_once(org: Org, stripe_sandbox: Sandbox) -> bool:
    """Whether each invoice and each of its lines has one record, and each record one beginning."""
    fields = "Stripe_Invoice_Id__c, Local_Key__c, Sync_State__c"
    made = org.query(f"SELECT {fields}, (SELECT Amount__c FROM Lines__r) FROM Stripe_Invoice__c")
    invoices = {invoice.id: invoice for invoice in listed(stripe_sandbox)}
    assert {row["Local_Key__c"] for row in made} == set(invoices)
    assert {row["Sync_State__c"] for row in made} == {"Clean"}
    for row in made:
        invoice = invoices[row["Stripe_Invoice_Id__c"]]
        amounts = [number(line["Amount__c"]) for line in row["Lines__r"]["records"]]
        assert sum(amounts) == Money(invoice.currency.upper(), invoice.subtotal).decimal
    events = org.query("SELECT Invoice__c FROM Stripe_Invoice_Event__c")
    assert len({event["Invoice__c"] for event in events}) == len(events) == len(made)
    return len(made) == len(invoices)


def test_a_mass_of_unknown_invoices_costs_few_calls(
    unknown: None, org: Org, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """Records with their lines, and timelines, travel many at once; Stripe is asked for pages."""
    assert "300 differed: 300 repaired" in full_sync(approve_above=1).sentence
    pages = stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"]
    assert pages < 20
    singles = stripe_sandbox.admin("GET", "requests")["by_path"]
    assert not [
        path
        for path in singles
        if path.startswith("GET /v1/invoices/in_") and not path.endswith("/lines")
    ]
    assert salesforce_sandbox.admin("GET", "requests")["count"] < 60
    assert are_there_once(org, stripe_sandbox)
    assert full_sync().sentence == "300 invoices compared, 0 differed."


def test_more_accounts_than_one_query_can_name(
    world: None, org: Org, salesforce_sandbox: Sandbox
) -> None:
    """Those that a first night bills are asked for in parts: a longer query is answered by 414."""
    salesforce_sandbox.admin("POST", "generate", accounts=900, invoices=0)
    accounts = [row["Id"] for row in org.query("SELECT Id FROM Account")]
    assert surviving_accounts(accounts) == {account: account for account in accounts}
    assert len(accounts) > 900


def test_thousands_of_unknown_invoices_are_made_and_those_that_fail_are_listed(
    fast: None, org: Org, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """One customer's Account was deleted: its invoices are named, and all others are made."""
    stripe_sandbox.admin("POST", "generate", customers=50, invoices=1500)
    invoices = listed(stripe_sandbox)
    kept, gone, *_ = (row["Id"] for row in org.query("SELECT Id FROM Account ORDER BY Name"))
    salesforce.client().delete("Account", gone)
    stranded, *others = sorted({invoice.customer for invoice in invoices})
    links.link_customer(stranded, gone)
    for customer in others:
        links.link_customer(customer, kept)
    lost = {invoice.id for invoice in invoices if invoice.customer == stranded}
    outcome = full_sync(approve_above=1).sentence
    assert f"{len(invoices) - len(lost):,} repaired" in outcome
    assert f"{len(lost)} not repaired" in outcome
    paths = salesforce_sandbox.admin("GET", "requests")["by_path"]
    assert sum(n for path, n in paths.items() if "composite" in path) < 40
    made = org.query("SELECT Stripe_Invoice_Id__c, Local_Key__c FROM Stripe_Invoice__c")
    assert {row["Local_Key__c"] for row in made} == {invoice.id for invoice in invoices} - lost
    assert len(made) == len(invoices) - len(lost)
    [left] = {row.outcome for rows in drift.chunks(last_sync()) for row in rows} - {MADE}
    assert "deleted" in left


@pytest.mark.parametrize("step", ["note_created", "publish"])
def test_killed_while_it_makes_many_records(
    unknown: None,
    org: Org,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """The next run finishes what was begun, whether it goes on or reads everything again."""

    class Killed(BaseException):
        """The process is gone."""

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"tasks.full_sync.create_missing.{step}", die)
        with pytest.raises(Killed):
            full_sync(approve_above=1)
    if step == "publish":
        monkeypatch.setattr("invoicing.ledger.staging.RESUME_WITHIN", timedelta(0))
    full_sync(approve_above=1)
    poll_events()
    assert are_there_once(org, stripe_sandbox)
    assert ", 0 differed" in full_sync().sentence


def test_all_records_of_an_account_are_in_one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a later chunk, too, whichever lane has less to write: a call locks its Accounts."""
    monkeypatch.setattr(create_missing, "_lane_of", {})

    def lanes(*accounts: str) -> list[set[str]]:
        some = [create_missing.MissingInvoice(cast(Projection, None), (), one) for one in accounts]
        return [{one.account for one in lane} for lane in create_missing._by_lane(some)]

    assert lanes("a", "a", "b", "c", "d", "e") == [{"a"}, {"b", "e"}, {"c"}, {"d"}]
    assert lanes("e", "e", "e", "b", "a", "f") == [{"a"}, {"b", "e"}, {"f"}, set()]


def test_many_records_whose_answers_were_lost_are_there_once(
    unknown: None, org: Org, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """Salesforce made them and could not say so, twice; nothing is made a second time."""
    lost = {"kind": "lost", "path": "*/composite/graph", "count": 2}
    salesforce_sandbox.admin("POST", "faults", rules=[lost])
    assert "300 differed" in full_sync(approve_above=1).sentence
    poll_events()
    assert are_there_once(org, stripe_sandbox)
    assert ", 0 differed" in full_sync().sentence


def test_every_difference_is_in_a_file(drifted: Callable[[], Any], tmp_path: Path) -> None:
    """With links to both systems."""
    full_sync(dry_run=True)
    [file] = (tmp_path / "reports").glob("drift-*.csv")
    rows = list(csv.DictReader(file.open()))
    assert {row["kind"] for row in rows} == {"status", "missing in Salesforce", "deleted"}
    assert all(f"/live/invoices/{row['stripe_invoice']}" in row["stripe_url"] for row in rows)
    assert not any(row["run_url"] for row in rows)
    assert "Each is in the table *drift*, under *Artifacts* of this run." in report()
    assert str(tmp_path) not in report()


def test_nothing_that_differed_leads_nowhere(sent: InvoiceOutcome) -> None:
    """The page of a night without differences names no list and no file."""
    full_sync()
    assert "**0 differed**" in report()
    assert "Artifacts" not in report()
    assert ".csv" not in report()


def test_between_nights_only_what_is_named_is_read(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Somebody overwrote a record: Salesforce names it, and no list is read."""
    full_sync()
    org.set("INV-0001", Status__c="Void")
    stripe_sandbox.admin("DELETE", "requests")
    assert full_sync(incremental=True).sentence == "1 invoice named, 1 differed."
    assert stripe_sandbox.admin("GET", "requests?path=/v1/invoices")["count"] == 0
    assert org.record("INV-0001")["Status__c"] == "Open"


def test_between_nights_it_says_what_it_could_not_put_right(sent: InvoiceOutcome, org: Org) -> None:
    """The one record that is named points at nothing: no success in silence."""
    full_sync()
    org.set("INV-0001", Stripe_Invoice_Id__c="in_of_another_account")
    assert full_sync(incremental=True).sentence == (
        "1 invoice named, 0 differed, 1 could not be put right: see the log."
    )


def test_bulk_work_leaves_people_their_calls(world: None, salesforce_sandbox: Sandbox) -> None:
    """Past the set share of the day's calls it stops before it has begun."""
    salesforce_sandbox.admin("POST", "limits", allowance=2)
    with pytest.raises(Rejected, match="API calls of 24 hours are used"):
        full_sync()


def test_a_slower_pace_is_kept_when_stripe_asks(
    world: None, stripe_sandbox: Sandbox, fast: None
) -> None:
    """429s slow all readers down, and everything is read nevertheless."""
    stripe_sandbox.admin("POST", "generate", customers=5, invoices=1000)
    busy = {"kind": "refuse", "method": "GET", "path": "/v1/invoices", "status": 429, "count": 2}
    stripe_sandbox.admin("POST", "faults", rules=[busy])
    assert "1,000 invoices compared" in full_sync(dry_run=True).sentence


def test_a_generated_business_agrees_but_for_the_share_asked_for(
    stripe_sandbox: Sandbox,
    salesforce_sandbox: Sandbox,
    fast: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both sandboxes tell of the same invoices; where Salesforce is behind, it catches up."""
    monkeypatch.setenv("INVOICING_BUSINESS__TIME_ZONE", "UTC")  # that of the sandboxes
    settings.cache_clear()
    salesforce_sandbox.admin("POST", "reset", seed="empty")
    stripe_sandbox.admin("POST", "generate", business=True, customers=20, invoices=600)
    salesforce_sandbox.admin("POST", "generate", accounts=20, invoices=600, drift=0.05)
    outcome = full_sync()
    assert set(last_drift()) == {Kind.STATUS}
    assert "repaired" in outcome.sentence
    assert ", 0 differed." in full_sync().sentence

"""What the ledger holds of people is named, found, cleared and erased; what it rests on stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel, select

from invoicing.domain.stripe.event_parsing import EventSummary
from invoicing.domain.stripe.payment_facts import MoneyBack, PaymentFacts
from invoicing.ledger import (
    database,
    inbox,
    intents,
    lent_emails,
    links,
    payment_facts,
    personal_data,
    timeline,
)
from invoicing.ledger.models import (
    DriftRow,
    EntryState,
    Event,
    EventState,
    Intent,
    OrgChange,
    Request,
    RequestRecord,
    StagedSalesforce,
    StagedStripe,
    SyncRun,
    TimelineEntry,
)

pytestmark = pytest.mark.usefixtures("ledger_url")

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1)
ACME = "001Hs00003XyZaBIAV"
NAME = "Wile E. Coyote"


def everything(account: str, customer: str, invoice: str, record: str) -> None:
    """A customer whose invoice was sent and paid, and whose name is wherever one can be."""
    inbox.receive([paid_event(invoice, customer)])
    entry = TimelineEntry(
        key=f"{record}-1",
        record_id=record,
        number=1,
        happened_at=NOW,
        side="Stripe",
        what=f"Paid by {NAME}",
        changes=f'{{"Memo__c": [null, "{NAME}"]}}',
        run_id="run",
        state=EntryState.PUBLISHED,
    )
    timeline.add([entry])
    request = RequestRecord(
        id=f"a0R-{record}",
        action="Send",
        invoice_id=record,
        parameters=NAME,
        asked_by="005",
        asked_at=NOW,
        run_id="run",
        answered=True,
    )
    field = Request(record_id=record, action="Void", asked_at=NOW, ended=f"{NAME} is gone")
    sync = SyncRun(id=f"sync-{account}", started_at=NOW, finished_at=NOW)
    drift = DriftRow(
        run_id=sync.id,
        subject=invoice,
        kind="amount",
        record_id=record,
        account_id=account,
        stripe_says="Paid",
        salesforce_says="Open",
        outcome=f"failed: {NAME}",
    )
    changed = OrgChange(record_id=record, field="Memo__c", invoice_id=record, written=NAME)
    with database.session() as ledger:
        ledger.add_all([request, field, sync, drift, changed])
        for event in ledger.exec(select(Event)):
            event.state = EventState.DONE
            ledger.add(event)
    for operation, subject, outcome in (
        (intents.MAIL, record, NOW.isoformat()),
        (intents.RESEND, f"{record}:again", NOW.isoformat()),
        (intents.LEND, customer, f"{NAME}@example.com"),
        (intents.GIVE_BACK, customer, f"{NAME}@example.com"),
    ):
        intents.intend(operation, subject, digest="d", actor="run")
        intents.conclude(operation, subject, outcome)


def paid_event(invoice: str, customer: str) -> inbox.NewEvent:
    """The news that an invoice is paid, with the customer's name."""
    news = EventSummary(
        event_id=f"evt_{invoice}",
        type="invoice.paid",
        livemode=False,
        occurred_at=NOW,
        account_id=None,
        object_id=invoice,
        invoice_id=invoice,
        customer_id=customer,
    )
    return inbox.new_event(news, f'{{"name": "{NAME}"}}', account_id="acct_1", source="webhook")


def acme() -> set[str]:
    """All ids of Acme, of which the Account, the customer and the record are given."""
    everything(ACME, "cus_1", "in_1", "a01")
    return personal_data.related({ACME, "cus_1", "a01"})


def names(**about: str) -> list[str]:
    """The tables that still name the customer in rows that hold a value."""
    found = personal_data.rows(about.values())
    return sorted(table for table, rows in found.items() if NAME in str(rows))


def outcomes() -> dict[tuple[str, str], str | None]:
    """What the intents came to."""
    with database.session() as ledger:
        return {(i.operation, i.subject): i.outcome for i in ledger.exec(select(Intent))}


def mail_again() -> str:
    """Try to mail the invoice once more; says when it was mailed."""

    def act(_: str) -> str:
        raise AssertionError("a second mail")

    return intents.once(
        intents.MAIL, "a01", digest="d", actor="other", evidence=lambda _since: None, act=act
    )


def test_every_column_says_whether_it_may_name_somebody() -> None:
    """A column that was added to a table is added to the list of what is held, too."""
    tables = {
        str(model.__tablename__): holding for model, holding in personal_data.HOLDINGS.items()
    }
    assert {*tables} == {*SQLModel.metadata.tables}
    for name, table in SQLModel.metadata.tables.items():
        holding = tables[name]
        columns = {column.name for column in table.columns}
        assert {*holding.stays} | {*holding.texts} == columns, name
        assert {*holding.stays} & {*holding.texts} == set(), name
        assert {*holding.found_by} <= columns, name


def test_a_customer_is_found_by_any_of_its_ids() -> None:
    """The invoice by the event of its customer; and nothing of another customer."""
    ids = acme()
    everything("001Globex", "cus_2", "in_2", "a02")
    assert ids == {ACME, "cus_1", "in_1", "a01"}
    found = personal_data.rows(ids)
    asked = {"request", "request_record"}
    assert {*found} == {"event", "timeline", "drift", "org_change", "intent"} | asked
    assert {row["subject"] for row in found["intent"]} == {"a01", "a01:again", "cus_1"}
    assert "in_2" not in str(found)
    assert "a02" not in str(found)


def test_its_invoices_are_found_by_what_the_night_read_and_by_their_links() -> None:
    """Of each the invoice and the record, whichever of the two its ids lead to."""
    here = StagedSalesforce(record_id="a02", stripe_id="", account_id=ACME, name="", status="Paid")
    there = StagedStripe(
        stripe_id="in_3",
        customer_id="cus_1",
        created=1,
        status="paid",
        total=1,
        amount_paid=1,
        amount_remaining=0,
        payment_state="Paid",
        overdue=False,
    )
    with database.session() as ledger:
        ledger.add_all([here, there])
    links.link_invoice("in_2", "a02")
    links.link_invoice("in_3", "a03")
    assert personal_data.related({ACME}) == {ACME, "a02", "in_2"}
    assert personal_data.related({"cus_1"}) == {"cus_1", "a03", "in_3"}


def test_ids_that_differ_by_case_are_of_two_customers() -> None:
    """As in Salesforce, also where the database does not tell them apart."""
    links.link_customer("cus_1", ACME)
    links.link_customer("cus_2", f"{ACME[:15].swapcase()}AAA")
    for account in (ACME, ACME[:15]):
        assert personal_data.customers_of(account) == {"cus_1": ACME}


def test_the_runs_that_wrote_rows_or_work_on_them_are_named() -> None:
    """Whichever column names them, and whichever attempt it was."""
    held: dict[str, list[dict[str, Any]]] = {
        "event": [{"owner": "handling#2#host:7"}, {"owner": None}],
        "intent": [{"actor": "sending"}],
        "timeline": [{"run_id": "syncing"}],
    }
    assert personal_data.flow_runs(held) == {"handling", "sending", "syncing"}


def test_one_customer_is_erased_and_no_other() -> None:
    """No text of it is left, and all of the other's; the second time there is nothing to do."""
    ids = acme()
    everything("001Globex", "cus_2", "in_2", "a02")
    assert personal_data.erase(ids)["timeline"] == 1
    assert names(account=ACME, customer="cus_1", invoice="in_1", record="a01") == []
    assert {"drift", "org_change"}.isdisjoint(personal_data.rows(ids))
    theirs = names(account="001Globex", customer="cus_2", invoice="in_2", record="a02")
    asked = ["request", "request_record"]
    assert theirs == ["drift", "event", "intent", "org_change", *asked, "timeline"]
    assert personal_data.erase(ids) == {}


def test_what_is_asked_while_a_customer_is_erased_is_still_asked() -> None:
    """Without its parameters, a payment of a part would be noted as the whole."""
    ids = acme()
    asked = RequestRecord(
        id="a03late",
        action="Record Payment",
        invoice_id="a01",
        parameters="amount: 50",
        asked_by="005",
        asked_at=NOW,
    )
    with database.session() as ledger:
        ledger.add(asked)
    personal_data.erase(ids)
    with database.session() as ledger:
        assert ledger.get_one(RequestRecord, "a03late").parameters == "amount: 50"


def test_what_comes_in_while_a_customer_is_erased_is_still_processed() -> None:
    """Without its body, nobody could tell what it is about."""
    ids = acme()
    inbox.receive([paid_event("in_3", "cus_1")])
    personal_data.erase(ids)
    [waits] = inbox.claim("handler", account_id="acct_1", limit=10)
    assert NAME in waits.body


def test_what_was_done_once_is_not_done_again_after_erasure() -> None:
    """An event that comes again is known, and an invoice that was mailed is not mailed."""
    ids = acme()
    before = outcomes()
    personal_data.erase(ids)
    assert inbox.receive([paid_event("in_1", "cus_1")]) == 0
    assert mail_again() == before[intents.MAIL, "a01"]
    changed = {key for key, outcome in outcomes().items() if outcome != before[key]}
    assert changed == {(intents.LEND, "cus_1"), (intents.GIVE_BACK, "cus_1")}


def test_what_is_old_is_forgotten_and_still_not_done_again() -> None:
    """Every text whose time is over is gone; repeats are known all the same."""
    acme()
    with database.session() as ledger:
        [one] = ledger.exec(select(TimelineEntry))
        kept = one.model_copy(update={"key": "a01-2", "number": 2, "state": EntryState.HAPPENED})
    timeline.add([kept])
    question = "key-of-a-question"
    intents.decide_once(intents.DECIDE, question, digest="Approve", actor="a03", outcome=NAME)
    yes = intents.APPROVED_BY, f"{question}:005"
    intents.set_decision(*yes, digest="content", actor="a03", outcome=NAME)
    past: Any = dict.fromkeys(("bodies", "texts", "reports"), NOW - timedelta(days=1))
    assert personal_data.forget(**past) == {}
    done = personal_data.forget(bodies=LATER, texts=LATER, reports=LATER)
    asked = {"request": 1, "request_record": 1}
    assert done == {"event": 1, "timeline": 1, "intent": 4, "drift": 1} | asked
    left = names(account=ACME, customer="cus_1", invoice="in_1", record="a01")
    assert left == ["org_change", "timeline"]  # what the org still changes, or does not have yet
    assert inbox.receive([paid_event("in_1", "cus_1")]) == 0
    assert mail_again()
    decided = intents.decide_once(
        intents.DECIDE, question, digest="Reject", actor="a04", outcome=""
    )
    assert (decided.digest, decided.actor, decided.outcome) == (
        "Approve",
        "a03",
        personal_data.GONE,
    )


def test_what_is_not_over_is_named() -> None:
    """Nothing is open of a customer at first; then each matter is a sentence."""
    ids = acme()
    assert personal_data.open_matters(ids) == []
    inbox.receive([paid_event("in_9", "cus_1")])
    lent_emails.lend("cus_1", ACME, own=None, lent="wile.coyote@example.com")
    intents.intend(intents.CREDIT, "a01:day-3", digest="d", actor="run")
    said = personal_data.open_matters(ids)
    for part in ("evt_in_9", "another e-mail address", "credit-invoice happened on a01:day-3"):
        assert [part in matter for matter in said].count(True) == 1
    assert len(said) == 3


def open_with(row: SQLModel) -> list[str]:
    """What is not over of Acme, with one more row."""
    ids = acme()
    with database.session() as ledger:
        ledger.add(row)
    return personal_data.open_matters(ids)


def test_what_salesforce_does_not_have_yet_is_not_over() -> None:
    """It is told on a timeline that is still to be written."""
    told = TimelineEntry(
        key="a01-2",
        record_id="a01",
        happened_at=NOW,
        side="Stripe",
        what="Paid",
        run_id="run",
        state=EntryState.HAPPENED,
    )
    [said] = open_with(told)
    assert said.startswith("Salesforce does not have the whole timeline yet")


def test_a_request_is_not_over_before_it_is_answered() -> None:
    """Somebody in Salesforce waits for it."""
    asked = RequestRecord(id="a03", action="Send", invoice_id="a01", asked_by="5", asked_at=NOW)
    assert open_with(asked) == ["The request a03 (Send) is not answered."]


@pytest.mark.parametrize(
    ("come_to", "open_"),
    [
        ({}, True),
        ({"cleared": True}, True),
        ({"cleared": True, "run_id": "run"}, False),
        ({"ended": "The record was deleted."}, False),
    ],
)
def test_what_an_action_field_asks_for_is_not_over_before_its_run_is_started(
    come_to: dict[str, Any], open_: bool
) -> None:
    """Or until it has come to nothing."""
    asked = Request(record_id="a01", action="Void", asked_at=NOW, **come_to)
    assert open_with(asked) == (["Void is asked for on a01."] if open_ else [])


def test_what_only_its_invoice_or_its_account_leads_to_is_not_over() -> None:
    """An event that names no customer, and a loan to one that is forgotten."""
    ids = acme()
    inbox.receive([paid_event("in_9", "cus_9")])
    lent_emails.lend("cus_9", ACME, own=None, lent="wile.coyote@example.com")
    assert len(personal_data.open_matters(ids)) == 1
    assert len(personal_data.open_matters(ids | {"in_9"})) == 2


def test_what_was_refused_or_can_be_done_again_is_over() -> None:
    """Nobody need find out whether it happened."""
    ids = acme()
    intents.intend(intents.CREDIT, "a01:day-3", digest="d", actor="run")
    intents.withdraw(intents.CREDIT, "a01:day-3")
    intents.intend(intents.SEND, "a01", digest="d", actor="run")
    assert personal_data.open_matters(ids) == []


@pytest.mark.parametrize(
    ("status", "open_"),
    [
        ("needs_response", True),
        ("under_review", True),
        ("warning_needs_response", True),
        ("warning_under_review", True),
        ("won", False),
        ("lost", False),
        ("warning_closed", False),
    ],
)
@pytest.mark.parametrize("currency", ["usd", "eur"])
def test_a_dispute_is_not_over_before_it_is_decided(
    status: str, open_: bool, currency: str
) -> None:
    """As the ledger knows it: in words, and with its sum where that is in other money."""
    ids = acme()
    dispute: Any = {"status": status, "created": 1, "currency": currency, "amount": 210_000}
    back = MoneyBack("usd", {}, disputes=[dispute])
    known = PaymentFacts(dispute_status=back.dispute_status)
    payment_facts.remember({"in_1": (known, None, None)})
    said = ["A payment of in_1 is under dispute."] if open_ else []
    assert personal_data.open_matters(ids) == said

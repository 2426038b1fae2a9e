"""What the ledger holds of people is named, found, cleared and erased; what it rests on stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel, select

from invoicing.domain.stripe.event_parsing import EventSummary
from invoicing.ledger import database, inbox, intents, lent_emails, personal_data, timeline
from invoicing.ledger.models import (
    DriftRow,
    EntryState,
    Event,
    EventState,
    Intent,
    OrgChange,
    RequestRecord,
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
        ledger.add_all([request, sync, drift, changed])
        for event in ledger.exec(select(Event)):
            event.state = EventState.DONE
            ledger.add(event)
    for operation, subject, outcome in (
        (intents.MAIL, record, NOW.isoformat()),
        (intents.RESEND, f"{record}:again", NOW.isoformat()),
        (intents.LEND, customer, f"{NAME}@example.com"),
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
    assert {*found} == {"event", "timeline", "request_record", "drift", "org_change", "intent"}
    assert "in_2" not in str(found)
    assert "a02" not in str(found)


def test_one_customer_is_erased_and_no_other() -> None:
    """No text of it is left, and all of the other's; the second time there is nothing to do."""
    ids = acme()
    everything("001Globex", "cus_2", "in_2", "a02")
    assert personal_data.erase(ids)["timeline"] == 1
    assert names(account=ACME, customer="cus_1", invoice="in_1", record="a01") == []
    theirs = names(account="001Globex", customer="cus_2", invoice="in_2", record="a02")
    assert theirs == ["drift", "event", "intent", "org_change", "request_record", "timeline"]
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


def test_what_was_done_once_is_not_done_again_after_erasure() -> None:
    """An event that comes again is known, and an invoice that was mailed is not mailed."""
    ids = acme()
    before = outcomes()
    personal_data.erase(ids)
    assert inbox.receive([paid_event("in_1", "cus_1")]) == 0
    assert mail_again() == before[intents.MAIL, "a01"]
    changed = {key for key, outcome in outcomes().items() if outcome != before[key]}
    assert changed == {(intents.LEND, "cus_1")}


def test_what_is_old_is_forgotten_and_still_not_done_again() -> None:
    """Every text whose time is over is gone; repeats are known all the same."""
    acme()
    with database.session() as ledger:
        [one] = ledger.exec(select(TimelineEntry))
        kept = one.model_copy(update={"key": "a01-2", "number": 2, "state": EntryState.HAPPENED})
    timeline.add([kept])
    question = "key-of-a-question"
    intents.decide_once(intents.DECIDE, question, digest="Approve", actor="a03", outcome=NAME)
    past: Any = dict.fromkeys(("bodies", "texts", "reports"), NOW - timedelta(days=1))
    assert personal_data.forget(**past) == {}
    done = personal_data.forget(bodies=LATER, texts=LATER, reports=LATER)
    assert done == {"event": 1, "timeline": 1, "request_record": 1, "intent": 2, "drift": 1}
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

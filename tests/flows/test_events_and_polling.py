"""What happens in Stripe comes back: by hand, by events, by polling."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import stripe
from prefect.artifacts import Artifact
from sqlalchemy import select, update
from sqlmodel import col

from flows.forget_old_data import forget_old_data
from flows.full_sync import full_sync
from flows.handle_events import handle_events
from flows.poll_events import poll_events
from flows.replay_events import replay_events
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.connectors.prefect import Prefect
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import EventsMissed, InvoicingError, Rejected
from invoicing.ledger import database, inbox, stream_positions
from invoicing.ledger.inbox import EventFilter
from invoicing.ledger.models import Cursor, Event
from tasks.sync.stripe_reader import read_invoices
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org
from tests.flows.events import event_from

FETCHED = "events:acct_1SandboxAcme"
"""The cursor of the polls."""


def nothing_fetched_for(age: timedelta) -> None:
    """Let the last poll be long ago."""
    stream_positions.move_cursor(FETCHED, datetime.now(UTC))
    with database.session() as ledger:
        long_ago = datetime.now(UTC) - age
        ledger.execute(update(Cursor).where(col(Cursor.name) == FETCHED).values(position=long_ago))


def pay(sandbox: Sandbox, invoice: InvoiceOutcome, **form: str) -> None:
    """Pay as the customer does, on the hosted page."""
    sandbox.post_form(invoice.hosted_invoice_url, card="4242424242424242", **form)


def news_of(invoice: InvoiceOutcome, event_id: str) -> inbox.NewEvent:
    """An event that names an invoice, and says no more."""
    return event_from(
        {
            "id": event_id,
            "object": "event",
            "type": "invoice.updated",
            "livemode": True,
            "created": int(time.time()),
            "data": {"object": {"object": "invoice", "id": invoice.stripe_id}},
        }
    )


def test_sync_brings_a_payment_home(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """The button says in one sentence what changed, and then that nothing did."""
    pay(stripe_sandbox, sent)
    outcome = sync_invoice(sent.name)
    record = org.record("INV-0001")
    assert (record["Status__c"], record["Payment_State__c"]) == ("Paid", "Paid")
    assert float(record["Amount_Paid__c"]) == 2450
    assert outcome.sentence == "INV-0001 moved from Open to Paid."
    assert sync_invoice(sent.stripe_id).sentence == "INV-0001 was in step already."


def test_part_of_the_money(sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox) -> None:
    """A part payment leaves the invoice open, and says so."""
    pay(stripe_sandbox, sent, amount="450.00")
    sync_invoice(sent.name)
    record = org.record("INV-0001")
    assert (record["Status__c"], record["Payment_State__c"]) == ("Open", "Partly Paid")
    assert float(record["Amount_Remaining__c"]) == 2000


def test_sync_of_a_draft_says_that_there_is_nothing_yet(draft: Any) -> None:
    """No error, just the truth."""
    assert "in Salesforce only" in sync_invoice(draft().name).sentence


def test_polling_finds_what_no_webhook_brought(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Webhooks were away; the poll processes it, and polling again finds nothing new."""
    pay(stripe_sandbox, sent)
    outcome = poll_events()
    assert org.record("INV-0001")["Status__c"] == "Paid"
    assert "1 invoice looked at, 1 changed; INV-0001 moved from Open to Paid" in outcome.sentence
    assert "0 of them new" in poll_events().sentence
    assert inbox.backlog() == {}


def test_a_poll_goes_on_where_it_was_whatever_else_stripe_still_lists(
    world: None, stripe_sandbox: Sandbox, dashboard: stripe.StripeClient
) -> None:
    """An account full of invoices of the last year lists their events, which are no news."""
    poll_events()
    stripe_sandbox.admin("POST", "generate", customers=5, invoices=1000)
    assert dashboard.v1.events.list({"type": "invoice.paid", "limit": 100}).data
    assert "Stripe listed 0 events, 0 of them new" in poll_events().sentence


def test_an_event_that_stripe_lists_late_is_fetched(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """A poll between the two has fetched one that is minutes younger."""
    pay(stripe_sandbox, sent)
    stream_positions.move_cursor(FETCHED, datetime.now(UTC) + timedelta(minutes=3))
    poll_events()
    assert org.record("INV-0001")["Status__c"] == "Paid"


def test_events_late_doubled_and_out_of_order(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox, dashboard: stripe.StripeClient
) -> None:
    """Old news never overwrites newer state: each event makes us look, none is believed."""
    pay(stripe_sandbox, sent)
    events = [event.to_dict() for event in dashboard.v1.events.list({"limit": 100}).data]
    news = [event_from(event) for event in events if event["type"].startswith("invoice.")]
    for event in [*news, *reversed(news)]:
        inbox.receive([event])
        handle_events()
        assert org.record("INV-0001")["Status__c"] == "Paid"
    assert inbox.backlog() == {}


def test_a_burst_costs_one_read_and_one_write(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """Fifty events about one invoice are one look at it."""
    pay(stripe_sandbox, sent)
    inbox.receive([news_of(sent, f"evt_{number}") for number in range(50)])
    for sandbox in (stripe_sandbox, salesforce_sandbox):
        sandbox.admin("DELETE", "requests")
    outcome = handle_events()
    assert "1 invoice looked at, 1 changed" in outcome.sentence
    assert stripe_sandbox.admin("GET", "requests")["count"] == 1
    written = salesforce_sandbox.admin("GET", "requests?method=PATCH")
    assert written["count"] == 2  # the record, and the entry of its timeline


def test_the_page_of_a_run_says_what_moved_from_what_to_what(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox
) -> None:
    """Field by field, for each invoice."""
    pay(stripe_sandbox, sent)
    poll_events()
    table = artifact("invoices-moved")
    assert "INV-0001 moved from Open to Paid." in table
    assert "status: Open → Paid" in json.loads(table)[0]["From → to"]


def test_an_invoice_that_only_stripe_knows_is_read_once(
    dashboard: stripe.StripeClient, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Whose it is and what it says come with one answer."""
    [account] = org.query("SELECT Id FROM Account WHERE Name = 'Globex'")
    customer = dashboard.v1.customers.create({"email": "billing@globex.example"})
    salesforce.client().update("Account", account["Id"], {"Stripe_Customer_Id__c": customer.id})
    invoice = dashboard.v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30}
    )
    stripe_sandbox.admin("DELETE", "requests")
    poll_events()
    assert org.record("INV-0001")["Stripe_Invoice_Id__c"] == invoice.id
    calls = stripe_sandbox.admin("GET", "requests")["requests"]
    assert [c["path"] for c in calls].count(f"/v1/invoices/{invoice.id}") == 1


def test_bodies_are_dropped_once_their_time_is_over(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox
) -> None:
    """Ninety days, if nobody set another time; the digests stay."""
    pay(stripe_sandbox, sent)
    poll_events()
    with database.session() as ledger:
        old = datetime.now(UTC) - timedelta(days=91)
        ledger.execute(
            update(Event).where(col(Event.type) == "invoice.paid").values(received_at=old)
        )
    forget_old_data()
    with database.session() as ledger:
        kept = {e.type: (e.body != "", e.digest != "") for e in ledger.scalars(select(Event))}
    assert kept["invoice.paid"] == (False, True)
    assert kept["invoice.sent"] == (True, True)


def artifact(key: str) -> str:
    """What stands in the Prefect UI under a key."""
    found = cast(Artifact | None, Artifact.get(key))
    assert found is not None
    return str(found.data)


def test_what_cannot_be_processed_becomes_a_dead_letter_with_its_reason(
    dashboard: stripe.StripeClient, org: Org
) -> None:
    """An invoice of a customer whom Salesforce does not know waits for a person."""
    customer = dashboard.v1.customers.create({"email": "stranger@example.com"})
    dashboard.v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30}
    )
    outcome = poll_events()
    assert "belongs to no Account" in outcome.sentence
    assert inbox.backlog()["dead"] >= 1
    assert org.count() == 0


def test_an_event_is_kept_until_salesforce_takes_it(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """Salesforce locks the row again and again; then the event is done all the same."""
    pay(stripe_sandbox, sent)
    rule = {"kind": "refuse", "status": 400, "path": "*/composite/sobjects", "count": 2}
    salesforce_sandbox.admin("POST", "faults", rules=[rule | {"code": "UNABLE_TO_LOCK_ROW"}])
    poll_events()
    assert org.record("INV-0001")["Status__c"] == "Paid"
    assert inbox.backlog() == {}


def test_our_own_writes_are_not_new_work(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> None:
    """The events of our own sending cost no call to either side."""
    assert poll_events().sentence.endswith("Nothing was waiting.")
    for sandbox in (stripe_sandbox, salesforce_sandbox):
        sandbox.admin("DELETE", "requests")
    inbox.replay("acct_1SandboxAcme", EventFilter(states=["done"], event_ids=["evt_none"]))
    handle_events()
    assert stripe_sandbox.admin("GET", "requests")["count"] == 0
    assert salesforce_sandbox.admin("GET", "requests")["count"] == 0


def test_a_dead_letter_is_replayed_once_its_reason_is_gone(
    dashboard: stripe.StripeClient, org: Org
) -> None:
    """Somebody links the customer to an Account; the replay makes the record."""
    customer = dashboard.v1.customers.create({"email": "stranger@example.com"})
    dashboard.v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30}
    )
    poll_events()
    [account] = org.query("SELECT Id FROM Account WHERE Name = 'Globex'")
    salesforce.client().update("Account", account["Id"], {"Stripe_Customer_Id__c": customer.id})
    page = artifact("dead-letters")
    assert "belongs to no Account" in page
    assert "prefect deployment run replay-events/replay-events" in page
    outcome = replay_events()
    assert "0 dead letters left" in outcome.sentence
    assert "There are none" in artifact("dead-letters")
    assert org.record("INV-0001")["Status__c"] == "Draft"


def dead_letter(invoice: InvoiceOutcome, kind: str = "invoice.updated") -> None:
    """Let there be an event about an invoice that nobody could process."""
    inbox.receive([news_of(invoice, "evt_dead")])
    with database.session() as ledger:
        dead = update(Event).where(col(Event.event_id) == "evt_dead")
        ledger.execute(dead.values(state="dead", type=kind))


def test_a_dead_letter_about_money_back_is_not_closed_by_a_look_at_the_invoice(
    sent: InvoiceOutcome,
) -> None:
    """An invoice's own events do not make us read its refunds; the night does."""
    dead_letter(sent, "refund.created")
    inbox.receive([news_of(sent, "evt_next")])
    assert "1 invoice looked at" in handle_events().sentence
    assert inbox.backlog() == {"dead": 1}
    full_sync()
    assert inbox.backlog() == {}


def test_a_dead_letter_that_came_in_meanwhile_stays_open(
    sent: InvoiceOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The invoice had been read by then: what the letter is about may not have been there yet."""

    def and_another_dies(*given: Any) -> Any:
        answer = read_invoices(*given)
        dead_letter(sent)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr("tasks.sync.refresh.read_invoices", and_another_dies)
        sync_invoice(sent.name)
    assert inbox.backlog() == {"dead": 1}
    sync_invoice(sent.name)
    assert inbox.backlog() == {}


def test_a_replayed_event_is_looked_at_though_it_says_nothing_new(
    sent: InvoiceOutcome, org: Org
) -> None:
    """Somebody overwrote the record, and has the invoice's events handled again."""
    poll_events()
    org.set(sent.name, Status__c="Void")
    replay_events(states=[], types=["invoice.finalized"])
    assert org.record(sent.name)["Status__c"] == "Open"


def test_a_poll_after_a_month_raises_the_alarm_and_has_everything_compared(
    sent: InvoiceOutcome, deployed: Deployed
) -> None:
    """Events may be lost by then: the run says so, and a full sync is under way, once each time."""
    for gap in (1, 2):
        nothing_fetched_for(timedelta(days=26))
        with pytest.raises(EventsMissed, match="A full sync was started"):
            poll_events()
        assert deployed.runs("full-sync") == gap
        poll_events()
        assert deployed.runs("full-sync") == gap


def test_a_gap_is_not_forgotten_while_prefect_is_away(
    sent: InvoiceOutcome, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was listed is fetched already; the next poll still has everything compared."""

    def away(*_: object) -> str:
        raise InvoicingError("Prefect is away")

    nothing_fetched_for(timedelta(days=26))
    with monkeypatch.context() as patch:
        patch.setattr(Prefect, "start", away)
        with pytest.raises(InvoicingError, match="Prefect is away"):
            poll_events()
    with pytest.raises(EventsMissed):
        poll_events()
    assert deployed.runs("full-sync") == 1


def test_wrong_key_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, sent: InvoiceOutcome
) -> None:
    """A key of another account, or none at all, stops every run before it writes."""
    from invoicing.connectors import stripe as connector
    from invoicing.ledger import environment_binding
    from invoicing.settings import settings

    monkeypatch.setenv("INVOICING_STRIPE__API_KEY", "sk_live_wrong")
    settings.cache_clear()
    connector.client.cache_clear()
    with pytest.raises(Exception, match="Stripe does not accept the API key"):
        sync_invoice(sent.name)
    assert environment_binding.binding("acct_1SandboxAcme", livemode=True) is not None


def test_refused_is_not_retried(sent: InvoiceOutcome) -> None:
    """An invoice that does not exist anywhere is said to be missing, at once."""
    with pytest.raises(Rejected, match="There is no invoice 'INV-0404'"):
        sync_invoice("INV-0404")

"""Overdue by the business's calendar, and reminders exactly once."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from flows.full_sync import full_sync
from flows.mark_overdue import mark_overdue
from flows.poll_events import poll_events
from flows.send_invoice import send_invoice
from flows.send_reminders import send_reminders
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.model.dates import written
from invoicing.errors import Misconfigured
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org
from tests.flows.dialogues import Killed

FIELDS = "Is_Overdue__c, Reminders_Sent__c, Last_Reminder_At__c, Status__c"


def on(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    """Let it be another day at the business."""
    for module in ("sync.overdue", "sending.reminders"):
        monkeypatch.setattr(f"tasks.{module}.today", lambda: day)


def record(org: Org) -> dict[str, Any]:
    """The only record."""
    [found] = org.query(f"SELECT {FIELDS} FROM Stripe_Invoice__c")
    return found


def told(org: Org) -> list[str]:
    """What the timeline says, the newest first."""
    entries = org.query("SELECT What__c FROM Stripe_Invoice_Event__c ORDER BY Name DESC")
    return [row["What__c"] for row in entries]


def mails(sandbox: Sandbox) -> int:
    """How many e-mails customers got."""
    return len(sandbox.admin("GET", "mail")["data"])


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three days before the due date, and one and seven days after it; twice at the most."""
    monkeypatch.setenv("INVOICING_REMINDERS__BEFORE_DUE", "[3]")
    monkeypatch.setenv("INVOICING_REMINDERS__AFTER_DUE", "[1, 7]")
    monkeypatch.setenv("INVOICING_REMINDERS__AT_MOST", "2")
    settings.cache_clear()


@pytest.fixture
def killed_at(
    policy: None,
    sent: InvoiceOutcome,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], int]:
    """Begins to remind on the day after, and dies at a place; how many e-mails there had been."""

    def begin(where: str) -> int:
        def die(*_: Any) -> None:
            raise Killed

        on(monkeypatch, NEXT_MONTH + timedelta(days=1))
        before = mails(stripe_sandbox)
        with monkeypatch.context() as patch:
            patch.setattr(where, die)
            with pytest.raises(Killed):
                send_reminders()
        return before

    return begin


def a_month_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was begun be long over."""
    monkeypatch.setattr("tasks.sending.reminders.UNREPORTED_AGE", (timedelta(days=60), timedelta()))
    on(monkeypatch, NEXT_MONTH + timedelta(days=29))


def test_overdue_from_the_day_after(
    sent: InvoiceOutcome,
    org: Org,
    stripe_sandbox: Sandbox,
    salesforce_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In time on its due date, overdue the next day, and Stripe is not asked."""
    on(monkeypatch, NEXT_MONTH)
    assert mark_overdue().sentence == "0 invoices became overdue, 0 no longer are."
    on(monkeypatch, NEXT_MONTH + timedelta(days=1))
    stripe_sandbox.admin("DELETE", "requests")
    assert mark_overdue().sentence == "1 invoice became overdue, 0 no longer are."
    assert stripe_sandbox.admin("GET", "requests")["count"] == 0
    assert record(org)["Is_Overdue__c"] is True
    assert told(org)[0] == "Overdue"
    salesforce_sandbox.admin("DELETE", "requests")
    assert mark_overdue().sentence == "0 invoices became overdue, 0 no longer are."
    assert salesforce_sandbox.admin("GET", "requests")["count"] == 1


def test_a_later_due_date_takes_the_mark_away(sent: InvoiceOutcome, org: Org) -> None:
    """Marked by hand or by another time zone: the calendar decides."""
    org.set("INV-0001", Is_Overdue__c=True)
    assert mark_overdue().sentence == "0 invoices became overdue, 1 no longer are."
    assert record(org)["Is_Overdue__c"] is False


def test_nobody_is_reminded_of_a_day_that_is_another_in_stripe(
    policy: None,
    sent: InvoiceOutcome,
    org: Org,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The record has a day that is not the invoice's, and no sync has put it right yet."""
    org.set(sent.name, Due_Date__c=(NEXT_MONTH - timedelta(days=20)).isoformat())
    on(monkeypatch, NEXT_MONTH - timedelta(days=19))
    before = mails(stripe_sandbox)
    assert send_reminders().sentence == "1 reminder planned, 0 sent."
    assert mails(stripe_sandbox) == before


def test_reminders_are_off_by_default(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is mailed unless the settings say when."""
    on(monkeypatch, NEXT_MONTH + timedelta(days=1))
    before = mails(stripe_sandbox)
    assert "Reminders are off" in send_reminders().sentence
    assert mails(stripe_sandbox) == before


def test_each_planned_reminder_once(
    policy: None,
    sent: InvoiceOutcome,
    org: Org,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before and after the due date, twice at the most, however often the flow runs."""
    before = mails(stripe_sandbox)
    for days, mailed in ((-4, 0), (-3, 1), (-3, 1), (-2, 1), (1, 2), (1, 2), (7, 2)):
        on(monkeypatch, NEXT_MONTH + timedelta(days=days))
        send_reminders()
        assert mails(stripe_sandbox) - before == mailed
    assert record(org)["Reminders_Sent__c"] == 2
    assert record(org)["Last_Reminder_At__c"] is not None
    first, second = NEXT_MONTH - timedelta(days=3), NEXT_MONTH + timedelta(days=1)
    reminders = [what for what in told(org) if "Reminder" in what]
    assert reminders == [
        f"Reminder 2 mailed, planned for {written(second)}",
        f"Reminder 1 mailed, planned for {written(first)}",
    ]


def test_killed_after_the_mail(
    killed_at: Callable[[str], int], org: Org, stripe_sandbox: Sandbox
) -> None:
    """The mail went out and the run died: the next one writes it down and mails nobody."""
    before = killed_at("invoicing.ledger.intents.conclude")
    assert mails(stripe_sandbox) == before + 1
    assert "1 reminder planned, 1 sent." in send_reminders().sentence
    assert mails(stripe_sandbox) == before + 1
    assert record(org)["Reminders_Sent__c"] == 1
    assert sum("Reminder" in what for what in told(org)) == 1


@pytest.mark.parametrize(
    "where", ["invoicing.ledger.intents.conclude", "tasks.sending.reminders._write_down"]
)
def test_killed_after_the_mail_and_taken_up_a_month_later(
    where: str,
    killed_at: Callable[[str], int],
    org: Org,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its day is long over, but what the customer got is on the record nevertheless."""
    before = killed_at(where)
    a_month_later(monkeypatch)
    for told_again in ("1 reminder planned", "0 reminders planned, 0 sent."):
        assert told_again in send_reminders().sentence
        assert mails(stripe_sandbox) == before + 1
        assert record(org)["Reminders_Sent__c"] == 1
        assert [what for what in told(org) if "Reminder" in what] == [
            f"Reminder 1 mailed, planned for {written(NEXT_MONTH + timedelta(days=1))}"
        ]


def test_what_was_begun_and_not_mailed_is_dropped_when_its_day_is_over(
    killed_at: Callable[[str], int],
    org: Org,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reminder a month late is none; the run says so once."""
    before = killed_at("invoicing.connectors.stripe.Stripe.send")
    a_month_later(monkeypatch)
    assert send_reminders().sentence == "1 reminder planned, 0 sent."
    assert send_reminders().sentence == "0 reminders planned, 0 sent."
    assert mails(stripe_sandbox) == before
    assert not record(org)["Reminders_Sent__c"]


def test_killed_before_the_mail_and_paid_meanwhile(
    killed_at: Callable[[str], int], sent: InvoiceOutcome, stripe_sandbox: Sandbox
) -> None:
    """What a dead run had in mind is looked at again: nobody is reminded of what is paid."""
    before = killed_at("invoicing.connectors.stripe.Stripe.send")
    stripe_sandbox.post_form(sent.hosted_invoice_url, card="4242424242424242")
    assert send_reminders().sentence == "1 reminder planned, 0 sent."
    assert mails(stripe_sandbox) == before


def test_payment_stops_reminders(
    policy: None, sent: InvoiceOutcome, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paid a minute ago, and Salesforce does not know yet: Stripe is asked before each mail."""
    on(monkeypatch, NEXT_MONTH + timedelta(days=1))
    before = mails(stripe_sandbox)
    stripe_sandbox.post_form(sent.hosted_invoice_url, card="4242424242424242")
    assert send_reminders().sentence == "1 reminder planned, 0 sent."
    assert mails(stripe_sandbox) == before


def test_a_dispute_stops_reminders(
    policy: None, sent: InvoiceOutcome, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever disputes a part payment is not reminded of the rest, though nobody was told yet."""
    stripe_sandbox.post_form(sent.hosted_invoice_url, card="4242424242424242", amount="450.00")
    poll_events()
    stripe_sandbox.admin("POST", "disputes", invoice=sent.stripe_id)
    on(monkeypatch, NEXT_MONTH + timedelta(days=1))
    before = mails(stripe_sandbox)
    assert send_reminders().sentence == "1 reminder planned, 0 sent."
    assert mails(stripe_sandbox) == before


@pytest.mark.parametrize("make", [lambda _: full_sync(), sync_invoice], ids=["night", "somebody"])
def test_a_record_that_is_made_anew_was_reminded_of(
    policy: None,
    sent: InvoiceOutcome,
    org: Org,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[..., Any],
) -> None:
    """Its record was deleted, and night or person made another: the mail was the invoice's."""
    on(monkeypatch, NEXT_MONTH + timedelta(days=1))
    send_reminders()
    before = mails(stripe_sandbox)
    salesforce.client().delete("Stripe_Invoice__c", sent.record_id)
    make(sent.stripe_id)
    assert org.count() == 1
    send_reminders()
    assert mails(stripe_sandbox) == before


def test_a_day_of_outage_is_made_up_for(
    policy: None, sent: InvoiceOutcome, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody sent on its day is sent on the next, and not a week later."""
    before = mails(stripe_sandbox)
    on(monkeypatch, NEXT_MONTH + timedelta(days=2))
    assert send_reminders().sentence == "1 reminder planned, 1 sent."
    on(monkeypatch, NEXT_MONTH + timedelta(days=10))
    assert send_reminders().sentence == "0 reminders planned, 0 sent."
    assert mails(stripe_sandbox) == before + 1


@pytest.mark.parametrize(("mailed_at", "sent"), [("03:30", 1), ("05:30", 0)])
def test_the_day_is_the_businesss_own(
    policy: None,
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    monkeypatch: pytest.MonkeyPatch,
    mailed_at: str,
    sent: int,
) -> None:
    """In New York a due day ends when it is over in Greenwich; nobody hears twice on one day."""
    monkeypatch.setenv("INVOICING_BUSINESS__TIME_ZONE", "America/New_York")
    settings.cache_clear()
    due = date(date.today().year + 1, 1, 20)
    name = send_invoice(draft(due_date=due).name).name
    planned = due - timedelta(days=3)
    org.set(name, Sent_At__c=f"{planned}T{mailed_at}:00Z")
    on(monkeypatch, planned)
    assert send_reminders().sentence.endswith(f" {sent} sent.")


def test_only_one_side_reminds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe's own reminders and ours together would be two mails: refused at start."""
    with monkeypatch.context() as both:
        both.setenv("INVOICING_REMINDERS__AFTER_DUE", "[1]")
        both.setenv("INVOICING_STRIPE__AUTO_ADVANCE", "true")
        settings.cache_clear()
        with pytest.raises(Misconfigured, match="they would be mailed twice; switch one off"):
            settings()
    settings.cache_clear()

"""Bank debits are under way for days: nobody is reminded, nothing is paid twice, some fail."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
import stripe
from sqlalchemy import update

from flows.credit_invoice import credit_invoice
from flows.full_sync import full_sync
from flows.mark_overdue import mark_overdue
from flows.poll_events import poll_events
from flows.record_payment import record_payment
from flows.send_invoice import send_invoice
from flows.send_reminders import send_reminders
from flows.void_invoice import void_invoice
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.errors import Rejected
from invoicing.ledger import database, intents
from invoicing.ledger.models import Intent
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org
from tests.flows.dialogues import Killed
from tests.flows.test_overdue_and_reminders import mails, on, policy, record
from tests.flows.test_payments_after_sending import money

__all__ = ["policy"]

IN_STEP = "1 invoice compared, 0 differed."
WHY = {"failure": "insufficient_funds"}


def state(org: Org) -> tuple[str, str]:
    """Status and payment state of the only invoice."""
    found = money(org)
    return found["Status__c"], found["Payment_State__c"]


@pytest.fixture
def debited(sent: InvoiceOutcome, dashboard: stripe.StripeClient) -> InvoiceOutcome:
    """An invoice over 2,450 dollars that the customer pays from a bank account."""
    dashboard.v1.invoices.pay(sent.stripe_id, {"payment_method": "pm_usBankAccount_success"})
    poll_events()
    return sent


def test_the_record_says_that_the_money_is_under_way(
    debited: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Processing, as long as it takes, and paid in the end."""
    assert state(org) == ("Open", "Processing")
    assert full_sync().sentence == IN_STEP
    stripe_sandbox.admin("POST", "debits", invoice=debited.stripe_id)
    poll_events()
    assert state(org) == ("Paid", "Paid")
    assert full_sync().sentence == IN_STEP


def test_nobody_is_reminded_and_nothing_is_overdue(
    policy: None,
    debited: InvoiceOutcome,
    org: Org,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The customer has done what was asked; if the debit fails, the invoice is overdue."""
    late = NEXT_MONTH + timedelta(days=1)
    on(monkeypatch, late)
    monkeypatch.setattr("tasks.sync.stripe_reader.today", lambda: late)
    before = mails(stripe_sandbox)
    assert mark_overdue().sentence.startswith("0 invoices became overdue")
    assert send_reminders().sentence == "1 reminder planned, 0 sent."
    org.set(debited.name, Is_Overdue__c=True)
    assert mark_overdue().sentence == "0 invoices became overdue, 1 no longer are."
    assert mails(stripe_sandbox) == before
    stripe_sandbox.admin("POST", "debits", invoice=debited.stripe_id, **WHY)
    poll_events()
    assert state(org) == ("Open", "Unpaid")
    assert record(org)["Is_Overdue__c"] is True
    assert "insufficient funds" in money(org)["Payment_Problem__c"]
    assert send_reminders().sentence == "1 reminder planned, 1 sent."


def test_a_debit_that_nobody_told_of_stops_reminders_too(
    policy: None,
    sent: InvoiceOutcome,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stripe is asked before each mail."""
    dashboard.v1.invoices.pay(sent.stripe_id, {"payment_method": "pm_usBankAccount_success"})
    on(monkeypatch, NEXT_MONTH + timedelta(days=1))
    before = mails(stripe_sandbox)
    assert send_reminders().sentence == "1 reminder planned, 0 sent."
    assert mails(stripe_sandbox) == before


def test_no_other_payment_of_the_same_money(
    debited: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Recording, crediting and voiding are refused, in words, until the debit has ended."""
    acts: list[Callable[[], object]] = [
        lambda: record_payment(debited.name),
        lambda: record_payment(debited.name, Decimal("1")),
        lambda: credit_invoice(debited.name, Decimal("1")),
        lambda: void_invoice(debited.name),
    ]
    for act in acts:
        with pytest.raises(Rejected, match=r"A bank debit of 2,450.00 USD is under way on INV"):
            act()
    stripe_sandbox.admin("POST", "debits", invoice=debited.stripe_id, **WHY)
    record_payment(debited.name, paid_by="cheque")
    assert state(org) == ("Paid", "Paid")
    assert dashboard.v1.invoices.retrieve(debited.stripe_id).amount_overpaid == 0


def test_a_debit_of_a_part(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """What the debit does not pay may be paid otherwise; the whole is not paid beside it."""
    pay_a_part(dashboard, sent, 45000)
    poll_events()
    assert state(org) == ("Open", "Processing")
    with pytest.raises(Rejected, match=r"A bank debit of 450.00 USD is under way"):
        record_payment(sent.name)
    with pytest.raises(Rejected, match=r"Only 2,000.00 USD of INV-0001 remains to be paid"):
        record_payment(sent.name, Decimal("2000.01"))
    record_payment(sent.name, Decimal("2000"))
    assert state(org) == ("Open", "Processing")
    [intent] = [i for i in dashboard.v1.payment_intents.list().data if i.status == "processing"]
    stripe_sandbox.admin("POST", "debits", payment_intent=intent.id)
    poll_events()
    assert state(org) == ("Paid", "Paid")


def pay_a_part(dashboard: stripe.StripeClient, invoice: InvoiceOutcome, cents: int) -> None:
    """Attach a payment of a part that is under way."""
    intent = dashboard.v1.payment_intents.create(
        {
            "amount": cents,
            "currency": "usd",
            "customer": str(dashboard.v1.invoices.retrieve(invoice.stripe_id).customer),
            "payment_method": "pm_usBankAccount_success",
        }
    )
    dashboard.v1.invoices.attach_payment(invoice.stripe_id, {"payment_intent": intent.id})
    dashboard.v1.payment_intents.confirm(intent.id)


def test_a_failure_that_no_event_told_of(
    debited: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """No page of Stripe's list says it: the night looks at what was under way."""
    stripe_sandbox.admin("POST", "debits", invoice=debited.stripe_id, **WHY)
    full_sync()
    assert state(org) == ("Open", "Unpaid")


@pytest.fixture
def charged(draft: Callable[..., InvoiceOutcome], dashboard: stripe.StripeClient) -> InvoiceOutcome:
    """An invoice that is charged to the bank account that the customer has saved."""
    drafted = draft(due_date=None, options=Options(collection="Charge Automatically"))
    with pytest.raises(Rejected, match="no payment method saved"):
        send_invoice(drafted.name)
    [customer] = dashboard.v1.customers.list().data
    account = dashboard.v1.payment_methods.attach(
        "pm_usBankAccount_success", {"customer": customer.id}
    )
    dashboard.v1.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": account.id}}
    )
    outcome: InvoiceOutcome = send_invoice(drafted.name)
    return outcome


def test_an_automatic_debit_that_fails_is_charged_again(
    charged: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Sending it again is refused while it is under way, and charges once after it has failed."""
    assert "was submitted as a bank debit of Acme Corporation" in charged.sentence
    assert (charged.status, state(org)) == ("Open", ("Open", "Processing"))
    with pytest.raises(Rejected, match="is Open, and only a draft can be sent"):
        send_invoice(charged.name)
    stripe_sandbox.admin("POST", "debits", invoice=charged.stripe_id, **WHY)
    poll_events()
    send_invoice(charged.name)
    with pytest.raises(Rejected, match="is Open, and only a draft can be sent"):
        send_invoice(charged.name)
    assert len(dashboard.v1.charges.list().data) == 2
    stripe_sandbox.admin("POST", "debits", invoice=charged.stripe_id)
    poll_events()
    assert state(org) == ("Paid", "Paid")
    assert dashboard.v1.invoices.retrieve(charged.stripe_id).amount_overpaid == 0


@pytest.mark.parametrize("call", [1, 2, 3])
def test_killed_while_it_charges_again(
    charged: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    call: int,
) -> None:
    """Between any two steps of it: the next run charges, once."""
    stripe_sandbox.admin("POST", "debits", invoice=charged.stripe_id, **WHY)
    calls = iter(range(1, 9))

    def deadly(step: Callable[..., Any]) -> Callable[..., Any]:
        def dies(*args: Any) -> Any:
            if next(calls) == call:
                raise Killed
            return step(*args)

        return dies

    with monkeypatch.context() as patch:
        patch.setattr(intents, "reopen", deadly(intents.reopen))
        patch.setattr(Stripe, "pay", deadly(Stripe.pay))
        with pytest.raises(Killed):
            send_invoice(charged.name)
    send_invoice(charged.name)
    assert len(dashboard.v1.charges.list().data) == 2
    assert state(org) == ("Open", "Processing")


def test_killed_after_it_was_charged_and_taken_up_days_later(
    charged: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stripe has forgotten the key by then; that a debit is under way is the evidence."""
    stripe_sandbox.admin("POST", "debits", invoice=charged.stripe_id, **WHY)
    pay = Stripe.pay

    def and_die(*args: Any) -> None:
        pay(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Stripe, "pay", and_die)
        with pytest.raises(Killed):
            send_invoice(charged.name)
    with database.session() as ledger:
        ledger.execute(update(Intent).values(keyed_at=datetime.now(UTC) - timedelta(days=2)))
    send_invoice(charged.name)
    assert len(dashboard.v1.charges.list().data) == 2
    assert state(org) == ("Open", "Processing")


def test_a_failed_debit_is_paid_by_card(
    charged: InvoiceOutcome, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The customer was faster than we: sending again charges nobody."""
    stripe_sandbox.admin("POST", "debits", invoice=charged.stripe_id, **WHY)
    form = {"card": "4242424242424242"}
    requests.post(charged.hosted_invoice_url, data=form, timeout=60)
    with pytest.raises(Rejected, match="only a draft can be sent"):
        send_invoice(charged.name)
    paid = [charge for charge in dashboard.v1.charges.list().data if charge.paid]
    assert len(paid) == 1

"""After an invoice was sent: void, write off, mail again, pay elsewhere, credit. Each once."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import stripe
from sqlmodel import select

from flows.credit_invoice import credit_invoice
from flows.record_payment import record_payment
from flows.resend_invoice import resend_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from flows.void_invoice import void_invoice
from flows.write_off_invoice import write_off_invoice
from invoicing.connectors import salesforce
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import CreditLine, Options
from invoicing.errors import InvoicingError, Rejected
from invoicing.ledger import database
from invoicing.ledger.models import Intent
from invoicing.settings import settings
from tasks.corrections import duplicate_requests
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.flows.dialogues import Conversation, Killed
from tests.flows.test_amount_due import save_card

CARD = {"card": "4242424242424242"}


def subjects(sandbox: Sandbox) -> list[str]:
    """What the customers have had in the mail, oldest first."""
    words = [mail["subject"].split()[0] for mail in sandbox.admin("GET", "mail")["data"]]
    return words[::-1]


def test_a_voided_invoice_is_void_on_both_sides(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Voiding it twice is voiding it once."""
    assert void_invoice(sent.name).sentence == (
        "INV-0001 over 2,450.00 USD for Acme Corporation is void."
    )
    assert void_invoice(sent.name).status == "Void"
    assert dashboard.v1.invoices.retrieve(sent.stripe_id).status == "void"
    record = org.record(sent.name)
    assert (record["Status__c"], record["Sync_State__c"]) == ("Void", "Clean")


def test_a_draft_is_not_voided(draft: Callable[..., InvoiceOutcome], org: Org) -> None:
    """It says what can be done instead, on the run and on the record."""
    name = draft().name
    with pytest.raises(Rejected, match=r"INV-0001 is Draft and cannot be voided\. Nothing of it"):
        void_invoice(name)
    assert "revise it, send it or delete it" in org.record(name)["Sync_Message__c"]


def test_what_was_partly_paid_is_credited_and_not_voided(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox
) -> None:
    """Money must not be left without an invoice."""
    stripe_sandbox.post_form(sent.hosted_invoice_url, **CARD, amount="450.00")
    with pytest.raises(Rejected, match=r"450.00 USD has been paid on INV-0001, so it cannot be"):
        void_invoice(sent.name)


def test_written_off_and_paid_after_all(sent: InvoiceOutcome, org: Org) -> None:
    """The way back from uncollectible is money."""
    assert write_off_invoice(sent.name).status == "Uncollectible"
    with pytest.raises(Rejected, match="is Uncollectible and cannot be mailed again"):
        resend_invoice(sent.name)
    outcome = record_payment(sent.name, paid_by="cheque", reference="No. 4711")
    assert outcome.sentence == "2,450.00 USD by cheque was noted on INV-0001; it is Paid now."
    record = org.record(sent.name)
    assert (record["Status__c"], float(record["Amount_Paid__c"])) == ("Paid", 2450)


def test_written_off_again_when_what_paid_it_was_taken_off(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The cheque bounced after all: the second write-off is another one than the first."""
    write_off_invoice(sent.name)
    record_payment(sent.name, paid_by="cheque", reference="No. 4711")
    stripe_sandbox.admin("POST", "payments/unapply", invoice=sent.stripe_id)
    sync_invoice(sent.name)
    assert write_off_invoice(sent.name).status == "Uncollectible"
    assert dashboard.v1.invoices.retrieve(sent.stripe_id).status == "uncollectible"


def test_a_part_comes_by_bank_transfer_with_its_reference_and_date(
    sent: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stripe knows what a bank statement says; its day begins where the business is."""
    yesterday = date.today() - timedelta(days=1)
    report = Stripe.report_payment
    days: list[datetime] = []

    def reported(self: Stripe, params: Any, key: str) -> Any:
        moments = (params["initiated_at"], params["guaranteed"]["guaranteed_at"])
        days.extend(datetime.fromtimestamp(one, ZoneInfo("Europe/Berlin")) for one in moments)
        return report(self, params, key)

    monkeypatch.setattr(Stripe, "report_payment", reported)
    record_payment(
        sent.name, Decimal("950"), received_on=yesterday, reference="Statement 11, line 7"
    )
    record = org.record(sent.name)
    assert (record["Status__c"], record["Payment_State__c"]) == ("Open", "Partly Paid")
    assert float(record["Amount_Remaining__c"]) == 1500
    [payment] = dashboard.v1.invoice_payments.list(
        {"invoice": sent.stripe_id, "status": "paid"}
    ).data
    noted = dashboard.v1.payment_records.retrieve(str(payment.payment.payment_record))
    assert noted.amount_guaranteed.value == 95000
    assert noted.processor_details.custom is not None
    assert noted.processor_details.custom.payment_reference == "Statement 11, line 7"
    assert [f"{day:%Y-%m-%d %H:%M}" for day in days] == [f"{yesterday} 00:00"] * 2


def test_the_same_request_is_one_payment_and_another_is_another(
    sent: InvoiceOutcome, org: Org
) -> None:
    """A program that is not sure may ask again."""
    for _ in range(2):
        record_payment(sent.name, Decimal("450"), request_id="bank-1")
    record_payment(sent.name, Decimal("450"), request_id="bank-2")
    assert float(org.record(sent.name)["Amount_Paid__c"]) == 900
    with pytest.raises(Rejected, match="was used before, for something else"):
        record_payment(sent.name, Decimal("1"), request_id="bank-2")


def test_the_button_was_pressed_twice(sent: InvoiceOutcome, org: Org) -> None:
    """One line of a bank statement is one payment; the next line is another."""
    record_payment(sent.name, Decimal("450"), reference="Statement 11, line 7")
    with pytest.raises(Rejected, match="was noted on INV-0001 already"):
        record_payment(sent.name, Decimal("450.00"), reference="Statement 11, line 7")
    record_payment(sent.name, Decimal("450"), reference="Statement 11, line 8")
    assert float(org.record(sent.name)["Amount_Paid__c"]) == 900


def test_the_whole_is_noted_once_by_one_request(sent: InvoiceOutcome) -> None:
    """Asked again, it says what it was, although nothing remains by then."""
    pay = partial(record_payment, sent.name, reference="Line 7", request_id="bank-1")
    assert pay().sentence == pay().sentence
    assert "2,450.00 USD" in pay().sentence


def test_a_standing_order_says_the_same_each_month(sent: InvoiceOutcome, org: Org) -> None:
    """No day was entered, and so each request's own counts: another day is another payment."""
    pay = partial(record_payment, sent.name, Decimal("450"), reference="Standing order")
    pay()
    with database.session() as ledger:
        for intent in ledger.exec(select(Intent)):
            intent.intended_at -= timedelta(days=2)
            ledger.add(intent)
    pay()
    assert float(org.record(sent.name)["Amount_Paid__c"]) == 900


@pytest.mark.parametrize("more", [{"paid_by": "cheque"}, {"reference": " Statement  7 "}])
def test_a_line_of_a_statement_that_two_people_note(
    sent: InvoiceOutcome, org: Org, more: dict[str, Any]
) -> None:
    """One left the way of payment as it was, or pasted a blank more: the money came in once."""
    given: dict[str, Any] = {"amount": Decimal("950"), "reference": "Statement 7"}
    record_payment(sent.name, **given)
    with pytest.raises(Rejected, match="the same amount, day and reference 'Statement 7'"):
        record_payment(sent.name, **(given | more))
    assert float(org.record(sent.name)["Amount_Paid__c"]) == 950


def test_what_was_reported_and_counts_for_nothing_keeps_nobody_from_noting_it(
    sent: InvoiceOutcome, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run died before the money counted; another one with the same reference has it count."""

    def die(*_: Any) -> None:
        raise Killed

    given: dict[str, Any] = {"invoice": sent.name, "amount": "450", "reference": "Line 7"}
    with monkeypatch.context() as while_it_dies:
        while_it_dies.setattr(Stripe, "attach_payment", die)
        assert Conversation(record_payment, **given).state.is_crashed()
    record_payment(**given)
    assert float(org.record(sent.name)["Amount_Paid__c"]) == 450


TWO_LINES = [{"line": 1, "amount": "10"}, {"line": 2, "amount": "20"}]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({"amount": "100"}, {"amount": "100.00"}),
        ({"lines": [{"line": 1, "amount": "10"}]}, {"lines": [{"line": 1, "amount": "10.0"}]}),
        ({"lines": TWO_LINES}, {"lines": TWO_LINES[::-1]}),
    ],
)
def test_a_credit_is_the_same_however_it_is_written(
    sent: InvoiceOutcome,
    dashboard: stripe.StripeClient,
    first: dict[str, Any],
    again: dict[str, Any],
) -> None:
    """Two people credit what was complained of, one with cents or the last line first: once."""
    credit_invoice(sent.name, **first)
    with pytest.raises(Rejected, match="The same was asked for INV-0001 already"):
        credit_invoice(sent.name, **again)
    assert len(dashboard.v1.credit_notes.list().data) == 1


def test_the_credit_of_all_is_known_by_its_request(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run died after the note; asked again, it is found, and nothing is left to be refused."""
    issue = Stripe.create_credit_note

    def and_die(*arguments: Any) -> None:
        issue(*arguments)
        raise Killed

    with monkeypatch.context() as while_it_dies:
        while_it_dies.setattr(Stripe, "create_credit_note", and_die)
        assert Conversation(credit_invoice, invoice=sent.name, request_id="r").state.is_crashed()
    assert "2,450.00 USD" in credit_invoice(sent.name, request_id="r").sentence
    assert len(dashboard.v1.credit_notes.list().data) == 1


def test_voided_in_the_dashboard_and_here(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient
) -> None:
    """What somebody else has done already is no refusal."""
    dashboard.v1.invoices.void_invoice(sent.stripe_id)
    assert void_invoice(sent.name).status == "Void"


@pytest.mark.parametrize("end", [void_invoice, write_off_invoice])
def test_a_lost_answer_is_no_refusal(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox, end: Callable[[str], InvoiceOutcome]
) -> None:
    """It had its effect: the next try sees that, and the run completes."""
    rule = {"kind": "lost", "method": "POST", "path": "/v1/invoices/*/*", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    assert end(sent.name).status in ("Void", "Uncollectible")


def test_a_payment_that_cannot_be_is_refused_with_all_reasons(sent: InvoiceOutcome) -> None:
    """Too much, and tomorrow."""
    with pytest.raises(Rejected) as refusal:
        record_payment(sent.name, Decimal("2450.01"), received_on=date.today() + timedelta(days=2))
    assert refusal.value.reasons[0] == (
        "Only 2,450.00 USD of INV-0001 remains to be paid, not 2,450.01 USD."
    )
    assert "still to come" in refusal.value.reasons[1]
    with pytest.raises(Rejected, match=r"0\.005 has more decimals than USD has"):
        record_payment(sent.name, Decimal("0.005"))


def test_the_whole_of_an_unpaid_invoice_is_credited(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Nothing remains to be paid; the customer is told."""
    outcome = credit_invoice(sent.name, reason="order change", memo="Called off")
    assert "2,450.00 USD credited (2,450.00 USD need not be paid) on INV-0001" in outcome.sentence
    record = org.record(sent.name)
    assert (record["Status__c"], float(record["Amount_Remaining__c"])) == ("Paid", 0)
    assert subjects(stripe_sandbox) == ["Invoice", "Credit"]
    with pytest.raises(Rejected, match="All of INV-0001 has been credited already"):
        credit_invoice(sent.name)


def test_one_of_three_days_is_credited_after_payment(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox, dashboard: stripe.StripeClient
) -> None:
    """By line, to the card that paid; asked twice, refunded once."""
    stripe_sandbox.post_form(sent.hosted_invoice_url, **CARD)
    day = [CreditLine(line=1, quantity=1)]
    with pytest.raises(Rejected) as refused:
        credit_invoice(sent.name, lines=day)
    assert "150.00 USD of INV-0001 has been paid already." in str(refused.value)
    for way in ("refund it", "keep it for the next invoice", "pay it back outside of Stripe"):
        assert way in str(refused.value)
    for _ in range(2):
        credit_invoice(sent.name, lines=day, give_back="refund", request_id="day-3")
    [refund] = dashboard.v1.refunds.list().data
    assert refund.amount == 15000
    [note] = dashboard.v1.credit_notes.list({"invoice": sent.stripe_id}).data
    assert (note.amount, note.post_payment_amount) == (15000, 15000)


def test_what_came_by_cheque_is_not_refunded_to_a_card(sent: InvoiceOutcome) -> None:
    """It is credited out of band, or to the customer's balance."""
    record_payment(sent.name, paid_by="cheque")
    with pytest.raises(Rejected, match=r"Stripe collected only 0\.00 USD of INV-0001"):
        credit_invoice(sent.name, Decimal("100"), give_back="refund")
    told = credit_invoice(sent.name, Decimal("100"), give_back="out of band").sentence
    assert "100.00 USD credited (100.00 USD to be paid back by you)" in told


def test_a_credit_that_cannot_be_is_refused_with_all_reasons(sent: InvoiceOutcome) -> None:
    """Nothing was written to Stripe."""
    lines = [CreditLine(line=1, quantity=4), CreditLine(line=7)]
    with pytest.raises(Rejected) as refusal:
        credit_invoice(sent.name, Decimal("10"), lines=lines)
    said = str(refusal.value)
    for part in ("at most 3", "There is no line 7", "not both"):
        assert part in said


def test_a_line_is_credited_with_its_share_of_tax_and_discount(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """To the cent as Stripe reckons it, which else would refuse the credit note."""
    v1 = dashboard.v1
    rate = v1.tax_rates.create({"display_name": "VAT", "percentage": 19, "inclusive": False})
    coupon = v1.coupons.create({"percent_off": 12.5, "duration": "once"})
    made = v1.invoices.create(
        {
            "customer": str(v1.invoices.retrieve(sent.stripe_id).customer),
            "collection_method": "send_invoice",
            "days_until_due": 30,
            "auto_advance": False,
            "default_tax_rates": [rate.id],
            "discounts": [{"coupon": coupon.id}],
        }
    )
    prices = [("Design", 33335), ("Print", 10001)]
    lines = [{"amount": cents, "description": text} for text, cents in prices]
    v1.invoices.add_lines(made.id, {"lines": lines})  # type: ignore[typeddict-item]
    page = str(v1.invoices.finalize_invoice(made.id, {"auto_advance": False}).hosted_invoice_url)
    stripe_sandbox.post_form(page, **CARD)
    sync_invoice(made.id)
    for amount in ("0.03", "100.05", "33.33"):
        one = [CreditLine(line=1, amount=amount), CreditLine(line=2, amount="7.77")]
        credit_invoice(made.id, lines=one, give_back="refund")
    credited = sum(note.total for note in v1.credit_notes.list({"invoice": made.id}).data)
    [record] = org.query(
        f"SELECT Amount_Credited__c FROM Stripe_Invoice__c WHERE Stripe_Invoice_Id__c = '{made.id}'"
    )
    assert round(float(record["Amount_Credited__c"]) * 100) == credited
    credit_invoice(made.id, give_back="refund")
    paid = v1.invoices.retrieve(made.id)
    assert sum(refund.amount for refund in v1.refunds.list().data) == paid.total


def test_each_wanted_mail_goes_out_once(sent: InvoiceOutcome, stripe_sandbox: Sandbox) -> None:
    """The same request twice is one mail; two requests are two."""
    for request in ("a", "a", "b"):
        resend_invoice(sent.name, request_id=request)
    assert subjects(stripe_sandbox) == ["Invoice"] * 3


def test_a_resend_to_another_address_is_no_second_press(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """It goes out at once, and says where to; the same pressed twice is one mail as before."""
    resend_invoice(sent.name)
    account = org.query("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")[0]["Id"]
    new = {"Invoice_Email__c": "new@acme.example.com"}
    salesforce.client().update("Account", account, new)
    told = resend_invoice(sent.name).sentence
    assert "In Salesforce its address is new@acme.example.com; an invoice keeps the one" in told
    with pytest.raises(Rejected, match="The same was asked for INV-0001 already"):
        resend_invoice(sent.name)
    [customer] = dashboard.v1.customers.list().data
    dashboard.v1.customers.update(customer.id, {"email": "other@acme.example.com"})
    resend_invoice(sent.name)
    with pytest.raises(Rejected, match="The same was asked for INV-0001 already"):
        resend_invoice(sent.name)
    assert subjects(stripe_sandbox) == ["Invoice"] * 4


def test_a_request_that_goes_on_after_the_address_was_changed_mails_once(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """What was begun for one address is not begun anew for another."""
    resend_invoice(sent.name, request_id="one")
    [customer] = dashboard.v1.customers.list().data
    dashboard.v1.customers.update(customer.id, {"email": "other@acme.example.com"})
    resend_invoice(sent.name, request_id="one")
    assert subjects(stripe_sandbox) == ["Invoice"] * 2


WISHES: dict[str, Callable[..., InvoiceOutcome]] = {
    "resend": resend_invoice,
    "credit": partial(credit_invoice, amount=Decimal("450")),
    "pay": partial(record_payment, amount=Decimal("450")),
}


FIRST_RUN = {"resend": "resend", "credit": "credit", "pay": "record a payment of"}
"""How the run that did it is called, behind what came of it."""


@pytest.mark.parametrize("wish", WISHES)
def test_the_same_by_another_run_is_a_button_pressed_twice(
    sent: InvoiceOutcome,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    wish: str,
) -> None:
    """Nobody is mailed, credited or booked twice, unless that is said, or some time has passed."""

    def effects() -> int:
        remaining = dashboard.v1.invoices.retrieve(sent.stripe_id).amount_remaining
        return len(subjects(stripe_sandbox)) - 1 if wish == "resend" else -remaining // 45000

    act, before = WISHES[wish], effects()
    act(sent.name)
    with pytest.raises(Rejected, match="The same was asked for INV-0001 already, on ") as refusal:
        act(sent.name)
    assert re.search(rf"\d: .*INV-0001.* · {FIRST_RUN[wish]} INV-0001", str(refusal.value))
    assert effects() - before == 1
    act(sent.name, request_id="once-more")
    assert effects() - before == 2
    monkeypatch.setattr(duplicate_requests, "DUPLICATE_WINDOW", timedelta(0))
    act(sent.name)
    assert effects() - before == 3


HAVING_THE_EFFECT = {"resend": "send", "credit": "create_credit_note", "pay": "attach_payment"}
"""The calls to Stripe that mail, credit and count a payment."""


@pytest.mark.parametrize("dies", ["before", "after"])
@pytest.mark.parametrize("wish", WISHES)
def test_what_died_and_was_asked_for_again_later_is_one(
    sent: InvoiceOutcome,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    wish: str,
    dies: str,
) -> None:
    """Nobody knows what a dead run has done, and hours later somebody asks for the same again.

    Where it had been done, that is said; where it had not, it is done now, and the dead run, should
    somebody begin it again, does not do it once more.
    """
    flow: Any = getattr(WISHES[wish], "func", WISHES[wish])
    given: dict[str, Any] = {"invoice": sent.name} | ({} if wish == "resend" else {"amount": "450"})

    def effects() -> int:
        remaining = dashboard.v1.invoices.retrieve(sent.stripe_id).amount_remaining
        mails = len(subjects(stripe_sandbox)) - 1
        return mails if wish == "resend" else (245000 - remaining) // 45000

    method = HAVING_THE_EFFECT[wish]
    call = getattr(Stripe, method)

    def dying(*arguments: Any) -> None:
        if dies == "after":
            call(*arguments)
        raise Killed

    with monkeypatch.context() as while_it_dies:
        while_it_dies.setattr(Stripe, method, dying)
        dead = Conversation(flow, **given)
    assert dead.state.is_crashed()
    with database.session() as ledger:
        for intent in ledger.exec(select(Intent)):
            intent.intended_at -= timedelta(hours=3)
            ledger.add(intent)
    again = Conversation(flow, **given)
    assert effects() == 1
    with database.session() as ledger:
        for intent in ledger.exec(select(Intent)):
            intent.intended_at -= timedelta(hours=1)
            intent.concluded_at = intent.concluded_at and intent.concluded_at - timedelta(hours=1)
            ledger.add(intent)
    assert ("The same was asked for INV-0001 already" in again.said) == (dies == "after"), (
        again.said
    )
    assert again.state.is_completed() == (dies == "before")
    dead.go_on()
    assert ("The same was asked" in dead.said) == (dies == "before"), dead.said
    assert effects() == 1


def test_of_two_that_died_before_it_the_first_to_go_on_does_it(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is refused because of the other, as long as neither has done anything."""

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as while_they_die:
        while_they_die.setattr(Stripe, "send", die)
        first = Conversation(resend_invoice, invoice=sent.name)
        with pytest.raises(Rejected, match="The same was asked for INV-0001 already"):
            resend_invoice(sent.name)
        while_they_die.setattr(duplicate_requests, "DUPLICATE_WINDOW", timedelta(0))
        second = Conversation(resend_invoice, invoice=sent.name)
    assert (first.state.is_crashed(), second.state.is_crashed()) == (True, True)
    first.go_on()
    second.go_on()
    assert (first.state.is_completed(), second.state.is_completed()) == (True, False)
    assert subjects(stripe_sandbox) == ["Invoice"] * 2


def test_what_was_done_is_not_refused_because_another_did_it_too(
    sent: InvoiceOutcome, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run died after its payment counted, another one was meant, and the first goes on."""
    attach = Stripe.attach_payment

    def and_die(*arguments: Any) -> None:
        attach(*arguments)
        raise Killed

    with monkeypatch.context() as while_it_dies:
        while_it_dies.setattr(Stripe, "attach_payment", and_die)
        first = Conversation(record_payment, invoice=sent.name, amount="450")
    record_payment(sent.name, Decimal("450"), request_id="another")
    first.go_on()
    assert first.state.is_completed(), first.said
    assert float(org.record(sent.name)["Amount_Paid__c"]) == 900


def test_what_a_dead_run_has_mailed_stops_others_for_some_minutes_only(
    sent: InvoiceOutcome, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks next is told; whoever asks when those are over has it mailed."""
    send = Stripe.send

    def and_die(*arguments: Any) -> None:
        send(*arguments)
        raise Killed

    with monkeypatch.context() as while_it_dies:
        while_it_dies.setattr(Stripe, "send", and_die)
        Conversation(resend_invoice, invoice=sent.name)
    with pytest.raises(Rejected, match="The same was asked for INV-0001 already"):
        resend_invoice(sent.name)
    monkeypatch.setattr(duplicate_requests, "DUPLICATE_WINDOW", timedelta(0))
    resend_invoice(sent.name)
    assert subjects(stripe_sandbox) == ["Invoice"] * 3


EFFECT = re.compile(
    r"/v1/(customers|invoices|credit_notes)$|/v1/payment_records/report_payment$|/v1/invoices/\w+/"
    r"(add_lines|remove_lines|finalize|send|pay|void|mark_uncollectible|attach_payment)$"
)
"""Calls of which a second one would be a second customer, invoice, mail, charge or credit."""


def test_every_effect_is_asked_for_under_a_key_of_its_own(
    draft: Callable[..., InvoiceOutcome], dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Where an answer is lost and no evidence is to be seen yet, the key alone protects."""
    stripe_sandbox.admin("DELETE", "requests")
    first, second, third = (send_invoice(draft().name).name for _ in range(3))
    resend_invoice(first)
    record_payment(first, Decimal("450"))
    credit_invoice(first, Decimal("450"))
    void_invoice(second)
    write_off_invoice(third)
    save_card(dashboard)
    send_invoice(draft(due_date=None, options=Options(collection="Charge Automatically")).name)
    asked = stripe_sandbox.admin("GET", "requests")["requests"]
    keys = {
        (one["path"].rpartition("/")[2], one["idempotency_key"])
        for one in asked
        if one["method"] == "POST" and EFFECT.search(one["path"])
    }
    by_call = Counter(call for call, _ in keys)
    ours = settings().salesforce.org_id  # the SDK gives a key of its own to what has none
    assert not [call for call, key in keys if ours not in (key or "")]
    each = dict.fromkeys(("invoices", "add_lines", "finalize", "send"), 4)
    assert by_call == each | dict.fromkeys(ASKED_FOR_ONCE, 1)


ASKED_FOR_ONCE = (
    *("customers", "pay", "report_payment", "attach_payment", "credit_notes"),
    *("void", "mark_uncollectible"),
)


CALLS = [
    ("void", "*/void"),
    ("write-off", "*/mark_uncollectible"),
    ("resend", "*/send"),
    ("report", "*/report_payment"),
    ("attach", "*/attach_payment"),
    ("credit", "/v1/credit_notes"),
]
ACTS: dict[str, Callable[[str], InvoiceOutcome]] = {
    "void": lambda name: void_invoice(name),
    "write-off": lambda name: write_off_invoice(name),
    "resend": lambda name: resend_invoice(name, request_id="r"),
    "report": lambda name: record_payment(name, Decimal("450"), request_id="r"),
    "attach": lambda name: record_payment(name, Decimal("450"), request_id="r"),
    "credit": lambda name: credit_invoice(name, Decimal("450"), request_id="r"),
}


@pytest.mark.parametrize("kind", ["lost", "fail_after"])
@pytest.mark.parametrize(("call", "path"), CALLS, ids=[call[0] for call in CALLS])
def test_trouble_at_any_call_has_one_effect(
    sent: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    call: str,
    path: str,
    kind: str,
) -> None:
    """Whatever happens to one answer, before or after the effect, the end is the same."""
    rule = {"kind": kind, "method": "POST", "path": path, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    try:
        ACTS[call](sent.name)
    except InvoicingError:
        ACTS[call](sent.name)
    invoice = dashboard.v1.invoices.retrieve(sent.stripe_id)
    record = org.record(sent.name)
    assert record["Status__c"].lower() == invoice.status
    assert float(record["Amount_Remaining__c"]) == invoice.amount_remaining / 100
    wanted = {"resend": ["Invoice"] * 2, "credit": ["Invoice", "Credit"]}
    assert subjects(stripe_sandbox) == wanted.get(call, ["Invoice"])
    left = 200000 if call in ("report", "attach", "credit") else 245000
    assert invoice.amount_remaining == left

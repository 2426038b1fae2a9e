"""What a customer is asked for is what was said: old debts, credits, and amounts too small."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import stripe
from prefect import Flow
from prefect.states import Failed

from flows.preview_invoice import preview_invoice
from flows.replace_invoice import replace_invoice
from flows.resend_invoice import resend_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.send_scheduled import send_scheduled
from flows.sync_invoice import sync_invoice
from flows.void_invoice import void_invoice
from flows.write_off_invoice import write_off_invoice
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem, Options
from invoicing.errors import Rejected
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org
from tests.flows.dialogues import Conversation, Killed
from tests.flows.saved_beginnings import once
from tests.flows.test_send_invoice import contact

Raise = Callable[..., InvoiceOutcome]
Owe = Callable[..., None]
YES = {"decision": "Approve", "approver": "Anna Ledger"}
NO = {"decision": "Decline", "approver": "Anna Ledger", "comment": "Ask them first"}


def work(price: str) -> dict[str, Any]:
    """A draft of one line of work at a price."""
    return {"lines": [LineItem(description="Work", unit_price=price)]}


@pytest.fixture(autouse=True)
def asked_in_prefect(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approvers are asked by Prefect's dialogue."""
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
    settings.cache_clear()


@pytest.fixture
def owe(org: Org, dashboard: stripe.StripeClient) -> Owe:
    """Lets Acme owe an amount in Stripe from before, or have it to its credit, in minor units."""

    def change(amount: int, currency: str = "usd") -> None:
        [account] = org.query(
            "SELECT Id, Stripe_Customer_Id__c FROM Account WHERE Name = 'Acme Corporation'"
        )
        customer = account["Stripe_Customer_Id__c"] or dashboard.v1.customers.list().data[0].id
        dashboard.v1.customers.balance_transactions.create(
            customer, {"amount": amount, "currency": currency}
        )

    return change


@pytest.fixture
def known(draft: Raise, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox) -> None:
    """Acme has had an invoice over a dollar before, so Stripe knows it."""
    once("known", lambda: send_invoice(draft(**work("1")).name), stripe_sandbox, salesforce_sandbox)


@pytest.fixture
def vat(dashboard: stripe.StripeClient) -> str:
    """A tax rate of 19 % on top."""
    rate = dashboard.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 19, "inclusive": False}
    )
    return rate.id


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch, owe: Owe) -> Callable[..., None]:
    """Lets the balance grow at the last moment, just before Stripe finalizes an invoice."""
    finalize = Stripe.finalize

    def grow(amount: int, *, then_die: bool = False) -> None:
        left = [amount]

        def meanwhile(self: Stripe, invoice_id: str, key: str) -> Any:
            if left:
                owe(left.pop())
                answer = finalize(self, invoice_id, key)
                if then_die:
                    raise Killed
                return answer
            return finalize(self, invoice_id, key)

        monkeypatch.setattr(Stripe, "finalize", meanwhile)

    return grow


def mails(sandbox: Sandbox, about: str) -> int:
    """How often an invoice was mailed."""
    return sum(mail["invoice"] == about for mail in sandbox.admin("GET", "mail")["data"])


def newest(dashboard: stripe.StripeClient) -> stripe.Invoice:
    """The invoice that was made last."""
    return dashboard.v1.invoices.list().data[0]


def amounts(org: Org, name: str) -> dict[str, Any]:
    """What the record shows of what is asked for, and of a decision about it."""
    fields = (
        "Status__c, Sync_State__c, Sync_Message__c, Sent_At__c, Total__c, Amount_Due__c, "
        "Previewed_Total__c, Previewed_Amount_Due__c, Approval_Status__c, Approved_Amount__c"
    )
    [row] = org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = '{name}'")
    return {name: float(was) if isinstance(was, Decimal) else was for name, was in row.items()}


# Balances


def test_an_old_debt_is_said_wherever_the_amount_is(
    known: None,
    draft: Raise,
    owe: Owe,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """500.00 from before and 100.00 now: previewed, said, recorded and mailed as 600.00."""
    owe(50_000)
    name = draft(**work("100")).name
    preview = preview_invoice(name)
    assert (preview.total, preview.amount_due) == ("100.00 USD", "600.00 USD")
    assert "600.00 USD is due, with 500.00 USD owed from before." in preview.sentence
    before = amounts(org, name)
    assert [before["Previewed_Total__c"], before["Previewed_Amount_Due__c"]] == [100, 600]
    sent = send_invoice(name)
    assert "over 100.00 USD was sent to Acme Corporation" in sent.sentence
    assert "600.00 USD is due, with 500.00 USD owed from before." in sent.sentence
    assert (sent.total, sent.amount_due) == ("100.00 USD", "600.00 USD")
    invoice, after = newest(dashboard), amounts(org, name)
    assert (invoice.amount_due, after["Total__c"], after["Amount_Due__c"]) == (60_000, 100, 600)
    assert "500.00 USD owed from before" in after["Sync_Message__c"]
    assert mails(stripe_sandbox, sent.stripe_id) == 1
    sync_invoice(name)
    assert amounts(org, name)["Sync_State__c"] == "Clean"


@pytest.mark.parametrize(
    ("credit", "said", "status"),
    [
        (-6_000, "40.00 USD is due, after 60.00 USD of the customer's credit.", "Open"),
        (-15_000, "Nothing is due: 100.00 USD of the customer's credit covers it.", "Paid"),
    ],
)
def test_credit_is_taken_off(
    known: None, draft: Raise, owe: Owe, org: Org, credit: int, said: str, status: str
) -> None:
    """In part or whole; the preview and the sending say the same."""
    owe(credit)
    name = draft(**work("100")).name
    assert said in preview_invoice(name).sentence
    assert said in send_invoice(name).sentence
    assert amounts(org, name)["Status__c"] == status


def test_a_balance_counts_in_its_own_currency(known: None, draft: Raise, owe: Owe) -> None:
    """Dollars owed are not asked for with euros, and euros are."""
    owe(50_000)
    name = draft(currency="EUR", **work("100")).name
    assert preview_invoice(name).amount_due == "100.00 EUR"
    owe(7_000, "eur")
    assert preview_invoice(name).amount_due == "170.00 EUR"
    assert send_invoice(name).amount_due == "170.00 EUR"


def test_a_replacement_asks_for_what_its_original_did(known: None, draft: Raise, owe: Owe) -> None:
    """The debt is in the original, which is void as soon as the replacement is out."""
    owe(50_000)
    original = send_invoice(draft(**work("100")).name)
    replacement = replace_invoice(original.name).name
    assert preview_invoice(replacement).amount_due == "600.00 USD"
    assert send_invoice(replacement).amount_due == "600.00 USD"


def test_a_charge_of_nothing_is_none(
    known: None, draft: Raise, owe: Owe, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Credit covers an invoice that was to be charged."""
    save_card(dashboard)
    owe(-10_000)
    name = draft(due_date=None, options=Options(collection="Charge Automatically"), **work("100"))
    said = send_invoice(name.name).sentence
    assert "was billed to Acme Corporation" in said
    assert "Nothing is due" in said
    assert amounts(org, name.name)["Status__c"] == "Paid"


def save_card(dashboard: stripe.StripeClient) -> None:
    """Acme saves a card that it is charged by."""
    [customer] = dashboard.v1.customers.list().data
    card = dashboard.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    dashboard.v1.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": card.id}}
    )


# Approval


@pytest.fixture
def limit(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 1,000 dollars somebody is asked."""
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"usd": "1000"}')
    settings.cache_clear()


def test_tax_and_debts_count_towards_the_limit(
    known: None, limit: None, draft: Raise, owe: Owe, org: Org, vat: str, stripe_sandbox: Sandbox
) -> None:
    """950 net, with tax and 5,000.00 from before: 6,130.50 is what is approved, and mailed."""
    owe(500_000)
    name = draft(options=Options(tax_rates=[vat]), **work("950")).name
    talk = Conversation(send_invoice, invoice=name)
    for shown in ("950.00 USD", "1,130.50 USD", "5,000.00 USD", "**6,130.50 USD**"):
        assert shown in talk.said
    assert "6,130.50 USD is due" in talk.answer(**YES)
    approved = amounts(org, name)
    assert (approved["Approved_Amount__c"], approved["Amount_Due__c"]) == (6130.5, 6130.5)
    sent = org.record(name)["Stripe_Invoice_Id__c"]
    assert mails(stripe_sandbox, sent) == 1


def test_tax_alone_reaches_the_limit(limit: None, draft: Raise, vat: str) -> None:
    """950 net is below it, 1,130.50 is not."""
    name = draft(options=Options(tax_rates=[vat]), **work("950")).name
    assert "Above 1,000.00 USD" in Conversation(send_invoice, invoice=name).said
    assert "was sent" in send_invoice(draft(**work("950")).name).sentence


def test_credit_does_not_hide_a_large_invoice(
    known: None, limit: None, draft: Raise, owe: Owe, org: Org
) -> None:
    """Of 5,000.00, only 100.00 is due; somebody decides about the whole, once."""
    owe(-490_000)
    name = draft(**work("5000")).name
    talk = Conversation(send_invoice, invoice=name)
    assert "-4,900.00 USD" in talk.said
    assert "100.00 USD is due, after 4,900.00 USD" in talk.answer(**YES)


def test_an_approval_is_for_one_amount(
    known: None, limit: None, draft: Raise, owe: Owe, stripe_sandbox: Sandbox
) -> None:
    """A debt that came up while somebody thought is asked about again."""
    name = draft(**work("2000")).name
    talk = Conversation(send_invoice, invoice=name)
    owe(30_000)
    assert "**2,300.00 USD**" in talk.answer(**YES)
    assert "2,300.00 USD is due" in talk.answer(**YES)


def test_an_approval_of_less_is_none_of_what_a_debt_made_of_it(
    known: None, limit: None, draft: Raise, owe: Owe, stripe_sandbox: Sandbox
) -> None:
    """The sending failed behind the yes; when it is sent again, more would be asked for."""
    name = draft(**work("2000")).name
    talk = Conversation(send_invoice, invoice=name)
    rule = {"kind": "refuse", "path": "*/finalize", "status": 400, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    assert "was sent" not in talk.answer(**YES)
    owe(30_000)
    again = Conversation(send_invoice, invoice=name)
    assert "**2,300.00 USD**" in again.said
    assert "2,300.00 USD is due" in again.answer(**YES)


# More than was agreed


def test_more_than_was_previewed_is_asked_about(
    known: None, draft: Raise, owe: Owe, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Previewed as 100.00, and 600.00 by the time it is sent: it stays a draft until then."""
    name = draft(**work("100")).name
    preview_invoice(name)
    owe(50_000)
    talk = Conversation(send_invoice, invoice=name)
    assert "600.00 USD would be asked for, and 100.00 USD was agreed" in talk.said
    assert newest(dashboard).status == "draft"
    assert "100.00 USD was agreed" in amounts(org, name)["Sync_Message__c"]
    assert "declined by Anna Ledger" in talk.answer(**NO)
    assert amounts(org, name)["Status__c"] == "Draft"
    preview_invoice(name)
    assert "600.00 USD is due" in send_invoice(name).sentence


def test_a_revision_is_another_matter(known: None, draft: Raise, owe: Owe) -> None:
    """What was previewed of other content binds nobody."""
    name = draft(**work("100")).name
    preview_invoice(name)
    revise_invoice(name, add=[LineItem(description="More", unit_price="50")])
    assert send_invoice(name).amount_due == "150.00 USD"


def test_more_after_finalization_is_not_mailed_unasked(
    known: None,
    draft: Raise,
    moves: Callable[..., None],
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """The balance grew at the last moment: the record says so, and a no leaves it unmailed."""
    name = draft(**work("100")).name
    moves(50_000)
    talk = Conversation(send_invoice, invoice=name)
    invoice = newest(dashboard)
    assert (invoice.status, invoice.amount_due) == ("open", 60_000)
    assert "600.00 USD would be asked for, and 100.00 USD was agreed" in talk.said
    waiting = amounts(org, name)
    assert (waiting["Status__c"], waiting["Approval_Status__c"]) == ("Open", "Waiting")
    assert (waiting["Approved_Amount__c"], waiting["Sent_At__c"]) == (600, None)
    assert "neither mailed nor charged" in waiting["Sync_Message__c"]
    with pytest.raises(Rejected, match="was not sent yet: it waits for a decision"):
        resend_invoice(name)
    assert "void-invoice" in talk.answer(**NO)
    declined = amounts(org, name)
    assert (declined["Status__c"], declined["Approval_Status__c"]) == ("Open", "Declined")
    assert "Ask them first" in declined["Sync_Message__c"]
    with pytest.raises(Rejected, match="was not sent yet"):
        resend_invoice(name)
    assert mails(stripe_sandbox, invoice.id) == 0
    again = Conversation(send_invoice, invoice=name)
    assert "600.00 USD is due, with 500.00 USD owed from before." in again.answer(**YES)
    assert mails(stripe_sandbox, invoice.id) == 1
    assert amounts(org, name)["Sent_At__c"]


@pytest.mark.parametrize(
    ("give_up", "said"), [(write_off_invoice, "written off"), (void_invoice, "void")]
)
def test_given_up_while_it_waits_it_does_not_go_out(
    known: None,
    draft: Raise,
    moves: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    give_up: Flow[..., InvoiceOutcome],
    said: str,
) -> None:
    """Who says yes after that is told, and nobody is mailed."""
    name = draft(**work("100")).name
    moves(50_000)
    talk = Conversation(send_invoice, invoice=name)
    give_up(name)
    assert f"{name} is {said} in Stripe" in talk.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 0


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch, dashboard: stripe.StripeClient) -> Callable[..., None]:
    """Lets somebody change the draft in Stripe just before it is finalized."""
    finalize = Stripe.finalize

    def change(*, then_die: bool = False, **params: Any) -> None:
        def meanwhile(self: Stripe, invoice_id: str, key: str) -> Any:
            monkeypatch.setattr(Stripe, "finalize", finalize)
            dashboard.v1.invoices.update(invoice_id, stripe_params(params))
            answer = finalize(self, invoice_id, key)
            if then_die:
                raise Killed
            return answer

        monkeypatch.setattr(Stripe, "finalize", meanwhile)

    return change


def stripe_params(params: dict[str, Any]) -> Any:
    """Parameters of an update, whatever they are."""
    return params


@pytest.fixture
def half(dashboard: stripe.StripeClient) -> dict[str, Any]:
    """50 % off."""
    coupon = dashboard.v1.coupons.create({"percent_off": 50, "duration": "once"})
    return {"discounts": [{"coupon": coupon.id}]}


def test_less_than_was_agreed_is_asked_about_where_the_invoice_was_changed(
    known: None,
    draft: Raise,
    changes: Callable[..., None],
    half: dict[str, Any],
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """Somebody gave 50 % in Stripe at the last moment, which nobody here has agreed to."""
    name = draft(**work("100")).name
    changes(**half)
    talk = Conversation(send_invoice, invoice=name)
    assert "It comes to 50.00 USD in Stripe, and 100.00 USD was agreed" in talk.said
    waiting = amounts(org, name)
    assert (waiting["Status__c"], waiting["Approval_Status__c"]) == ("Open", "Waiting")
    assert "neither mailed nor charged" in waiting["Sync_Message__c"]
    sync_invoice(name)
    assert "void-invoice" in talk.answer(**NO)
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    again = Conversation(send_invoice, invoice=name)
    assert f"{name} over 50.00 USD was sent" in again.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


def test_an_approval_of_more_is_none_of_what_it_was_changed_to(
    known: None,
    limit: None,
    draft: Raise,
    changes: Callable[..., None],
    half: dict[str, Any],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """2,000.00 were approved: half of that is another question."""
    name = draft(**work("2000")).name
    talk = Conversation(send_invoice, invoice=name)
    changes(**half)
    assert "It comes to 1,000.00 USD in Stripe" in talk.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    assert "over 1,000.00 USD was sent" in talk.answer(**YES)


def test_a_tax_that_somebody_took_off_is_asked_about_also_by_who_comes_after_a_kill(
    known: None,
    draft: Raise,
    changes: Callable[..., None],
    vat: str,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """Before tax both sides are equal still."""
    name = draft(options=Options(tax_rates=[vat]), **work("100")).name
    changes(default_tax_rates="", then_die=True)
    with pytest.raises(Killed):
        send_invoice(name)
    talk = Conversation(send_invoice, invoice=name)
    assert "It comes to 100.00 USD in Stripe, and 119.00 USD was agreed" in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    assert "was sent" in talk.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


def test_declined_it_can_be_voided(
    known: None, draft: Raise, moves: Callable[..., None], dashboard: stripe.StripeClient
) -> None:
    """The debt is the customer's again, and nobody heard of the invoice."""
    name = draft(**work("100")).name
    moves(50_000)
    Conversation(send_invoice, invoice=name).answer(**NO)
    void_invoice(name)
    [customer] = dashboard.v1.customers.list().data
    assert (newest(dashboard).status, customer.balance) == ("void", 50_000)


def test_nobody_answers_in_time(
    known: None,
    draft: Raise,
    moves: Callable[..., None],
    org: Org,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
) -> None:
    """It stays open and unmailed; the record says what to do, and somebody can be asked again."""
    name = draft(**work("100")).name
    moves(50_000)
    Conversation(send_invoice, invoice=name)
    deployed.put("send-invoice", Failed())
    assert send_scheduled().sentence.endswith("1 approval expired.")
    expired = amounts(org, name)
    assert (expired["Status__c"], expired["Approval_Status__c"]) == ("Open", "Expired")
    assert "neither mailed nor charged" in expired["Sync_Message__c"]
    assert mails(stripe_sandbox, org.record(name)["Stripe_Invoice_Id__c"]) == 0
    assert "was sent" in Conversation(send_invoice, invoice=name).answer(**YES)


def test_killed_after_finalization_it_is_still_asked_about(
    known: None,
    draft: Raise,
    moves: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """Whoever takes it up knows what was agreed, though Stripe shows only what is due now."""
    name = draft(**work("100")).name
    moves(50_000, then_die=True)
    with pytest.raises(Killed):
        send_invoice(name)
    talk = Conversation(send_invoice, invoice=name)
    assert "600.00 USD would be asked for, and 100.00 USD was agreed" in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    assert "was sent" in talk.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


def test_asked_about_also_when_giving_an_address_back_had_to_be_tried_again(
    known: None,
    draft: Raise,
    moves: Callable[..., None],
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """The second try finds it finalized, and looks at the amount as the first would have."""
    name = draft(**work("100")).name
    org.set(name, Bill_To__c=contact(org, "Acme Corporation", "ann@acme.example.com"))
    moves(50_000)
    [customer] = dashboard.v1.customers.list().data
    busy = {"kind": "refuse", "status": 503, "method": "POST", "after": 1, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[busy | {"path": f"/v1/customers/{customer.id}"}])
    talk = Conversation(send_invoice, invoice=name)
    assert "600.00 USD would be asked for, and 100.00 USD was agreed" in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == 0


def test_less_after_finalization_goes_out(
    known: None, draft: Raise, moves: Callable[..., None]
) -> None:
    """A credit at the last moment is nobody's harm."""
    name = draft(**work("100")).name
    moves(-4_000)
    assert "60.00 USD is due, after 40.00 USD" in send_invoice(name).sentence


def test_no_more_than_was_previewed_goes_out(
    known: None, draft: Raise, owe: Owe, moves: Callable[..., None]
) -> None:
    """A credit came in after the preview, and was gone again at the last moment."""
    name = draft(**work("100")).name
    preview_invoice(name)
    owe(-4_000)
    moves(4_000)
    assert "over 100.00 USD was sent to Acme" in send_invoice(name).sentence


def test_more_is_not_charged_unasked(
    known: None,
    draft: Raise,
    moves: Callable[..., None],
    org: Org,
    dashboard: stripe.StripeClient,
) -> None:
    """The same where a saved card would be charged."""
    save_card(dashboard)
    options = Options(collection="Charge Automatically")
    name = draft(due_date=None, options=options, **work("100")).name
    moves(50_000)
    talk = Conversation(send_invoice, invoice=name)
    assert (newest(dashboard).status, dashboard.v1.charges.list().data) == ("open", [])
    assert "was charged to Acme Corporation" in talk.answer(**YES)
    [charge] = dashboard.v1.charges.list().data
    assert charge.amount == 60_000
    assert amounts(org, name)["Status__c"] == "Paid"


# Too little, too much


@pytest.mark.parametrize(
    ("currency", "price", "least"),
    [("USD", "0.30", "0.50 USD"), ("GBP", "0.29", "0.30 GBP"), ("JPY", "49", "50 JPY")],
)
def test_too_little_to_collect_is_refused_before_anything_is_written(
    draft: Raise, dashboard: stripe.StripeClient, org: Org, currency: str, price: str, least: str
) -> None:
    """Each currency has its own minimum; preview says it, and Stripe hears nothing of it."""
    name = draft(currency=currency, **work(price)).name
    assert f"Stripe collects nothing below {least}" in preview_invoice(name).sentence
    with pytest.raises(Rejected, match=f"collects nothing below {least}.*Small amount is meant"):
        send_invoice(name)
    assert dashboard.v1.invoices.list().data == []
    assert dashboard.v1.customers.list().data == []
    assert amounts(org, name)["Status__c"] == "Draft"


def test_too_little_that_is_meant_goes_onto_the_next_invoice(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """It counts as paid; record and sentence say where the 0.30 went, and the next asks for it."""
    name = draft(**work("0.30")).name
    sent = send_invoice(name, small_amount_is_meant=True)
    assert "0.30 USD goes onto the customer's next invoice" in sent.sentence
    record = amounts(org, name)
    assert (record["Status__c"], record["Total__c"], record["Amount_Due__c"]) == ("Paid", 0.3, 0)
    assert "0.30 USD goes onto the customer's next invoice" in record["Sync_Message__c"]
    told = org.query("SELECT What__c FROM Stripe_Invoice_Event__c")
    assert any("0.30 USD goes onto" in row["What__c"] for row in told)
    following = draft(**work("10")).name
    assert preview_invoice(following).amount_due == "10.30 USD"
    assert send_invoice(following).amount_due == "10.30 USD"
    assert newest(dashboard).amount_due == 1_030


def test_tax_or_a_debt_makes_it_enough(
    known: None, draft: Raise, owe: Owe, vat: str, org: Org
) -> None:
    """0.45 with tax on top is 0.54; 0.30 with 1.00 from before is 1.30."""
    taxed = draft(options=Options(tax_rates=[vat]), **work("0.45")).name
    assert send_invoice(taxed).amount_due == "0.54 USD"
    owe(100)
    assert send_invoice(draft(**work("0.30")).name).amount_due == "1.30 USD"


def test_a_tax_that_an_exempt_customer_is_spared_does_not_make_it_enough(
    known: None, draft: Raise, vat: str, org: Org, dashboard: stripe.StripeClient
) -> None:
    """0.45 with 19 % would be enough; Stripe takes 0.00 of tax, which only its draft tells."""
    [customer] = dashboard.v1.customers.list().data
    dashboard.v1.customers.update(customer.id, {"tax_exempt": "exempt"})
    name = draft(options=Options(tax_rates=[vat]), **work("0.45")).name
    preview = preview_invoice(name)
    assert preview.amount_due == "0.45 USD"
    assert "Stripe collects nothing below 0.50 USD" in preview.sentence
    with pytest.raises(Rejected, match=r"0\.45 USD is due"):
        send_invoice(name)
    assert (newest(dashboard).status, newest(dashboard).amount_due) == ("draft", 45)
    assert amounts(org, name)["Status__c"] == "Draft"


def test_credit_that_leaves_too_little_is_refused_while_it_is_a_draft(
    known: None, draft: Raise, owe: Owe, org: Org, dashboard: stripe.StripeClient
) -> None:
    """100.00 less 99.80 of credit."""
    owe(-9_980)
    name = draft(**work("100")).name
    assert "Stripe collects nothing below 0.50 USD" in preview_invoice(name).sentence
    with pytest.raises(Rejected, match=r"0\.20 USD is due"):
        send_invoice(name)
    assert newest(dashboard).status == "draft"
    sent = send_invoice(name, small_amount_is_meant=True)
    assert "0.20 USD goes onto the customer's next invoice" in sent.sentence


def test_too_much_to_collect_is_refused_before_anything_is_written(
    draft: Raise, dashboard: stripe.StripeClient
) -> None:
    """A million dollars is too much, a million yen is not."""
    name = draft(**work("1000000")).name
    with pytest.raises(Rejected, match=r"Stripe collects 999,999\.99 USD at the most"):
        send_invoice(name, small_amount_is_meant=True)
    assert dashboard.v1.customers.list().data == []
    yen = draft(currency="JPY", **work("1000000")).name
    assert send_invoice(yen).amount_due == "1,000,000 JPY"


def test_too_much_with_its_tax_is_refused_while_it_is_a_draft(
    draft: Raise, vat: str, dashboard: stripe.StripeClient
) -> None:
    """900,000.00 and 19 %."""
    name = draft(options=Options(tax_rates=[vat]), **work("900000")).name
    with pytest.raises(Rejected, match=r"1,071,000\.00 USD is due"):
        send_invoice(name)
    assert newest(dashboard).status == "draft"

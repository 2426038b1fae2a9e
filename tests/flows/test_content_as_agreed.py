"""What goes out has the content that was agreed, though another would come to the same sum."""

from collections.abc import Callable
from time import time
from typing import Any

import pytest
import stripe

import flows.send_invoice as sending
from flows.poll_events import poll_events
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import CustomFieldItem, LineChange, LineItem, Options
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.stripe.line_facts import wanted_facts
from invoicing.errors import Conflict, InvoicingError
from invoicing.ledger import database
from invoicing.ledger.intents import AGREE_CONTENT
from invoicing.ledger.models import Intent
from invoicing.settings import settings
from tasks.records.invoices import read_invoice
from tasks.sending.stripe_draft import fill_draft
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.flows.dialogues import Conversation, Killed
from tests.flows.test_amount_due import NO, YES, amounts, mails, newest, save_card

Raise = Callable[..., InvoiceOutcome]
Edit = Callable[[str], None]


@pytest.fixture(autouse=True)
def asked_in_prefect(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approvers are asked by Prefect's dialogue."""
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
    settings.cache_clear()


def lines_of(dashboard: stripe.StripeClient, stripe_id: str) -> list[Any]:
    """All lines of an invoice, as Stripe has them."""
    lines = dashboard.v1.invoices.line_items.list(stripe_id, {"limit": 100})
    return list(lines.auto_paging_iter())


def change(dashboard: stripe.StripeClient, stripe_id: str, **changes: dict[str, Any]) -> None:
    """Change lines in the dashboard, by the text that each has; ``_`` stands for a blank."""
    by_text = {line.description: line.id for line in lines_of(dashboard, stripe_id)}
    params: Any = [{"id": by_text[text.replace("_", " ")], **new} for text, new in changes.items()]
    dashboard.v1.invoices.update_lines(stripe_id, {"lines": params})


@pytest.fixture
def moved(dashboard: stripe.StripeClient) -> Edit:
    """Moves a dollar from one line to the other: they become 451.00 and 1,999.00."""

    def edit(stripe_id: str) -> None:
        change(dashboard, stripe_id, Consulting={"amount": 45_100}, Onboarding={"amount": 199_900})

    return edit


@pytest.fixture
def at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets somebody edit the draft in Stripe, once, just before it is finalized."""
    finalize = Stripe.finalize

    def let(edit: Edit, *, then_die: bool = False) -> None:
        def meanwhile(self: Stripe, invoice_id: str, key: str) -> Any:
            monkeypatch.setattr(Stripe, "finalize", finalize)
            edit(invoice_id)
            answer = finalize(self, invoice_id, key)
            if then_die:
                raise Killed
            return answer

        monkeypatch.setattr(Stripe, "finalize", meanwhile)

    return let


def told(org: Org) -> list[str]:
    """What the timeline says of lines."""
    rows = org.query("SELECT What__c FROM Stripe_Invoice_Event__c")
    return [row["What__c"] for row in rows if row["What__c"].startswith("Lines changed")]


# Before it is mailed


def test_two_changes_that_cancel_are_asked_about(
    draft: Raise,
    moved: Edit,
    at_the_last_moment: Callable[..., None],
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """The total is the same, and the customer would read something else than was agreed."""
    name = draft().name
    at_the_last_moment(moved)
    talk = Conversation(send_invoice, invoice=name)
    assert newest(dashboard).total == 245_000
    for line in ("of 'Consulting': 451.00 USD", "of 'Onboarding': 1,999.00 USD"):
        assert line in talk.said
    assert "instead of 3 of 'Consulting': 450.00 USD; 1 of 'Onboarding': 2,000.00 USD" in talk.said
    waiting = amounts(org, name)
    assert (waiting["Status__c"], waiting["Approval_Status__c"]) == ("Open", "Waiting")
    assert "451.00 USD" in waiting["Sync_Message__c"]
    sync_invoice(name)
    assert "void-invoice" in talk.answer(**NO)
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    again = Conversation(send_invoice, invoice=name)
    assert "of 'Consulting': 451.00 USD" in again.said
    assert f"{name} over 2,450.00 USD was sent" in again.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Consulting": {"description": "Advice"}}, "3 of 'Advice': 450.00 USD instead of 3 of"),
        (
            {"Consulting": {"quantity": 1, "price_data": {"unit_amount": 45_000}}},
            "1 of 'Consulting': 450.00 USD instead of 3 of 'Consulting': 450.00 USD",
        ),
        ({"Consulting": {"tax_rates": ["zero"]}}, "of another product or with other discounts or"),
    ],
    ids=["text", "quantity", "tax"],
)
def test_whatever_the_customer_reads_of_a_line(
    draft: Raise,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    changes: dict[str, dict[str, Any]],
    said: str,
) -> None:
    """Its text, how many, a tax of nothing: none of it changes the total."""
    name = draft().name
    rate: Any = {"display_name": "VAT", "percentage": 0, "inclusive": False}
    zero = dashboard.v1.tax_rates.create(rate).id

    def edit(stripe_id: str) -> None:
        for new in changes.values():
            if "tax_rates" in new:
                new["tax_rates"] = [zero]
            if "price_data" in new:
                [line] = [
                    one for one in lines_of(dashboard, stripe_id) if one.description == "Consulting"
                ]
                product = line.pricing.price_details.product
                new["price_data"] |= {"currency": "usd", "product": product}
        change(dashboard, stripe_id, **changes)

    at_the_last_moment(edit)
    talk = Conversation(send_invoice, invoice=name)
    assert "It comes to what was agreed, but in Stripe it has" in talk.said
    assert said in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    assert "was sent" in talk.answer(**YES)


def test_a_discount_that_moved_from_one_line_to_the_other(
    draft: Raise, at_the_last_moment: Callable[..., None], dashboard: stripe.StripeClient
) -> None:
    """Of two lines of 100.00 one has 10 % off and the other 20 %: then the other way round."""
    lines = [
        LineItem(description="Work", unit_price="100", discount_percent=10),
        LineItem(description="Travel", unit_price="100", discount_percent=20),
    ]
    name = draft(lines=lines).name
    at_the_last_moment(
        lambda stripe_id: change(
            dashboard,
            stripe_id,
            Work={"discounts": [{"coupon": "salesforce_20_percent"}]},
            Travel={"discounts": [{"coupon": "salesforce_10_percent"}]},
        )
    )
    talk = Conversation(send_invoice, invoice=name)
    assert "1 of 'Work': 100.00 USD less 20.00 USD" in talk.said
    assert "instead of 1 of 'Work': 100.00 USD less 10.00 USD" in talk.said


def test_the_lines_beyond_the_tenth_are_compared_too(
    draft: Raise,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """An invoice carries its first ten; the change is in the last two of twenty-five."""
    lines = [LineItem(description=f"Day {n}", unit_price="100") for n in range(1, 26)]
    name = draft(lines=lines).name
    at_the_last_moment(
        lambda stripe_id: change(
            dashboard, stripe_id, Day_24={"amount": 10_100}, Day_25={"amount": 9_900}
        )
    )
    talk = Conversation(send_invoice, invoice=name)
    assert "1 of 'Day 24': 101.00 USD; 1 of 'Day 25': 99.00 USD instead of" in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == 0


def test_who_comes_after_a_kill_asks_though_the_record_has_the_new_lines_by_then(
    draft: Raise,
    moved: Edit,
    at_the_last_moment: Callable[..., None],
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """Events bring Stripe's lines onto the record; what was agreed stands in the ledger."""
    name = draft().name
    at_the_last_moment(moved, then_die=True)
    with pytest.raises(Killed):
        send_invoice(name)
    sync_invoice(name)
    assert [float(one["Amount__c"]) for one in org.record(name)["Lines__r"]["records"]] == [
        451,
        1999,
    ]
    talk = Conversation(send_invoice, invoice=name)
    assert "of 'Consulting': 451.00 USD" in talk.said
    assert "which was not agreed" in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    assert "was sent" in talk.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


@pytest.mark.parametrize(
    ("discount", "moves", "said"),
    [
        ({}, False, "INV-0001 over 2,450.00 USD was sent to Acme Corporation"),
        ({}, True, "1 of 'Consulting': 451.00 USD"),
        ({"discount_percent": 10}, False, "450.00 USD less 45.00 USD, which was not agreed"),
    ],
    ids=["as agreed", "changed", "another way to count coupons"],
)
def test_a_sending_that_an_older_version_began(
    draft: Raise,
    moved: Edit,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    discount: dict[str, Any],
    moves: bool,
    said: str,
) -> None:
    """It kept checksums of lines alone, without coupons: what these do not tell is asked."""
    lines = [
        LineItem(product="Consulting", quantity=3, **discount),
        LineItem(product="Onboarding", unit_price="2000"),
    ]
    raised = draft(lines=lines)
    agreed = wanted_facts(read_invoice(raised.record_id))
    at_the_last_moment(moved if moves else lambda _stripe_id: None, then_die=True)
    with pytest.raises(Killed):
        send_invoice(raised.name)
    old = [fingerprint(*line._replace(key="", coupons=""))[:12] for line in agreed]
    with database.session() as ledger:
        intent = ledger.get_one(Intent, (AGREE_CONTENT, raised.record_id))
        intent.outcome = " ".join(sorted(old))
        ledger.add(intent)
    talk = Conversation(send_invoice, invoice=raised.name)
    assert said in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == (0 if talk.waits else 1)


def test_nothing_is_charged_for_other_lines(
    draft: Raise,
    moved: Edit,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
) -> None:
    """The same where a saved card would be charged."""
    send_invoice(draft().name)
    save_card(dashboard)
    name = draft(due_date=None, options=Options(collection="Charge Automatically")).name
    at_the_last_moment(moved)
    talk = Conversation(send_invoice, invoice=name)
    assert (newest(dashboard).status, dashboard.v1.charges.list().data) == ("open", [])
    assert "was charged to Acme Corporation" in talk.answer(**YES)


def header(dashboard: stripe.StripeClient, **changes: Any) -> Edit:
    """Changes the header of a draft in the dashboard."""

    def edit(stripe_id: str) -> None:
        params: Any = changes
        dashboard.v1.invoices.update(stripe_id, params)

    return edit


ELSEWHERE = {"line1": "Am Ufer 1", "city": "Berlin", "country": "DE"}
ASKED = Options(
    po_number="4711",
    custom_fields=[CustomFieldItem(name="Ref", value="7")],
    discount_percent="10",
)


def everything(dashboard: stripe.StripeClient) -> Edit:
    """Changes each part of a header that has no say in the sum."""
    coupon: Any = {"id": "other", "name": "Loyalty", "percent_off": 10, "duration": "once"}
    rate: Any = {"display_name": "VAT", "percentage": 0, "inclusive": False}
    dashboard.v1.coupons.create(coupon)
    return header(
        dashboard,
        description="As discussed",
        footer="Pay soon",
        due_date=int(time()) + 86_400,
        custom_fields=[{"name": "PO number", "value": "1"}],
        payment_settings={"payment_method_types": ["card"]},
        rendering={"template": "inrtem_1", "amount_tax_display": "exclude_tax"},
        default_tax_rates=[dashboard.v1.tax_rates.create(rate).id],
        discounts=[{"coupon": "other"}],
        effective_at=int(time()) - 86_400,
        shipping_details={"name": "Bo", "address": ELSEWHERE},
        statement_descriptor="ACME NOV",
        on_behalf_of="acct_1",
    )


def whom(dashboard: stripe.StripeClient) -> Edit:
    """Changes the customer, as drafts show it, in the dashboard."""

    def edit(stripe_id: str) -> None:
        params: Any = {"name": "Acme Holding", "address": ELSEWHERE, "tax_exempt": "reverse"}
        params |= {"phone": "+49 30 1", "shipping": {"name": "Bo", "address": ELSEWHERE}}
        whose = str(dashboard.v1.invoices.retrieve(stripe_id).customer)
        dashboard.v1.customers.update(whose, params)

    return edit


@pytest.mark.parametrize(
    ("change_it", "words"),
    [
        (
            everything,
            "memo, due date, footer, tax rates, payment methods, discounts, template, way of "
            "showing taxes, date of issue, account that it is billed for, shipping address, text "
            "on statements of cards, PO number, custom field 'Ref'",
        ),
        (
            whom,
            "customer's name, customer's address, customer's phone, customer's shipping address, "
            "customer's tax exemption",
        ),
    ],
)
def test_whatever_the_customer_reads_beside_the_lines(
    draft: Raise,
    at_the_last_moment: Callable[..., None],
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    change_it: Callable[[stripe.StripeClient], Edit],
    words: str,
) -> None:
    """Each part of the header is asked about by its name; then it goes out as it stands, once."""
    name = draft(options=ASKED).name
    at_the_last_moment(change_it(dashboard))
    talk = Conversation(send_invoice, invoice=name)
    assert f"but in Stripe it has other values of {words}: somebody changed it" in talk.said
    waiting = amounts(org, name)
    assert (waiting["Status__c"], waiting["Approval_Status__c"]) == ("Open", "Waiting")
    assert f"other values of {words}" in waiting["Sync_Message__c"]
    sync_invoice(name)
    assert mails(stripe_sandbox, newest(dashboard).id) == 0
    assert f"{name} over 2,205.00 USD was sent" in talk.answer(**YES)
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


def test_what_became_one_to_be_mailed_is_not_charged(
    draft: Raise,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """It was to be charged; somebody decided otherwise in Stripe, and a person here agrees."""
    send_invoice(draft().name)
    save_card(dashboard)
    name = draft(due_date=None, options=Options(collection="Charge Automatically")).name
    at_the_last_moment(header(dashboard, collection_method="send_invoice", days_until_due=14))
    talk = Conversation(send_invoice, invoice=name)
    assert "other values of due date, collection" in talk.said
    assert "was sent to Acme Corporation" in talk.answer(**YES)
    assert (newest(dashboard).status, dashboard.v1.charges.list().data) == ("open", [])
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


def test_a_header_and_lines_at_once(
    draft: Raise,
    moved: Edit,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
) -> None:
    """All of it is named, with the sum where that is another, too."""

    def edit(stripe_id: str) -> None:
        header(dashboard, footer="Pay soon", description="As discussed")(stripe_id)
        moved(stripe_id)

    name = draft().name
    at_the_last_moment(edit)
    talk = Conversation(send_invoice, invoice=name)
    assert "other values of memo, footer; 1 of 'Consulting': 451.00 USD" in talk.said


def test_another_coupon_of_the_same_value_on_a_line(
    draft: Raise, at_the_last_moment: Callable[..., None], dashboard: stripe.StripeClient
) -> None:
    """The customer reads what it is called."""
    dashboard.v1.coupons.create(
        {"id": "other", "name": "Loyalty", "percent_off": 10, "duration": "once"}
    )
    name = draft(lines=[LineItem(description="Work", unit_price="100", discount_percent=10)]).name
    at_the_last_moment(
        lambda stripe_id: change(dashboard, stripe_id, Work={"discounts": [{"coupon": "other"}]})
    )
    talk = Conversation(send_invoice, invoice=name)
    assert "1 of 'Work': 100.00 USD less 10.00 USD, of another product or with other" in talk.said


def test_who_comes_after_a_kill_asks_about_the_header_too(
    draft: Raise,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """The record has Stripe's footer by then; what was agreed stands in the ledger."""
    name = draft().name
    at_the_last_moment(header(dashboard, footer="Pay soon"), then_die=True)
    with pytest.raises(Killed):
        send_invoice(name)
    sync_invoice(name)
    talk = Conversation(send_invoice, invoice=name)
    assert "other values of footer" in talk.said
    assert mails(stripe_sandbox, newest(dashboard).id) == 0


def test_a_header_changed_between_filling_and_comparing_it_is_not_made_final(
    draft: Raise, dashboard: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays a draft; sent again, the memo is the record's."""

    def and_meanwhile(stripe_id: str, invoice: Any) -> None:
        fill_draft(stripe_id, invoice)
        header(dashboard, description="As discussed")(stripe_id)

    name = draft().name
    monkeypatch.setattr(sending, "fill_draft", and_meanwhile)
    with pytest.raises(Conflict, match=r"somebody changes its draft .* other values of memo"):
        send_invoice(name)
    assert newest(dashboard).status == "draft"
    monkeypatch.undo()
    send_invoice(name)
    assert newest(dashboard).description == "November services"


def test_what_stripe_itself_adds_is_no_change(
    draft: Raise, stripe_sandbox: Sandbox, dashboard: stripe.StripeClient
) -> None:
    """Its number and date, and the tax ids that the account has by default: nobody is asked."""
    stripe_sandbox.admin("POST", "settings", default_account_tax_ids=["atxi_1"])
    assert "was sent" in send_invoice(draft().name).sentence
    assert newest(dashboard).account_tax_ids == ["atxi_1"]


CHOSEN: dict[str, Any] = {"number": "2026-0815", "account_tax_ids": ["atxi_2"]}
"""What Stripe would choose by itself, chosen by somebody on a draft."""


@pytest.mark.parametrize("name", CHOSEN)
def test_a_number_or_tax_ids_that_somebody_chose_in_stripe_are_told(
    draft: Raise, dashboard: stripe.StripeClient, org: Org, monkeypatch: Any, name: str
) -> None:
    """They go out, for no record says others, and the timeline names them."""
    drafted = draft().name

    def and_chosen(stripe_id: str, invoice: Any) -> None:
        chosen: Any = {name: CHOSEN[name]}
        dashboard.v1.invoices.update(stripe_id, chosen)
        fill_draft(stripe_id, invoice)

    monkeypatch.setattr(sending, "fill_draft", and_chosen)
    assert "was sent" in send_invoice(drafted).sentence
    assert getattr(newest(dashboard), name) == CHOSEN[name]
    rows = org.query("SELECT What__c FROM Stripe_Invoice_Event__c")
    words = {"number": "number", "account_tax_ids": "your own tax ids"}[name]
    told_once = f"Chosen in Stripe, and sent as it is there: {words}"
    assert [row["What__c"] for row in rows].count(told_once) == 1


@pytest.mark.parametrize("name", CHOSEN)
def test_another_number_or_other_tax_ids_at_the_last_moment_are_asked_about(
    draft: Raise,
    dashboard: stripe.StripeClient,
    at_the_last_moment: Callable[..., None],
    monkeypatch: Any,
    stripe_sandbox: Sandbox,
    name: str,
) -> None:
    """Once somebody has chosen them they are part of what was agreed."""
    drafted = draft().name
    other: Any = {name: {"number": "2026-0816", "account_tax_ids": ["atxi_3"]}[name]}

    def and_chosen(stripe_id: str, invoice: Any) -> None:
        chosen: Any = {name: CHOSEN[name]}
        dashboard.v1.invoices.update(stripe_id, chosen)
        fill_draft(stripe_id, invoice)

    monkeypatch.setattr(sending, "fill_draft", and_chosen)
    at_the_last_moment(lambda id_: dashboard.v1.invoices.update(id_, other))
    Conversation(send_invoice, invoice=drafted)
    assert stripe_sandbox.admin("GET", "mail")["data"] == []


@pytest.fixture
def made(sent: InvoiceOutcome, dashboard: stripe.StripeClient) -> str:
    """A draft of two lines over 150.00, made in Stripe; its record is INV-0002."""
    v1 = dashboard.v1.invoices
    whose: Any = {"customer": str(v1.retrieve(sent.stripe_id).customer), "days_until_due": 14}
    made = v1.create(whose | {"collection_method": "send_invoice", "description": "November"})
    lines: Any = [
        {"amount": 10_000, "description": "Work"},
        {"amount": 5_000, "description": "Travel"},
    ]
    v1.add_lines(made.id, {"lines": lines})
    poll_events()
    return made.id


def test_a_draft_that_was_made_in_stripe(
    made: str,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """It is sent as it stands, which is as it was when it was looked at."""

    def edit(stripe_id: str) -> None:
        change(dashboard, stripe_id, Work={"amount": 5_000}, Travel={"amount": 10_000})
        header(dashboard, description="As discussed")(stripe_id)

    at_the_last_moment(edit)
    talk = Conversation(send_invoice, invoice="INV-0002")
    assert "other values of memo; 1 of 'Work': 50.00 USD; 1 of 'Travel': 100.00" in talk.said
    assert mails(stripe_sandbox, made) == 0
    assert "INV-0002 over 150.00 USD was sent" in talk.answer(**YES)


def test_a_header_that_was_changed_where_it_was_made_is_looked_at_first(
    made: str, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Salesforce has not heard of it; who sends has seen the memo as it was."""
    field = {"name": "PO number", "value": "4711"}
    header(dashboard, description="As discussed", custom_fields=[field])(made)
    with pytest.raises(Conflict, match=r"changed there since .*\(description, po number\)"):
        send_invoice("INV-0002")
    assert mails(stripe_sandbox, made) == 0
    sync_invoice("INV-0002")
    assert "INV-0002 over 150.00 USD was sent" in send_invoice("INV-0002").sentence


@pytest.mark.parametrize("step", ["fill_draft", "compare_totals", "finalize"])
def test_who_takes_up_a_dead_run_sends_what_people_saw_when_they_sent_it(
    made: str,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """Changed in Stripe since, with the same total, and by now the record says so too."""

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sending, step, die)
        talk = Conversation(send_invoice, invoice="INV-0002")
    change(dashboard, made, Work={"amount": 5_000}, Travel={"amount": 10_000})
    sync_invoice("INV-0002")
    talk.go_on()
    assert "was made in Stripe, and was changed there after it was sent" in talk.said
    assert (dashboard.v1.invoices.retrieve(made).status, mails(stripe_sandbox, made)) == (
        "draft",
        0,
    )
    assert "INV-0002 over 150.00 USD was sent" in send_invoice("INV-0002").sentence
    assert mails(stripe_sandbox, made) == 1


def test_lines_made_again_with_the_same_words_are_the_same(
    draft: Raise,
    at_the_last_moment: Callable[..., None],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """Somebody touched a line, and left all that a customer reads as it was: nobody is asked."""
    name = draft().name
    at_the_last_moment(
        lambda stripe_id: change(dashboard, stripe_id, Consulting={"metadata": {"seen": "yes"}})
    )
    assert "was sent" in send_invoice(name).sentence
    assert mails(stripe_sandbox, newest(dashboard).id) == 1


def test_changed_between_filling_and_comparing_it_is_not_made_final(
    draft: Raise,
    moved: Edit,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stays a draft; sent again, the lines are the record's."""

    def and_meanwhile(stripe_id: str, invoice: Any) -> None:
        fill_draft(stripe_id, invoice)
        moved(stripe_id)

    name = draft().name
    monkeypatch.setattr(sending, "fill_draft", and_meanwhile)
    with pytest.raises(Conflict, match=r"somebody changes its draft .* 'Consulting': 451\.00 USD"):
        send_invoice(name)
    assert newest(dashboard).status == "draft"
    monkeypatch.undo()
    send_invoice(name)
    amounts_there = sorted(line.amount for line in lines_of(dashboard, newest(dashboard).id))
    assert amounts_there == [45_000, 200_000]


# While it is a draft


@pytest.fixture
def refused(draft: Raise, stripe_sandbox: Sandbox) -> str:
    """A draft whose sending came as far as finalization; its name."""
    name = draft().name
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(name)
    return name


def test_lines_that_are_put_back_are_told(
    refused: str, moved: Edit, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Which lines Stripe had, and what they were replaced by; once, however often it is sent."""
    moved(newest(dashboard).id)
    assert "was sent" in send_invoice(refused).sentence
    [entry] = told(org)
    assert "of 'Consulting': 451.00 USD" in entry
    assert "instead of 3 of 'Consulting': 450.00 USD; 1 of 'Onboarding': 2,000.00 USD" in entry
    [again] = org.query(
        "SELECT What__c FROM Stripe_Invoice_Event__c WHERE What__c LIKE 'Lines changed%'"
    )
    assert again["What__c"] == entry
    there = sorted(line.amount for line in lines_of(dashboard, newest(dashboard).id))
    assert there == [45_000, 200_000]


@pytest.mark.parametrize("call", ["remove_lines", "add_lines"])
def test_killed_while_they_are_put_back_they_are_told_once(
    refused: str,
    moved: Edit,
    org: Org,
    dashboard: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    """Whoever takes it up finds no lines, or half of them, which were taken off by us."""
    moved(newest(dashboard).id)

    def dies(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Stripe, call, dies)
        with pytest.raises(Killed):
            send_invoice(refused)
    send_invoice(refused)
    assert len(told(org)) == 1


def test_a_revision_is_no_change_in_stripe(
    refused: str, org: Org, dashboard: stripe.StripeClient
) -> None:
    """What the record itself says otherwise is told as a revision, and nobody is blamed."""
    revise_invoice(refused, change=[LineChange(line=1, quantity="5")])
    send_invoice(refused)
    assert newest(dashboard).total == 275_000
    assert told(org) == []


def test_a_second_edit_is_told_as_well(
    refused: str, moved: Edit, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The same edit, made again after it was put back."""
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    moved(newest(dashboard).id)
    with pytest.raises(InvoicingError):
        send_invoice(refused)
    moved(newest(dashboard).id)
    send_invoice(refused)
    assert len(told(org)) == 2

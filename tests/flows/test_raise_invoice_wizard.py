"""An invoice is raised step by step: every question, every way back, every wrong answer."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest
import stripe
from prefect.client.orchestration import get_client
from prefect.states import Crashed, Scheduled

from flows.raise_invoice_wizard import raise_invoice_wizard
from flows.send_invoice import send_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms import wizard
from invoicing.errors import Rejected
from invoicing.settings import settings
from tests.flows.conftest import NEXT_MONTH, Org
from tests.flows.dialogues import Conversation

CONSULTING = "Consulting (150.00 USD)"


def begin(account: str = "Acme Corporation") -> Conversation:
    """A dialogue that has come to the description."""
    return Conversation(raise_invoice_wizard, account=account)


def with_one_line() -> Conversation:
    """A dialogue that has come to the summary of one line."""
    talk = begin()
    talk.answer(purpose="November services", payment_terms="Net 30")
    talk.answer(product=CONSULTING)
    talk.answer(unit_price="150", quantity="3", more="No")
    return talk


def test_step_by_step_to_a_draft(org: Org, dashboard: stripe.StripeClient) -> None:
    """Description, product, price and quantity, once more, summary: one draft, nothing else."""
    talk = begin()
    assert "the invoice for Acme Corporation" in talk.said
    talk.answer(
        purpose="November services",
        payment_terms="Due on a date",
        due_date=NEXT_MONTH.isoformat(),
    )
    assert "line 1" in talk.said
    assert CONSULTING in talk.choices("product")
    assert "Onboarding (2,500.00 USD)" in talk.choices("product")
    talk.answer(product=CONSULTING)
    assert talk.form["unit_price"]["default"] == "150.00"
    talk.answer(unit_price="120.50", quantity="3", more="Yes")
    assert "line 2" in talk.said
    [onboarding] = [c for c in talk.choices("product") if c.startswith("Onboarding")]
    talk.answer(product=onboarding)
    talk.answer(quantity="1", text="Getting started", more="No")
    assert "Getting started" in talk.said
    assert org.count() == 0
    assert talk.answer(next="Raise this invoice").startswith("INV-0001 is a draft for Acme")
    record = org.record("INV-0001")
    amounts = [float(line["Amount__c"]) for line in record["Lines__r"]["records"]]
    assert amounts[0] == 361.5
    assert float(record["Total__c"]) == sum(amounts)
    assert dashboard.v1.invoices.list().data == []


def test_the_account_is_asked_for_and_found_by_a_part_of_its_name(org: Org) -> None:
    """An unknown name asks again; several matches are a list; one match goes on."""
    talk = begin("")
    assert "Who is billed?" in talk.said
    assert "There is no Account 'Nobody'" in talk.answer(account="Nobody")
    talk.answer(account="o")
    assert len(talk.choices("account")) > 2
    assert "for Umbrella KK" in talk.answer(account=wizard.SEARCH, search="umbr")
    talk.answer(purpose="Studies", payment_terms="Net 15")
    assert all(choice.endswith("JPY)") for choice in talk.choices("product"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"payment_terms": "Due on a date", "due_date": "2001-01-01"}, "has passed"),
        ({"payment_terms": "Due on a date"}, "The due date is missing"),
        ({"payment_terms": "Due on a date", "due_date": "soon"}, "Due date: "),
        ({"purpose": "   ", "payment_terms": "Net 30"}, "The description is missing"),
    ],
)
def test_a_wrong_header_asks_again_with_the_reason(answer: dict[str, str], reason: str) -> None:
    """What passes the form and makes no sense is asked for again."""
    talk = begin()
    said = talk.answer(**{"purpose": "Services", **answer})
    assert "Please check" in said
    assert reason in said
    assert "line 1" in talk.answer(purpose="Services", payment_terms="Net 60")


def test_a_wrong_price_or_quantity_asks_again_and_keeps_the_rest(org: Org) -> None:
    """Negative and unreadable figures: the line is asked for again, the header is not."""
    talk = begin()
    talk.answer(purpose="November services", payment_terms="Net 30")
    talk.answer(product=CONSULTING)
    assert "the quantity must be above zero" in talk.answer(quantity="-1", more="No")
    assert "unit price" in talk.answer(unit_price="-5", quantity="1", more="No")
    assert "Quantity: 'lots' is no number" in talk.answer(quantity="lots", more="No")
    assert "can be read in two ways" in talk.answer(unit_price="1,234", quantity="3", more="No")
    assert "451.50 USD" in talk.answer(unit_price="150,50", quantity="3", more="No")


def test_what_the_form_does_not_offer_is_not_taken(org: Org) -> None:
    """Prefect itself refuses a product that is not in the list; the question stays."""
    talk = begin()
    talk.answer(purpose="November services", payment_terms="Net 30")
    assert "Moon Base" in talk.refused(product="Moon Base")
    assert "Create more items?" in str(talk.form) or talk.answer(product=CONSULTING)


def test_back_from_the_summary(org: Org) -> None:
    """A line more, a line less, another due date, and only then the invoice."""
    talk = with_one_line()
    assert "450.00 USD" in talk.said
    talk.answer(next="Add a line")
    talk.answer(product=next(c for c in talk.choices("product") if c.startswith("Training")))
    talk.answer(quantity="1", more="Yes")
    assert "line 2" in talk.answer(product=wizard.NO_MORE_LINES) or talk.waits
    remove = next(c for c in talk.choices("next") if c.startswith("Remove line 1"))
    assert "Consulting" not in talk.answer(next=remove)
    talk.answer(next=wizard.CHANGE_HEADER)
    assert talk.form["purpose"]["default"] == "November services"
    talk.answer(purpose="December services", payment_terms="Net 90")
    talk.answer(next=wizard.RAISE)
    record = org.record("INV-0001")
    assert len(record["Lines__r"]["records"]) == 1
    due = org.query("SELECT Description__c, Due_Date__c FROM Stripe_Invoice__c")[0]
    assert due["Description__c"] == "December services"
    assert date.fromisoformat(due["Due_Date__c"]) > date.today() + timedelta(days=80)


def test_an_invoice_over_nothing_is_not_raised_without_a_word(org: Org) -> None:
    """The summary says that it cannot be sent, as sending does; the draft may still be wanted."""
    talk = begin()
    talk.answer(purpose="November services", payment_terms="Net 30")
    talk.answer(product=CONSULTING)
    nothing = "The total is zero: there is nothing to pay, and such an invoice cannot be sent."
    assert nothing in talk.answer(unit_price="0", quantity="3", more="No")
    talk.answer(next=wizard.RAISE)
    with pytest.raises(Rejected, match=nothing):
        send_invoice("INV-0001")


def test_without_lines_there_is_nothing_to_raise(org: Org) -> None:
    """The summary says so and asks what next."""
    talk = with_one_line()
    talk.answer(next=talk.choices("next")[2])
    assert "has no lines" in talk.answer(next=wizard.RAISE)
    assert org.count() == 0


def test_abandoned_it_leaves_nothing_behind(org: Org) -> None:
    """The run says so at its end."""
    talk = with_one_line()
    assert talk.answer(next=wizard.ABANDON) == "Abandoned: nothing was raised."
    assert talk.state.is_completed()
    assert org.count() == 0


def test_forgotten_it_can_no_longer_be_answered(org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the run fails by itself and says why; nothing was written."""
    monkeypatch.setenv("INVOICING_DIALOGUES__TIMEOUT_SECONDS", "1")
    settings.cache_clear()
    talk = begin()
    until = talk.state.state_details.pause_timeout
    assert until is not None
    while datetime.now(UTC) <= until:
        time.sleep(0.05)
    assert "timed out" in talk.refused(purpose="Services", payment_terms="Net 30")
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(talk.run).state
    assert state is not None
    assert state.is_failed()
    assert "never resumed" in str(state.message)
    assert org.count() == 0


def test_a_long_list_is_narrowed_by_a_search(org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    """More products than a list shows: a search text, a search in vain, the choice."""
    monkeypatch.setattr(wizard, "MAX_LISTED", 3)
    talk = begin()
    talk.answer(purpose="November services", payment_terms="Net 30")
    assert len(talk.choices("product")) == 4
    assert "Write what to search for" in talk.answer(product=wizard.SEARCH)
    assert "No product matches 'moon'" in talk.answer(product=wizard.SEARCH, search="moon")
    talk.answer(product=wizard.SEARCH, search="consult")
    talk.answer(product=CONSULTING)
    assert "150.00 USD" in talk.answer(quantity="1", more="No")


def test_a_product_that_was_withdrawn_meanwhile(org: Org) -> None:
    """The confirmed invoice is refused by the price book of that moment, and can be mended."""
    talk = with_one_line()
    [product] = org.query("SELECT Id FROM Product2 WHERE Name = 'Consulting'")
    salesforce.client().update("Product2", product["Id"], {"IsActive": False})
    assert "not active" in talk.answer(next=wizard.RAISE)
    assert org.count() == 0
    salesforce.client().update("Product2", product["Id"], {"IsActive": True})
    assert "INV-0001 is a draft" in talk.answer(next=wizard.RAISE)


@pytest.fixture
def confirmed(org: Org) -> Conversation:
    """A dialogue whose last answer is given, and whose run has not gone on yet."""
    talk = with_one_line()
    assert not talk.refused(next=wizard.RAISE)
    return talk


def test_the_draft_is_written_once_however_often_the_run_begins(
    confirmed: Conversation, org: Org
) -> None:
    """The run ends, and is begun again as after a crash that nobody noticed."""
    confirmed.go_on()
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(confirmed.run, Crashed(), force=True)
        client.set_flow_run_state(confirmed.run, Scheduled(name="AwaitingRetry"), force=True)
    assert "INV-0001 is a draft" in str(confirmed.go_on().message)
    assert org.count() == 1


def test_a_run_that_died_while_it_asked_asks_again(org: Org) -> None:
    """Suspended, then reported dead and taken up again: the same question under a new key."""
    talk = begin()
    talk.answer(purpose="November services", payment_terms="Net 30")
    before = talk.said
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(talk.run, Crashed(), force=True)
        client.set_flow_run_state(talk.run, Scheduled(name="AwaitingRetry"), force=True)
    talk.go_on()
    assert talk.waits
    assert talk.said == before
    talk.answer(product=CONSULTING)
    talk.answer(quantity="1", more="No")
    assert "INV-0001" in talk.answer(next=wizard.RAISE)


def test_a_program_answers_beforehand(org: Org) -> None:
    """What a program knows is not asked; all of it known, nobody is asked at all.

    It may name a product as the list had it before prices had cents.
    """
    product = {"product": "Consulting (150 USD)"}
    known = [{"purpose": "November services", "payment_terms": "Net 30"}, product]
    talk = Conversation(raise_invoice_wizard, account="Acme", answers=known)
    assert "line 1, Consulting" in talk.said
    rest = [{"quantity": "3", "more": "No"}, {"next": wizard.RAISE}]
    outcome = raise_invoice_wizard(account="Acme", answers=[*known, *rest])
    assert outcome.total == "450.00 USD"
    assert org.count() == 1


def test_without_a_deployment_nobody_can_be_asked(org: Org) -> None:
    """A flow that is just called says so instead of waiting for nobody."""
    with pytest.raises(Rejected, match="nobody can be asked here"):
        raise_invoice_wizard(account="Acme")

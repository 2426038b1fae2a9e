"""3-D Secure: cards whose holder has to confirm a payment with the bank."""

from collections.abc import Callable, Iterator

import httpx
import pytest
import stripe
from playwright.sync_api import Browser, Page

MakeDraft = Callable[..., stripe.Invoice]
CARD = "pm_card_authenticationRequired"


def charged(client: stripe.StripeClient, invoice: stripe.Invoice) -> stripe.PaymentIntent:
    """Charge an invoice while nobody is there to confirm; the payment that waits."""
    with pytest.raises(stripe.CardError) as refusal:
        client.v1.invoices.pay(invoice.id, {"payment_method": CARD})
    assert refusal.value.http_status == 402
    assert refusal.value.code == "invoice_payment_intent_requires_action"
    (intent,) = client.v1.payment_intents.list().data
    return intent


def types_of(client: stripe.StripeClient) -> list[str]:
    """What happened, oldest first."""
    return [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]


def answer(intent: stripe.PaymentIntent, with_what: str) -> httpx.Response:
    """Answer on the bank's page."""
    assert intent.next_action is not None
    assert intent.next_action.use_stripe_sdk is not None
    page = str(intent.next_action.use_stripe_sdk["stripe_js"])
    return httpx.post(page, data={"answer": with_what}, follow_redirects=True)


@pytest.mark.parametrize("card", [CARD, "pm_card_authenticationRequiredOnSetup"])
def test_a_charge_waits_until_the_customer_has_confirmed_it(
    live: stripe.StripeClient, make_draft: MakeDraft, card: str
) -> None:
    """The attempt has failed for now, and says that something can be done about it."""
    draft = make_draft()
    with pytest.raises(stripe.CardError) as refusal:
        live.v1.invoices.pay(draft.id, {"payment_method": card})
    assert refusal.value.code == "invoice_payment_intent_requires_action"
    (intent,) = live.v1.payment_intents.list().data
    assert intent.status == "requires_action"
    assert types_of(live)[-3:] == [
        "invoice.updated",
        "invoice.payment_failed",
        "invoice.payment_action_required",
    ]
    assert "payment_intent.requires_action" in types_of(live)
    invoice = live.v1.invoices.retrieve(draft.id)
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert live.v1.charges.list().data == []

    assert "Invoice paid" in answer(intent, "complete").text
    assert live.v1.invoices.retrieve(draft.id).status == "paid"
    after = live.v1.payment_intents.retrieve(intent.id)
    assert (after.status, after.next_action) == ("succeeded", None)
    assert types_of(live)[-2:] == ["invoice.paid", "invoice.payment_succeeded"]


def test_the_bank_does_not_confirm(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """The payment asks for another card, with the reason; the first answer is the only one."""
    draft = make_draft()
    intent = charged(live, draft)
    assert "did not confirm the payment" in answer(intent, "fail").text
    failed = live.v1.payment_intents.retrieve(intent.id)
    assert failed.status == "requires_payment_method"
    assert failed.last_payment_error is not None
    assert failed.last_payment_error.code == "payment_intent_authentication_failure"
    assert types_of(live)[-1] == "invoice.payment_failed"
    answer(intent, "complete")
    assert live.v1.invoices.retrieve(draft.id).status == "open"


def test_what_is_void_is_not_collected(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """The customer confirms when it is too late."""
    draft = make_draft()
    intent = charged(live, draft)
    live.v1.invoices.void_invoice(draft.id)
    answer(intent, "complete")
    assert live.v1.payment_intents.retrieve(intent.id).status == "canceled"
    assert live.v1.charges.list().data == []


def test_an_intent_of_its_own(live: stripe.StripeClient, customer: stripe.Customer) -> None:
    """With its payer there it waits; without, it is declined."""
    wanted = {"amount": 500, "currency": "usd", "customer": customer.id, "payment_method": CARD}
    waits = live.v1.payment_intents.create(wanted | {"confirm": True})  # type: ignore[arg-type]
    assert waits.status == "requires_action"
    assert "Payment confirmed" in answer(waits, "complete").text
    alone = {"confirm": True, "off_session": True}
    with pytest.raises(stripe.CardError) as refusal:
        live.v1.payment_intents.create(wanted | alone)  # type: ignore[arg-type]
    assert refusal.value.code == "authentication_required"


@pytest.fixture
def page(admin: httpx.Client, browser: Browser) -> Iterator[Page]:
    """A page in a headless browser."""
    opened = browser.new_page(base_url=str(admin.base_url))
    yield opened
    opened.close()


def test_the_customer_confirms_with_the_bank(
    live: stripe.StripeClient, make_draft: MakeDraft, page: Page
) -> None:
    """On the invoice's page: refused by the bank once, begun again, left, and confirmed."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    page.goto(str(sent.hosted_invoice_url))
    page.get_by_label("Card number").fill("4000 0027 6000 3184")
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("heading", name="Confirm your payment").wait_for()
    page.get_by_role("button", name="Fail").click()
    page.get_by_text("did not confirm the payment").wait_for()

    page.get_by_label("Card number").fill("4000 0025 0000 3155")
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("heading", name="Confirm your payment").wait_for()
    page.goto(str(sent.hosted_invoice_url))
    page.get_by_role("link", name="Confirm payment").click()
    page.get_by_role("button", name="Complete").click()
    page.get_by_text("Invoice paid").wait_for()
    assert live.v1.invoices.retrieve(sent.id).status == "paid"

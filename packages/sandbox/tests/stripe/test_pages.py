"""The pages people look at: dashboard, mailbox, the customer's invoice page."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
import stripe
from playwright.sync_api import Browser, Page

MakeDraft = Callable[..., stripe.Invoice]


@pytest.fixture
def page(admin: httpx.Client, browser: Browser) -> Iterator[Page]:
    """A page in a headless browser."""
    opened = browser.new_page(base_url=str(admin.base_url))
    yield opened
    opened.close()


def test_the_first_page_is_for_people_and_for_test_suites(admin: httpx.Client) -> None:
    """It names the keys, and carries the header the SDK's own tests look for."""
    answer = admin.get("/")
    assert answer.headers["stripe-mock-version"] == "0.200.0"
    assert "sk_live_sandbox" in answer.text
    live = re.search(r"sk_live_51\w{97}", answer.text)
    assert live, "a key as long as a real one"
    assert admin.get("/v1/account", auth=(live[0], "")).is_success


def test_every_page_of_the_dashboard(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """Lists and details show what is there, and link to each other."""
    paid = live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"})
    live.v1.credit_notes.create({"invoice": paid.id, "amount": 100, "refund_amount": 100})
    (intent,) = live.v1.payment_intents.list().data
    event = live.v1.events.list().data[0]
    root = "/dashboard/live"
    for path, text in (
        (f"{root}/invoices", str(paid.number)),
        (f"{root}/invoices?status=paid", str(paid.number)),
        (f"{root}/invoices/{paid.id}", "Consulting"),
        (f"{root}/customers", "Globex"),
        (f"{root}/customers/{paid.customer}", str(paid.number)),
        (f"{root}/payments", "$100.00"),
        (f"{root}/payments/{intent.id}", "Refunds"),
        (f"{root}/events", "invoice.paid"),
        (f"{root}/events/{event.id}", event.id),
    ):
        answer = admin.get(path)
        assert answer.status_code == 200, path
        assert text in answer.text, path
    assert admin.get(f"{root}/invoices/in_gone").status_code == 404
    assert "No invoices" in admin.get("/dashboard/test/invoices").text


def test_buttons_of_the_dashboard(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """They do what the API does, and say why if they cannot."""
    draft = make_draft()

    def press(action: str) -> int:
        path = f"/dashboard/live/invoices/{draft.id}"
        return admin.post(path, data={"action": action}).status_code

    assert press("send") == 303
    assert press("finalize") == 402
    assert press("mark_uncollectible") == 303
    assert press("void") == 303
    assert live.v1.invoices.retrieve(draft.id).status == "void"


def test_the_customer_reads_the_mail_and_pays(
    live: stripe.StripeClient, make_draft: MakeDraft, page: Page
) -> None:
    """From the mailbox to a declined card, a part, and the rest."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    page.goto("/mail")
    page.get_by_role("link", name=f"#{sent.number}").click()
    page.get_by_role("link", name="Pay this invoice").click()

    page.get_by_label("Card number").fill("4000 0000 0000 0002")
    page.get_by_role("button", name="Pay").click()
    page.get_by_text("Your card was declined.").wait_for()

    page.get_by_label("Amount").fill("30")
    page.get_by_role("button", name="Pay").click()
    page.get_by_text("Payment received").wait_for()
    assert page.get_by_text("$70.00").count()

    page.get_by_role("button", name="Pay").click()
    page.get_by_text("Invoice paid").wait_for()
    assert live.v1.invoices.retrieve(sent.id).status == "paid"


def test_the_dashboard_in_a_browser(make_draft: MakeDraft, page: Page) -> None:
    """A draft is found in the list, sent, and gets its number."""
    make_draft(description="November")
    page.goto("/dashboard")
    page.get_by_role("link", name="Draft", exact=True).click()
    page.get_by_role("button", name="Send invoice").click()
    page.get_by_role("button", name="Send again").wait_for()
    page.get_by_role("link", name="invoice.sent").click()
    page.get_by_role("heading", name="invoice.sent").wait_for()

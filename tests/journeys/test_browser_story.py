"""People at work, in a real browser, with the package's own pages and dialogues.

PICTURES=docs/images/salesforce keeps a picture there of each step that has none.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from deployments.local.stack import Stack
from deployments.local.waiting import slowness
from invoicing.connectors.prefect import Prefect
from tests.prefect_worker import eventually

PATIENCE_MILLISECONDS = 60_000
PICTURES = os.environ.get("PICTURES")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that make demo starts."""
    with Stack(tmp_path_factory.mktemp("stack"), pages=True) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One tab."""
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    tab.set_default_timeout(PATIENCE_MILLISECONDS * slowness())
    expect.set_options(timeout=PATIENCE_MILLISECONDS * slowness())
    yield tab
    tab.close()


def picture(page: Page, name: str) -> None:
    """Keep a picture, where pictures are asked for."""
    path = Path(PICTURES or "") / f"{name}.png"
    if PICTURES and not path.exists():
        page.screenshot(path=path)


def add_item(page: Page, product: str, quantity: str, price: str = "") -> None:
    """Look a product up by the beginning of its name, then say how many at which price."""
    page.get_by_label("Product").fill(product[:5])
    expect(page.get_by_role("option")).to_have_count(1)
    picture(page, "3-product")
    page.get_by_role("option", name=product).click()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Quantity").fill(quantity)
    if price:
        page.get_by_label("Unit Price").fill(price)


def raise_invoice(page: Page, stack: Stack, account: str = "Globex") -> None:
    """From the list of Accounts to the draft's own page."""
    page.goto(f"{stack.urls.salesforce}/lightning/o/Account/list")
    page.get_by_role("link", name=account, exact=True).click()
    picture(page, "1-account")
    page.get_by_role("button", name="Raise Invoice").click()
    page.get_by_label("Description").fill("Training for the new team")
    due = datetime.now(UTC).date() + timedelta(days=30)
    page.get_by_label("Due Date").fill(due.isoformat())
    picture(page, "2-details")
    page.get_by_role("button", name="Next").click()
    add_item(page, "Training Day", "2")
    page.get_by_label("Create more items").check()
    picture(page, "4-price")
    page.get_by_role("button", name="Next").click()
    add_item(page, "Consulting", "1", "99.50")
    page.get_by_role("button", name="Next").click()
    picture(page, "5-summary")
    page.get_by_role("button", name="Next").click()
    picture(page, "6-raised")
    draft = page.get_by_role("link", name="open the invoice").get_attribute("href")
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name=account)).to_be_visible()
    page.goto(f"{stack.urls.salesforce}{draft}")


def ask(page: Page, stack: Stack, action: str) -> None:
    """Press an action on an invoice's page, confirm it, and have it taken up at once."""
    if not page.get_by_role("button", name=action, exact=True).is_visible():
        page.get_by_label("Show more actions").click()
    page.get_by_role("button", name=action, exact=True).click()
    picture(page, "8-asks")
    page.get_by_role("button", name=action, exact=True).click()
    picture(page, "9-asked-for")
    page.get_by_role("button", name="Finish").click()
    Prefect(stack.urls.prefect_api).start("watch-salesforce", {}, uuid.uuid4().hex)


def reload_until(page: Page, field: str, text: str) -> None:
    """Look again until the record says so: a run or a webhook is on its way."""

    def says() -> bool:
        page.reload()
        return text in page.locator(f"[data-field={field}]").first.inner_text()

    eventually(says)


def last_run(page: Page) -> str | None:
    """The run that wrote on the record last."""
    return page.locator("[data-field=Last_Run_URL__c] a").get_attribute("href")


def test_an_invoice_is_raised_sent_paid_and_synced(page: Page, stack: Stack) -> None:
    """From the Account to the money, without leaving the browser."""
    raise_invoice(page, stack)
    expect(page.get_by_role("heading", name="INV-0001")).to_be_visible()
    expect(page.locator("#Lines__r")).to_contain_text("3,600.00 USD")
    expect(page.locator("[data-field=Draft_Subtotal__c]").first).to_contain_text("3,699.50")
    picture(page, "7-draft")

    ask(page, stack, "Send To Customer")
    reload_until(page, "Status__c", "Open")
    expect(page.get_by_role("button", name="Send To Customer")).to_be_hidden()
    picture(page, "10-sent")
    record = page.url

    page.goto(f"{stack.urls.stripe}/mail")
    page.get_by_role("link", name="Invoice from").first.click()
    page.get_by_role("link", name="Pay this invoice").click()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_text("Paid").first).to_be_visible()

    page.goto(record)
    reload_until(page, "Status__c", "Paid")
    picture(page, "11-paid")
    by_webhook = last_run(page)
    ask(page, stack, "Sync Invoice")
    eventually(lambda: page.reload() is not None and last_run(page) != by_webhook)
    page.goto(f"{stack.urls.salesforce}/lightning/o/Stripe_Invoice__c/list")
    page.get_by_role("link", name="Paid this month").click()
    expect(page.get_by_role("link", name="INV-0001")).to_be_visible()
    picture(page, "12-list")


def test_a_refusal_is_read_on_the_record(page: Page, stack: Stack) -> None:
    """An Account without an address: the page says what is missing, and nobody is mailed."""
    raise_invoice(page, stack, account="Vandelay Industries")
    ask(page, stack, "Send To Customer")
    reload_until(page, "Sync_Message__c", "has no e-mail address for invoices")
    expect(page.locator("[data-field=Status__c]").first).to_have_text("Draft")
    picture(page, "13-refused")

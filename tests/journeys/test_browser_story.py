"""People at work, in a real browser: raise, send, pay, sync, and watch it happen."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from deployments.local.stack import Stack
from deployments.local.waiting import slowness
from tests.prefect_worker import eventually

PATIENCE_MILLISECONDS = 60_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that make demo starts."""
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One tab."""
    tab = browser.new_page(viewport={"width": 1280, "height": 1000})
    tab.set_default_timeout(PATIENCE_MILLISECONDS * slowness())
    expect.set_options(timeout=PATIENCE_MILLISECONDS * slowness())
    yield tab
    tab.close()


def raise_invoice(page: Page, stack: Stack, account: str = "Globex") -> None:
    """Fill in the form on an Account's page."""
    page.goto(f"{stack.urls.salesforce}/lightning/o/Account/list")
    page.get_by_role("link", name=account, exact=True).click()
    page.get_by_role("link", name="Raise Invoice").click()
    page.get_by_label("Description").fill("Training for the new team")
    page.locator("[name=product]").first.select_option(label="Training Day (1,800.00 USD)")
    page.locator("[name=quantity]").first.fill("2")
    page.get_by_role("button", name="Add line").click()
    page.locator("[name=product]").nth(1).select_option(label="Consulting (150.00 USD)")
    page.locator("[name=unit_price]").nth(1).fill("99.50")
    page.get_by_role("button", name="Raise Invoice").click()


def reload_until(page: Page, text: str) -> None:
    """Look again until the page says so: a webhook is on its way."""

    def says() -> bool:
        page.reload()
        page.wait_for_load_state()
        return page.get_by_text(text, exact=True).first.is_visible()

    eventually(says)


def test_an_invoice_is_raised_sent_paid_and_synced(page: Page, stack: Stack) -> None:
    """From the Account page to the money, without leaving the browser."""
    raise_invoice(page, stack)
    expect(page.get_by_text("INV-0001 is a draft for Globex")).to_be_visible()
    page.locator("table").get_by_role("link", name="INV-0001").click()
    expect(page.get_by_text("3,699.50").first).to_be_visible()

    page.get_by_role("button", name="Send To Customer").click()
    expect(page.get_by_text("was sent to Globex")).to_be_visible()
    expect(page.get_by_text("Open", exact=True).first).to_be_visible()
    record = page.url

    page.goto(f"{stack.urls.stripe}/mail")
    page.get_by_role("link", name="Invoice from").first.click()
    page.get_by_role("link", name="Pay this invoice").click()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_text("Paid").first).to_be_visible()

    page.goto(record)
    reload_until(page, "Paid")
    page.get_by_role("button", name="Sync Invoice").click()
    expect(page.get_by_text("INV-0001 was in step already.")).to_be_visible()


def test_a_refusal_is_read_where_the_button_was_pressed(page: Page, stack: Stack) -> None:
    """An Account without an address: the page says what is missing, and nobody is mailed."""
    raise_invoice(page, stack, account="Vandelay Industries")
    expect(page.get_by_text("is a draft for Vandelay Industries")).to_be_visible()
    page.locator("table").get_by_role("link", name="INV-000").click()
    page.get_by_role("button", name="Send To Customer").click()
    expect(page.get_by_text("has no e-mail address for invoices").first).to_be_visible()
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()

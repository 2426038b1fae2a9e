"""People at work, in a real browser, with the package's own pages and dialogues."""

import os

from playwright.sync_api import Route, expect

from tests.journeys.browser_user import Clerk
from tests.prefect_worker import eventually


def test_an_invoice_is_raised_sent_paid_and_synced(dana: Clerk) -> None:
    """From the Account to the money, without leaving the browser."""
    page = dana.page
    items = [("Training Day", "2", ""), ("Consulting", "1", "99.50")]
    description = "Training for the new team"
    invoice = dana.raise_invoice("Globex", *items, description=description, pictured=True)
    expect(page.locator("#Lines__r")).to_contain_text("3,600.00")
    expect(dana.shown("Draft_Subtotal__c")).to_contain_text("3,699.50")
    dana.picture("send-1-draft")
    dana.begin("Send To Customer")
    dana.picture("send-2-asks")
    told = dana.confirm("Send To Customer", "send-3-told")
    assert "was sent to Globex" in told or not told
    if told:
        expect(dana.shown("Status__c")).to_have_text("Open")
    said = dana.answer("Send To Customer")
    assert said.startswith(f"Done: {invoice} over 3,699.50 USD was sent to Globex")
    dana.picture("send-4-sent")
    expect(dana.shown("Status__c")).to_have_text("Open")
    expect(page.get_by_role("button", name="Send To Customer")).to_be_hidden()

    page.goto(f"{dana.urls.stripe}/mail")
    page.get_by_role("link", name="Invoice from").first.click()
    dana.picture("paid-1-mail")
    page.get_by_role("link", name="Pay this invoice").click()
    dana.picture("paid-2-payment-page")
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_text("Paid").first).to_be_visible()

    dana.open(invoice)
    dana.sees("Status__c", "Paid")
    dana.picture("paid-3-record")
    assert f"{invoice} was in step already." in dana.ask("Sync Invoice")
    page.goto(f"{dana.urls.salesforce}/lightning/o/Stripe_Invoice__c/list")
    page.get_by_role("link", name="Paid this month").click()
    expect(page.get_by_role("link", name=invoice)).to_be_visible()
    dana.picture("paid-4-list")
    assert (dana.in_stripe(invoice).status, dana.mails(invoice)) == ("paid", 1)


def test_a_refusal_is_read_on_the_record(dana: Clerk) -> None:
    """An Account without an address: the page says what is missing, and nobody is mailed."""
    dana.draft("Consulting", 2, 150, account="Vandelay Industries")
    said = dana.ask("Send To Customer")
    assert said.startswith("Refused: ")
    assert "has no e-mail address for invoices" in said
    expect(dana.shown("Sync_Message__c")).to_contain_text("has no e-mail address for invoices")
    expect(dana.shown("Status__c")).to_have_text("Draft")
    dana.picture("refused-1-address")


def test_the_network_is_cut_after_the_click(dana: Clerk) -> None:
    """No answer reaches the browser, nor the worker: what was pressed twice is mailed once."""
    invoice = dana.draft("Consulting", 3, 150)
    record = dana.page.url
    cut_off_from_mailing(dana)
    dana.begin("Send To Customer")
    dana.page.route("**/lightning/interviews/*", lose_the_answer)
    with dana.page.expect_event("requestfailed", lambda lost: lost.method == "POST"):
        dana.page.get_by_role("button", name="Send To Customer", exact=True).click()
    dana.page.unroute("**/lightning/interviews/*")
    eventually(lambda: mailing_was_cut(dana))

    dana.page.goto(record)
    expect(dana.shown("Status__c")).to_have_text("Draft")
    expect(dana.page.locator("#Requests__r")).to_contain_text("Running")
    dana.picture("cut-1-running")
    dana.begin("Send To Customer")
    dana.page.get_by_role("button", name="Send To Customer", exact=True).click()
    expect(dana.page.get_by_text("was asked for already")).to_be_visible()
    follows(dana, "Taken up. It is being done")
    dana.picture("cut-2-asked-for-already")
    dana.story.sandbox("DELETE", "faults")
    follows(dana, f"{invoice} over 450.00 USD was sent")
    dana.finish()

    assert dana.answer("Send To Customer").startswith(f"Done: {invoice} over 450.00 USD was sent")
    expect(dana.shown("Status__c")).to_have_text("Open")
    dana.picture("cut-3-sent")
    assert len(dana.requests(invoice, "Send To Customer")) == 1
    assert (dana.in_stripe(invoice).status, dana.mails(invoice)) == ("open", 1)


def follows(dana: Clerk, text: str) -> None:
    """Read it on the screen that is open, without reloading; nothing where it cannot be built."""
    status = dana.page.get_by_role("status").filter(has_text=text)
    unbuilt = dana.page.get_by_text("cannot be shown here").filter(visible=True)
    expect(status.or_(unbuilt).first).to_be_visible()
    assert "CI" not in os.environ or not unbuilt.is_visible()


def cut_off_from_mailing(dana: Clerk) -> None:
    """Let Stripe mail the invoice, and nothing come back: no answer, and no way to ask again."""
    mailed = {"kind": "lost", "method": "POST", "path": "/v1/invoices/*/send", "count": 1}
    asked = {"kind": "reset", "path": "/v1/events"}
    dana.story.sandbox("POST", "faults", rules=[mailed, asked])


def mailing_was_cut(dana: Clerk) -> bool:
    """Whether the answer was lost, and a further try met no connection."""
    return all(rule["hits"] for rule in dana.story.sandbox("GET", "faults")["rules"])


def lose_the_answer(route: Route) -> None:
    """Let a request through, and cut the browser's connection before the answer."""
    if route.request.method == "POST":
        route.fetch(max_redirects=0)
        route.abort("connectionreset")
    else:
        route.continue_()

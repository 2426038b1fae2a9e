"""What people do with an invoice beside sending it: every other button of its page."""

import pytest
from playwright.sync_api import expect

from tests.journeys.browser_user import Clerk
from tests.journeys.org_client import typed_day

pytestmark = pytest.mark.long

ALWAYS = {"Sync Invoice", "Edit", "Clone Invoice"}
DRAFT = ALWAYS | {"Send To Customer", "Preview Total", "Delete Draft"}
UNCOLLECTIBLE = ALWAYS | {"Record Payment", "Credit", "Replace", "Void"}
OPEN = UNCOLLECTIBLE | {"Resend", "Write Off"}
PAID = ALWAYS | {"Resend", "Credit"}


def sent(clerk: Clerk) -> str:
    """Raise and send an invoice over 1,800 USD; its name."""
    invoice = clerk.draft("Training Day", 1, 1800)
    assert clerk.ask("Send To Customer").startswith(f"Done: {invoice} over 1,800.00 USD was sent")
    return invoice


def test_an_amount_is_credited_and_the_rest_is_paid(dana: Clerk) -> None:
    """The customer owes less and hears of it; a transfer and a cheque pay what is left."""
    invoice = sent(dana)
    said = dana.ask("Credit", "credit-1", Amount="300.00", Memo="The room was too small")
    assert said.startswith("Done: Credit note ")
    assert "300.00 USD" in said
    expect(dana.shown("Amount_Credited__c")).to_have_text("300.00")
    expect(dana.shown("Amount_Due__c")).to_have_text("1,500.00")
    assert dana.in_stripe(invoice).amount_remaining == 150000
    letters = dana.mails(invoice)
    assert letters == 2
    assert "Done: " in dana.ask("Record Payment", Amount="1000.00", Reference="SEPA 17")
    expect(dana.shown("Payment_State__c")).to_have_text("Partly Paid")
    assert "Done: " in dana.ask("Record Payment", "credit-2-rest", Paid_by="Cheque")
    expect(dana.shown("Status__c")).to_have_text("Paid")
    assert set(dana.offered()) == PAID
    assert (dana.in_stripe(invoice).status, dana.mails(invoice)) == ("paid", letters)


def test_a_draft_goes_out_on_its_day(dana: Clerk) -> None:
    """It is previewed, changed where it stands, sent when the day has come, and once more."""
    invoice = dana.draft("Training Day", 1, 1800)
    assert set(dana.offered()) == DRAFT
    dana.open(invoice)
    assert "would bill Globex 1,800.00 USD" in dana.ask("Preview Total", "draft-1-preview")
    expect(dana.shown("Previewed_Total__c")).to_have_text("1,800.00")
    dana.edit("draft-2-edit", PO_Number="PO-4711", Send_On=typed_day(1))
    expect(dana.shown("PO_Number__c")).to_have_text("PO-4711")
    dana.picture("draft-3-send-on")
    dana.story.run("send-scheduled")
    assert dana.record(invoice)["Status__c"] == "Draft"
    dana.edit(Send_On=typed_day(0))
    dana.story.run("send-scheduled")
    dana.sees("Status__c", "Open")
    assert dana.mails(invoice) == 1
    assert "was mailed" in dana.ask("Resend")
    assert dana.mails(invoice) == 2


def test_what_is_given_up_is_replaced_or_void(dana: Clerk) -> None:
    """Written off, a draft made in its place and deleted, void: each says what came of it."""
    invoice = sent(dana)
    assert set(dana.offered()) == OPEN
    dana.open(invoice)
    assert "is written off" in dana.ask("Write Off", "void-1-write-off")
    expect(dana.shown("Status__c")).to_have_text("Uncollectible")
    assert set(dana.offered()) == UNCOLLECTIBLE

    dana.open(invoice)
    assert f"is a draft in place of {invoice}" in dana.ask("Replace", "void-2-replace")
    dana.page.locator("#Replacements__r").get_by_role("link", name="INV-").click()
    expect(dana.shown("Status__c")).to_have_text("Draft")
    assert "is a draft like" in dana.ask("Clone Invoice")
    replacement = dana.page.url
    dana.begin("Delete Draft")
    dana.picture("void-3-delete-asks")
    dana.page.get_by_role("button", name="Delete Draft", exact=True).click()
    dana.until_gone(replacement)

    dana.open(invoice)
    assert dana.ask("Void", "void-4").startswith(f"Done: {invoice}")
    expect(dana.shown("Status__c")).to_have_text("Void")
    assert set(dana.offered()) == ALWAYS
    in_stripe = dana.in_stripe(invoice)
    assert (in_stripe.status, dana.mails(invoice)) == ("void", 1)
    dana.page.goto(str(in_stripe.hosted_invoice_url))
    expect(dana.page.get_by_role("button", name="Pay")).to_have_count(0)


def test_what_stripe_refuses_is_read_on_the_record(dana: Clerk) -> None:
    """A tax rate that Stripe does not know: the page says so, and a change of the draft helps."""
    invoice = dana.draft("Training Day", 1, 1800)
    dana.edit(Tax_Rates="txr_of_another_account")
    said = dana.ask("Send To Customer")
    assert said.startswith("Refused: ")
    assert "txr_of_another_account" in said
    expect(dana.shown("Status__c")).to_have_text("Draft")
    dana.picture("refused-2-stripe")
    dana.edit(Tax_Rates="")
    assert dana.ask("Send To Customer").startswith(f"Done: {invoice} over 1,800.00 USD was sent")
    assert dana.mails(invoice) == 1


def test_a_small_amount_is_asked_about(dana: Clerk) -> None:
    """Stripe collects nothing below 0.50 USD: refused unless it is meant, which one tick says."""
    invoice = dana.draft("Training Day", 1, 0.30)
    dana.begin("Send To Customer")
    tick = dana.page.get_by_label("Small amount is meant")
    expect(tick).to_be_visible()
    expect(dana.page.get_by_text("collects nothing below 0.50 USD")).to_be_visible()
    told = dana.confirm("Send To Customer")
    assert "press Preview Total, then Send To Customer, and tick" in told or not told
    assert dana.answer("Send To Customer").startswith("Refused: ")
    dana.begin("Send To Customer")
    tick.check()
    dana.picture("refused-3-small")
    dana.confirm("Send To Customer")
    said = dana.answer("Send To Customer")
    assert said.startswith(f"Done: {invoice} over 0.30 USD was sent"), said
    assert "goes onto the customer's next invoice" in said
    expect(dana.shown("Status__c")).to_have_text("Paid")

    dana.draft("Training Day", 1, 1800)
    dana.begin("Send To Customer")
    expect(dana.page.get_by_role("button", name="Send To Customer")).to_be_visible()
    expect(tick).to_have_count(0)

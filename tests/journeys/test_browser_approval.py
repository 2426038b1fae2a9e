"""Approval by people whom Salesforce knows, each in a browser of their own."""

import pytest
from playwright.sync_api import expect

from tests.journeys.browser_user import Clerk
from tests.journeys.conftest import LogIn

pytestmark = pytest.mark.long


def sent_for_approval(clerk: Clerk, account: str) -> str:
    """Raise an invoice above the limit, and send it: nobody is mailed; its name."""
    invoice = clerk.draft("Platform Licence", 1, 12_000, account)
    said = clerk.ask("Send To Customer")
    assert said.startswith(f"Done: {invoice} waits for approval over 12,000.00 USD")
    expect(clerk.shown("Approval_Status__c")).to_have_text("Waiting")
    assert clerk.mails(invoice) == 0
    return invoice


def test_an_approver_lets_a_large_invoice_out(log_in: LogIn) -> None:
    """Who raised it cannot let it out, who may approve cannot send; approved, it goes out."""
    una, ann = log_in("Una Sales", "Invoice_User"), log_in("Ann Ledger", "Invoice_Approver")
    invoice = sent_for_approval(una, "Acme Corporation")
    expect(una.shown("Sync_Message__c")).to_contain_text("somebody has to approve")
    una.picture("approval-1-waits")
    assert "Approve" not in una.offered()

    ann.page.goto(f"{ann.urls.salesforce}/lightning/o/Stripe_Invoice__c/list")
    ann.page.get_by_role("link", name="Waiting for approval").click()
    ann.picture("approval-2-list")
    ann.page.get_by_label("Notifications").click()
    ann.picture("approval-2-bell")
    ann.page.locator(".bell").get_by_role("link").first.click()
    assert ann.offered() == ["Approve", "Reject"]
    ann.picture("approval-3-hers")
    said = ann.ask("Approve", "approval-4", Comment="As agreed with Acme")
    assert said.startswith(f"Done: {invoice} over 12,000.00 USD was sent to Acme Corporation")
    expect(ann.shown("Approval_Status__c")).to_have_text("Approved")
    expect(ann.shown("Approved_By__c")).to_have_text("Ann Ledger")
    assert (ann.in_stripe(invoice).status, ann.mails(invoice)) == ("open", 1)


def test_an_approver_says_no(log_in: LogIn) -> None:
    """Nobody decides about their own; declined, it is changed, and sent after all."""
    max_both = log_in("Max Both", "Invoice_User", "Invoice_Approver")
    ann = log_in("Ann Chief", "Invoice_Approver")
    invoice = sent_for_approval(max_both, "Globex")
    said = max_both.ask("Approve", "approval-5-own")
    assert said.startswith(f"Refused: You raised {invoice}")
    expect(max_both.shown("Approval_Status__c")).to_have_text("Waiting")

    ann.open(invoice)
    said = ann.ask("Reject", "approval-6-reject", Comment="Globex has a discount")
    assert said == f"Done: {invoice} was declined by Ann Chief: Globex has a discount."
    max_both.open(invoice)
    expect(max_both.shown("Sync_Message__c")).to_contain_text("Globex has a discount")
    expect(max_both.shown("Approval_Status__c")).to_have_text("Declined")
    assert max_both.mails(invoice) == 0
    max_both.page.get_by_role("link", name="LINE-").first.click()
    max_both.edit(Unit_Price="9000")
    max_both.open(invoice)
    said = max_both.ask("Send To Customer")
    assert said.startswith(f"Done: {invoice} over 9,000.00 USD was sent to Globex")
    assert (max_both.in_stripe(invoice).status, max_both.mails(invoice)) == ("open", 1)

"""Invoices that somebody makes in Stripe: what the record cannot hold of them is never dropped."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from flows.clone_invoice import clone_invoice
from flows.poll_events import poll_events
from flows.preview_invoice import preview_invoice
from flows.replace_invoice import replace_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.domain.forms.parameters import InvoiceOutcome
from invoicing.errors import Conflict, Rejected
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org


@pytest.fixture
def reduced(sent: InvoiceOutcome, dashboard: stripe.StripeClient) -> str:
    """A draft of 1,000 less 20 %, plus 19 % of tax, with a footer: 952; Salesforce knows it."""
    v1 = dashboard.v1
    customer = str(v1.invoices.retrieve(sent.stripe_id).customer)
    coupon = v1.coupons.create({"percent_off": 20, "duration": "once"})
    vat = v1.tax_rates.create({"display_name": "VAT", "percentage": 19, "inclusive": False})
    made = v1.invoices.create(
        {
            "customer": customer,
            "collection_method": "send_invoice",
            "days_until_due": 14,
            "discounts": [{"coupon": coupon.id}],
            "default_tax_rates": [vat.id],
            "footer": "Thank you",
            "custom_fields": [{"name": "Ref", "value": "7"}],
        }
    )
    v1.invoices.add_lines(made.id, {"lines": [{"amount": 100000, "description": "Workshop"}]})
    poll_events()
    return made.id


@pytest.mark.parametrize(
    ("copy", "word", "instead"),
    [
        (lambda: clone_invoice("INV-0002", due_date=NEXT_MONTH), "cloned", "Copy it in Stripe's"),
        (lambda: replace_invoice("INV-0002"), "replaced", "Edit the invoice in Stripe's"),
    ],
    ids=["clone", "replace"],
)
def test_it_is_not_copied_into_something_else(
    reduced: str,
    org: Org,
    dashboard: stripe.StripeClient,
    copy: Callable[[], Any],
    word: str,
    instead: str,
) -> None:
    """A copy would ask for 1,000.00 without tax: refused, with what is missing and what to do."""
    dashboard.v1.invoices.finalize_invoice(reduced, {"auto_advance": False})
    poll_events()
    assert float(org.record("INV-0002")["Total__c"]) == 952
    with pytest.raises(Rejected) as refusal:
        copy()
    said = str(refusal.value)
    assert f"INV-0002 cannot be {word} from here" in said
    assert "a discount of 200.00 USD, 152.00 USD of tax" in said
    assert instead in said
    assert org.count() == 2


def test_a_draft_is_sent_as_it_stands(
    reduced: str, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """With its discount, tax and footer; the record shows what was mailed."""
    assert "952.00 USD: 1,000.00 USD for the lines, 200.00 USD discount, 152.00 USD tax" in (
        preview_invoice("INV-0002").sentence
    )
    assert "INV-0002 over 952.00 USD was sent to Acme" in send_invoice("INV-0002").sentence
    there = dashboard.v1.invoices.retrieve(reduced)
    assert (there.status, there.total, there.footer) == ("open", 95200, "Thank you")
    record = org.query(
        "SELECT Status__c, Total__c, Tax__c, Footer__c, Custom_Fields__c FROM Stripe_Invoice__c "
        "WHERE Name = 'INV-0002'"
    )[0]
    assert (record["Status__c"], record["Footer__c"]) == ("Open", "Thank you")
    assert record["Custom_Fields__c"] == "Ref: 7"
    assert (float(record["Total__c"]), float(record["Tax__c"])) == (952, 152)
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 2


def test_a_draft_that_changed_meanwhile_is_looked_at_first(
    reduced: str, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Salesforce has not heard of the new line; who sends has not seen it."""
    line: Any = {"amount": 5000, "description": "Travel"}
    dashboard.v1.invoices.add_lines(reduced, {"lines": [line]})
    with pytest.raises(Conflict, match=r"changed there since .* it comes to 999\.60 USD now"):
        send_invoice("INV-0002")
    assert org.record("INV-0002")["Sync_State__c"] == "Conflict"
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 1
    sync_invoice("INV-0002")
    assert org.record("INV-0002")["Sync_State__c"] == "Clean"
    assert "INV-0002 over 999.60 USD was sent" in send_invoice("INV-0002").sentence


def test_a_draft_is_edited_where_it_was_made(reduced: str, org: Org) -> None:
    """A revision in Salesforce would be undone by the next event."""
    with pytest.raises(Rejected, match="INV-0002 was made in Stripe and is changed there"):
        revise_invoice("INV-0002", description="Mine")


def test_what_the_record_holds_in_full_is_cloned(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Texts and lines come along, whoever made it."""
    customer = str(dashboard.v1.invoices.retrieve(sent.stripe_id).customer)
    made = dashboard.v1.invoices.create(
        {
            "customer": customer,
            "collection_method": "send_invoice",
            "days_until_due": 14,
            "footer": "Thank you",
            "custom_fields": [{"name": "PO number", "value": "4711"}],
        }
    )
    price: Any = {"currency": "usd", "unit_amount": 33350, "product_data": {"name": "Day"}}
    line: Any = {"description": "Day", "quantity": 3, "price_data": price}
    dashboard.v1.invoices.add_lines(made.id, {"lines": [line]})
    dashboard.v1.invoices.finalize_invoice(made.id)
    poll_events()
    clone = clone_invoice("INV-0002", due_date=NEXT_MONTH)
    fields = "Footer__c, PO_Number__c, (SELECT Quantity__c, Unit_Price__c FROM Lines__r)"
    [copied] = org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = '{clone.name}'")
    assert (copied["Footer__c"], copied["PO_Number__c"]) == ("Thank you", "4711")
    [day] = copied["Lines__r"]["records"]
    assert (float(day["Quantity__c"]), float(day["Unit_Price__c"])) == (3, 333.5)

"""What will it come to? Stripe is asked before anything is sent."""

from collections.abc import Callable

import pytest
import stripe

from flows.preview_invoice import preview_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem, Options
from invoicing.errors import Rejected
from tests.flows.conftest import Org

Raise = Callable[..., InvoiceOutcome]
FIELDS = "SELECT Previewed_Total__c, Previewed_Tax__c, Previewed_At__c FROM Stripe_Invoice__c"


def test_the_preview_is_what_is_billed(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Discounts, Stripe Tax and free text: on the record and in the sentence; then it is sent."""
    lines = [
        LineItem(product="Consulting", quantity="1.5", discount_percent="5"),
        LineItem(description="Travel", quantity="0.5", unit_price="66.67"),
    ]
    options = Options(discount_amount="20", stripe_tax="on")
    name = draft(account="Soylent GmbH", lines=lines, options=options).name
    preview = preview_invoice(name)
    # 199.50 less 17.14 and 33.34 less 2.86 of the discount, plus 34.65 and 5.79 tax
    assert preview.total == "253.28 EUR"
    assert "20.00 EUR discount, 40.44 EUR tax" in preview.sentence
    [record] = org.query(FIELDS)
    assert [float(record[f]) for f in ("Previewed_Total__c", "Previewed_Tax__c")] == [253.28, 40.44]
    assert dashboard.v1.invoices.list().data == []
    assert dashboard.v1.customers.list().data == []
    assert send_invoice(name).total == "253.28 EUR"


def test_pending_items_of_the_customer_are_not_in_it(
    draft: Raise, dashboard: stripe.StripeClient
) -> None:
    """Sending leaves them alone, and so does the preview."""
    send_invoice(draft().name)
    [customer] = dashboard.v1.customers.list().data
    dashboard.v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "usd"})
    assert preview_invoice(draft().name).total == "2,450.00 USD"


def test_a_revision_takes_the_preview_away(draft: Raise, org: Org) -> None:
    """A figure for other content than the record's would mislead."""
    name = draft().name
    preview_invoice(name)
    revise_invoice(invoice=name, remove=[2])
    [record] = org.query(FIELDS)
    assert [record[field] for field in ("Previewed_Total__c", "Previewed_At__c")] == [None, None]


def test_what_was_sent_has_no_preview(sent: InvoiceOutcome) -> None:
    """Its total is on the record."""
    with pytest.raises(Rejected, match="INV-0001 is Open; what it comes to is on the record"):
        preview_invoice(sent.name)

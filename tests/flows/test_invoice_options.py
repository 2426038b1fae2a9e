"""Everything an invoice may say reaches the customer, and can be revised until it is sent."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import stripe

from flows.clone_invoice import clone_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import CustomFieldItem, LineChange, LineItem, Options
from invoicing.domain.model.dates import end_of_day
from invoicing.errors import Rejected
from invoicing.settings import settings
from tasks.runtime.clock import today
from tests.conftest import Sandbox
from tests.flows.conftest import Org

Raise = Callable[..., InvoiceOutcome]

LINES = [
    LineItem(product="Consulting", quantity="2.5", discount_percent="10"),
    LineItem(description="Travel, as agreed", unit_price="99.99"),
    LineItem(product="API Requests", quantity="123456.789", unit_price="0.000123456789"),
    LineItem(product="Onboarding", discount_amount="500"),
]

EVERYTHING = Options(
    payment_terms="Net 45",
    po_number="PO-4711",
    footer="Thank you.\nPlease quote the number.",
    custom_fields=[CustomFieldItem(name="Project", value="Apollo: the second")],
    discount_percent="12.5",
    tax_rates=["VAT 19 %"],
    payment_methods=["card", "sepa_debit"],
    template="inrtem_123",
)


@pytest.fixture
def vat(dashboard: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tax rate that the settings know by its name."""
    rate = dashboard.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 19, "inclusive": False}
    )
    monkeypatch.setenv("INVOICING_STRIPE__TAX_RATES", f'{{"VAT 19 %": "{rate.id}"}}')
    settings.cache_clear()
    return rate.id


def only_invoice(dashboard: stripe.StripeClient) -> Any:
    """The one invoice in Stripe."""
    [invoice] = dashboard.v1.invoices.list({"expand": ["data.discounts"]}).data
    return invoice


def test_everything_at_once(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, vat: str
) -> None:
    """Terms, PO, fields, footer, discounts, tax rates, methods and template, to the cent."""
    raised = draft(due_date=None, lines=LINES, options=EVERYTHING)
    assert "due Net 45" in raised.sentence
    sent = send_invoice(raised.name)
    invoice = only_invoice(dashboard)
    assert invoice.due_date == end_of_day(today() + timedelta(days=45), settings().business.zone)
    assert [(f.name, f.value) for f in invoice.custom_fields] == [
        ("PO number", "PO-4711"),
        ("Project", "Apollo: the second"),
    ]
    assert invoice.footer == "Thank you.\nPlease quote the number."
    assert invoice.payment_settings.payment_method_types == ["card", "sepa_debit"]
    assert invoice.rendering.template == "inrtem_123"
    lines = dashboard.v1.invoices.line_items.list(invoice.id).data
    assert [line.amount for line in lines] == [37500, 9999, 1524, 250000]
    # 375.00 - 37.50, 99.99, 15.24, 2,500.00 - 500.00; then 12.5 % off each, and 19 % on each
    assert invoice.subtotal == 33750 + 9999 + 1524 + 200000
    nets = [29531, 8749, 1333, 175000]
    assert invoice.total_excluding_tax == sum(nets)
    assert invoice.total == sum(nets) + 5611 + 1662 + 253 + 33250
    assert sent.total == f"{invoice.total / 100:,.2f} USD"
    record = org.query(
        "SELECT Payment_Terms__c, Due_Date__c, Tax__c, Total__c FROM Stripe_Invoice__c"
    )[0]
    assert record["Payment_Terms__c"] == "Net 45"
    assert record["Due_Date__c"] == (today() + timedelta(days=45)).isoformat()
    assert round(float(record["Tax__c"]) * 100) == 5611 + 1662 + 253 + 33250


def test_a_coupon_is_made_once_for_the_same_terms(
    draft: Raise, dashboard: stripe.StripeClient
) -> None:
    """Two invoices with ten percent off share one coupon; an amount off has its own."""
    for options in (Options(discount_percent="10.0"), Options(discount_percent="10")):
        send_invoice(draft(options=options).name)
    send_invoice(draft(options=Options(discount_amount="50")).name)
    coupons = {c.id: (c.percent_off, c.amount_off) for c in dashboard.v1.coupons.list().data}
    assert coupons == {
        "salesforce_10_percent": (10, None),
        "salesforce_5000_usd": (None, 5000),
    }
    totals = [invoice.total for invoice in dashboard.v1.invoices.list().data]
    assert totals == [240000, 220500, 220500]


def test_stripe_tax_goes_by_the_accounts_address(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """A German customer gets German tax; one without an address is refused in words."""
    options = Options(stripe_tax="on")
    name = draft(account="Soylent GmbH", options=options).name
    send_invoice(name)
    invoice = only_invoice(dashboard)
    assert invoice.automatic_tax.enabled
    assert invoice.total == round(invoice.subtotal * 1.19)
    assert invoice.customer_address.country == "DE"
    from invoicing.connectors import salesforce

    [account] = org.query("SELECT Id FROM Account WHERE Name = 'Globex'")
    salesforce.client().update("Account", account["Id"], {"BillingCountry": "Atlantis"})
    with pytest.raises(Rejected, match="Stripe Tax needs to know where Globex is"):
        send_invoice(draft(account="Globex", options=options).name)


def test_revise_everything_and_clear_it_again(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, vat: str
) -> None:
    """Header and lines are changed, then emptied; what is sent is the last word."""
    name = draft().name
    revised = revise_invoice(
        invoice=name,
        change=[
            LineChange(line=1, discount_percent="50"),
            LineChange(line=2, product="Storage"),
        ],
        add=[LineItem(description="Extra", unit_price="1.005", quantity=3)],
        options=EVERYTHING,
    )
    # 225.00, 0.02 (0.023 rounded), 3.02 (3.015 rounded); less 28.13, 0.00 and 0.38
    assert revised.total == "199.53 USD"
    cleared = revise_invoice(
        invoice=name,
        change=[LineChange(line=1, clear=["discount"])],
        due_date=date.today() + timedelta(days=10),
        clear=["footer", "PO number", "custom fields", "discount", "tax rates"],
        options=Options(discount_amount="3.04"),
    )
    assert cleared.total == "450.00 USD"
    send_invoice(name)
    invoice = only_invoice(dashboard)
    assert (invoice.total, invoice.footer, invoice.custom_fields) == (45000, None, None)
    assert invoice.payment_settings.payment_method_types == ["card", "sepa_debit"]
    [record] = org.query("SELECT Payment_Terms__c, Discount_Percent__c FROM Stripe_Invoice__c")
    assert record == {**record, "Payment_Terms__c": None, "Discount_Percent__c": None}


def test_options_revised_between_two_tries_reach_stripe(
    draft: Raise, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The draft is in Stripe already when header and discounts change."""
    name = draft(options=EVERYTHING.model_copy(update={"tax_rates": []}), due_date=None).name
    rule = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    with pytest.raises(Rejected):
        send_invoice(name)
    assert only_invoice(dashboard).footer
    revise_invoice(
        invoice=name,
        change=[LineChange(line=1, discount_amount="50")],
        clear=["footer", "discount"],
        options=Options(po_number="PO-2", payment_terms="Net 15"),
    )
    send_invoice(name)
    invoice = only_invoice(dashboard)
    assert (invoice.total, invoice.footer or None) == (240000, None)
    assert invoice.custom_fields[0].value == "PO-2"
    assert invoice.due_date == end_of_day(today() + timedelta(days=15), settings().business.zone)


def test_a_price_of_twelve_decimals_is_exact_everywhere(draft: Raise, org: Org) -> None:
    """Salesforce numbers cannot hold it; the text beside it does, until somebody edits by hand."""
    from invoicing.connectors import salesforce
    from tasks.records.invoices import read_invoice

    raised = draft(
        lines=[
            LineItem(product="API Requests", unit_price="0.123456789012", quantity="1000000"),
            LineItem(description="Big", unit_price="1234567890.12"),
        ]
    )
    lines = read_invoice.fn(raised.record_id).lines
    assert [str(line.unit_price) for line in lines] == ["0.123456789012", "1234567890.12"]
    assert raised.total == "1,234,691,346.91 USD"
    salesforce.client().update(
        "Stripe_Invoice_Line__c", str(lines[0].record_id), {"Unit_Price__c": 0.2}
    )
    assert str(read_invoice.fn(raised.record_id).lines[0].unit_price) == "0.2"


def test_a_clone_of_a_sent_invoice_keeps_its_terms(draft: Raise, org: Org) -> None:
    """The due date that the terms came to belongs to the first; the clone's day is to come."""
    name = draft(due_date=None, options=Options(payment_terms="Net 30", po_number="7")).name
    send_invoice(name)
    assert org.query("SELECT Due_Date__c FROM Stripe_Invoice__c")[0]["Due_Date__c"]
    assert "Net 30" in str(clone_invoice(name).sentence)
    records = org.query(
        "SELECT Due_Date__c, Payment_Terms__c, PO_Number__c FROM Stripe_Invoice__c "
        "WHERE Status__c = 'Draft'"
    )
    assert [
        [r[f] for f in ("Due_Date__c", "Payment_Terms__c", "PO_Number__c")] for r in records
    ] == [[None, "Net 30", "7"]]


def test_charged_automatically(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Without a saved card it is refused before Stripe finalizes; with one it is paid at once."""
    name = draft(due_date=None, options=Options(collection="Charge Automatically")).name
    with pytest.raises(Rejected, match="no payment method saved in Stripe"):
        send_invoice(name)
    assert dashboard.v1.invoices.list().data == []
    [customer] = dashboard.v1.customers.list().data
    card = dashboard.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    dashboard.v1.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": card.id}}
    )
    sent = send_invoice(name)
    assert sent.status == "Paid"
    assert "was charged to Acme Corporation" in sent.sentence
    assert only_invoice(dashboard).collection_method == "charge_automatically"
    assert stripe_sandbox.admin("GET", "mail")["data"] == []
    assert org.record("INV-0001")["Status__c"] == "Paid"


def test_stripe_follows_the_payment_of_what_is_open_only(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses to follow what was paid at once, and what was charged is no failure for that."""
    monkeypatch.setenv("INVOICING_STRIPE__AUTO_ADVANCE", "true")
    settings.cache_clear()
    mailed = send_invoice(draft().name)
    assert dashboard.v1.invoices.retrieve(mailed.stripe_id).auto_advance is True
    [customer] = dashboard.v1.customers.list().data
    card = dashboard.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    dashboard.v1.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": card.id}}
    )
    options = Options(collection="Charge Automatically")
    charged = send_invoice(draft(due_date=None, options=options).name)
    record = org.record(charged.name)
    assert (record["Status__c"], record["Sync_State__c"]) == ("Paid", "Clean")


def test_an_answer_lost_while_charging_charges_once(
    draft: Raise, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Stripe charged, and the answer never came."""
    name = draft(due_date=None, options=Options(collection="Charge Automatically")).name
    with pytest.raises(Rejected):
        send_invoice(name)
    [customer] = dashboard.v1.customers.list().data
    card = dashboard.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    dashboard.v1.customers.update(
        customer.id, {"invoice_settings": {"default_payment_method": card.id}}
    )
    rule = {"kind": "lost", "method": "POST", "path": "*/pay", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    assert send_invoice(name).status == "Paid"
    assert len(dashboard.v1.charges.list().data) == 1

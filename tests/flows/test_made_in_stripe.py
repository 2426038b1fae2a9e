"""Invoices that somebody makes in Stripe: what the record cannot hold of them is never dropped."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from flows.clone_invoice import clone_invoice
from flows.poll_events import poll_events
from flows.preview_invoice import preview_invoice
from flows.replace_invoice import replace_invoice
from flows.resend_invoice import resend_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import Conflict, InvoicingError, Rejected
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


def read_of(invoice: Any) -> dict[str, Any]:
    """What a customer reads on an invoice in Stripe, and what they are asked for."""
    return {
        "sums": (invoice.subtotal, invoice.total, invoice.amount_due),
        "off": sum(one.amount for one in invoice.total_discount_amounts or ()),
        "taxes": sorted(
            (tax.tax_rate_details.tax_rate, tax.amount, tax.tax_behavior)
            for tax in invoice.total_taxes or ()
        ),
        "texts": (invoice.description or None, invoice.footer or None),
        "custom fields": [(one.name, one.value) for one in invoice.custom_fields or ()],
        "payment": invoice.payment_settings.payment_method_types or None,
        "lines": sorted(
            (line.description, line.quantity, line.amount, len(line.discounts))
            for line in invoice.lines.data
        ),
    }


COPIES: Any = [
    pytest.param(lambda: clone_invoice("INV-0002", due_date=NEXT_MONTH).name, id="clone"),
    pytest.param(lambda: replace_invoice("INV-0002", due_date=NEXT_MONTH).name, id="replace"),
]
"""The two ways in which one invoice is made of another."""

COPIES_OF_OURS: Any = [
    pytest.param(lambda name: clone_invoice(name).name, id="clone"),
    pytest.param(lambda name: replace_invoice(name).name, id="replace"),
]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_bills_the_same(
    reduced: str, org: Org, dashboard: stripe.StripeClient, copy: Callable[[], str]
) -> None:
    """Discount, tax, footer and custom fields come along, where people see and change them."""
    dashboard.v1.invoices.finalize_invoice(reduced, {"auto_advance": False})
    poll_events()
    name = copy()
    fields = "Discount_Percent__c, Tax_Rates__c, Footer__c, Custom_Fields__c, Total__c"
    [draft] = org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = '{name}'")
    there = dashboard.v1.invoices.retrieve(reduced)
    assert draft["Tax_Rates__c"] == (there.default_tax_rates or [])[0].id
    assert (draft["Footer__c"], draft["Custom_Fields__c"]) == ("Thank you", "Ref: 7")
    assert (float(draft["Discount_Percent__c"]), float(draft["Total__c"])) == (20, 800)
    sent = send_invoice(name)
    assert f"{name} over 952.00 USD was sent to Acme" in sent.sentence
    assert read_of(dashboard.v1.invoices.retrieve(sent.stripe_id)) == read_of(there)


def test_what_somebody_else_made_final_is_not_sent_unasked(
    reduced: str, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Raised and made final in Stripe, and its record still says Draft: nobody here has seen it."""
    before = len(stripe_sandbox.admin("GET", "mail")["data"])
    line: Any = {"amount": 50_000, "description": "Travel"}
    dashboard.v1.invoices.add_lines(reduced, {"lines": [line]})
    dashboard.v1.invoices.finalize_invoice(reduced, {"auto_advance": False})
    for _ in range(2):
        with pytest.raises(Conflict, match="somebody made it final in Stripe"):
            send_invoice("INV-0002")
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == before
    sync_invoice("INV-0002")
    resend_invoice("INV-0002")
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == before + 1


def made(dashboard: stripe.StripeClient, like: str, lines: Any, **more: Any) -> str:
    """An open invoice that somebody made in Stripe, for the customer of another."""
    v1 = dashboard.v1
    header: Any = {
        "customer": str(v1.invoices.retrieve(like).customer),
        "collection_method": "send_invoice",
        "days_until_due": 14,
        **more,
    }
    invoice = v1.invoices.create(header)
    v1.invoices.add_lines(invoice.id, {"lines": lines})
    v1.invoices.finalize_invoice(invoice.id, {"auto_advance": False})
    poll_events()
    return invoice.id


@pytest.mark.parametrize("copy", COPIES)
def test_what_stands_on_single_lines_comes_along(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, copy: Callable[[], str]
) -> None:
    """A percentage, an amount, a tax that the prices include; the same rate on every line."""
    v1 = dashboard.v1
    percent = v1.coupons.create({"percent_off": 12.5, "duration": "once"}).id
    amount = v1.coupons.create({"amount_off": 333, "currency": "usd", "duration": "once"}).id
    rate: Any = {"display_name": "VAT", "percentage": 7, "inclusive": True}
    taxed = {"tax_rates": [v1.tax_rates.create(rate).id]}
    lines = [
        {"amount": 9999, "description": "Workshop", "discounts": [{"coupon": percent}], **taxed},
        {"amount": 5000, "description": "Travel", "discounts": [{"coupon": amount}], **taxed},
        {"amount": 700, "description": "Lunch", **taxed},
    ]
    original = made(dashboard, sent.stripe_id, lines, description="May")
    again = send_invoice(copy()).stripe_id
    assert read_of(v1.invoices.retrieve(again)) == read_of(v1.invoices.retrieve(original))


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_made_of_what_was_billed(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, copy: Callable[[], str]
) -> None:
    """Whatever somebody has written into the record since, and no sync has put right yet."""
    lines = [{"amount": 10000, "description": "Workshop"}]
    original = made(dashboard, sent.stripe_id, lines, footer="Thank you")
    org.set("INV-0002", Footer__c="Mine", PO_Number__c="4711", Discount_Percent__c=50)
    line = org.record("INV-0002")["Lines__r"]["records"][0]["Id"]
    salesforce.client().update("Stripe_Invoice_Line__c", line, {"Unit_Price__c": 1})
    again = send_invoice(copy()).stripe_id
    v1 = dashboard.v1.invoices
    assert read_of(v1.retrieve(again)) == read_of(v1.retrieve(original))


@pytest.mark.parametrize("copy", COPIES_OF_OURS)
def test_a_copy_of_ours_is_made_of_what_was_billed(
    draft: Callable[..., InvoiceOutcome],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    copy: Callable[[str], str],
) -> None:
    """Somebody gave our draft 10 % in Stripe and finalized it there; Salesforce has not heard."""
    name, v1 = draft().name, dashboard.v1
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(name)
    [there] = v1.invoices.list().data
    coupon = v1.coupons.create({"percent_off": 10, "duration": "once"}).id
    v1.invoices.update(there.id, {"discounts": [{"coupon": coupon}]})
    v1.invoices.finalize_invoice(there.id, {"auto_advance": False})
    again = send_invoice(copy(name)).stripe_id
    assert read_of(v1.invoices.retrieve(again)) == read_of(v1.invoices.retrieve(there.id))


@pytest.mark.parametrize(
    "kind", ["two discounts", "mixed taxes", "Stripe Tax", "shipping", "period", "card", "text"]
)
@pytest.mark.parametrize(
    ("copy", "word", "instead"),
    [
        (lambda: clone_invoice("INV-0002", due_date=NEXT_MONTH), "cloned", "Copy it in Stripe's"),
        (lambda: replace_invoice("INV-0002"), "replaced", "Edit the invoice in Stripe's"),
    ],
    ids=["clone", "replace"],
)
def test_what_no_record_can_hold_is_not_copied(
    sent: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    kind: str,
    copy: Callable[[], Any],
    word: str,
    instead: str,
) -> None:
    """The copy would be another invoice: refused, with what is in the way and what to do."""
    v1 = dashboard.v1
    coupons = [v1.coupons.create({"percent_off": n, "duration": "once"}).id for n in (5, 10)]
    rate: Any = {"display_name": "VAT", "percentage": 19, "inclusive": False}
    vat = v1.tax_rates.create(rate).id
    v1.customers.update(
        str(v1.invoices.retrieve(sent.stripe_id).customer),
        {"address": {"country": "DE", "postal_code": "10115"}},
    )
    line: Any = {"amount": 100000, "description": "Workshop"}
    other: Any = {"amount": 100, "description": "Travel"}
    shipping = {"name": "Ann", "address": {"country": "DE", "line1": "Am Ufer 1"}}
    cases: dict[str, tuple[list[Any], dict[str, Any], str]] = {
        "two discounts": (
            [line],
            {"discounts": [{"coupon": one} for one in coupons]},
            r"several discounts at once, of 145\.00 USD",
        ),
        "mixed taxes": ([line | {"tax_rates": [vat]}, other], {}, "taxes that differ by line"),
        "Stripe Tax": ([line], {"automatic_tax": {"enabled": True}}, "Stripe Tax, on products"),
        "shipping": ([line], {"shipping_details": shipping}, "an address that it is shipped to"),
        "period": (
            [line | {"period": {"start": 1_790_000_000, "end": 1_792_000_000}}],
            {},
            "periods of time that its lines are for",
        ),
        "card": ([line], {"statement_descriptor": "ACME MAY"}, "a text of its own on statements"),
        "text": ([line | {"description": "x" * 300}], {}, "more than 255 characters"),
    }
    lines, header, said = cases[kind]
    made(dashboard, sent.stripe_id, lines, **header)
    with pytest.raises(Rejected, match=said) as refusal:
        copy()
    assert "INV-0002 cannot be" in str(refusal.value) or kind == "text"
    if kind != "text":
        assert word in str(refusal.value)
        assert instead in str(refusal.value)
    assert org.count() == 2


@pytest.mark.parametrize(
    ("word", "changed"),
    [
        ("footer", {"footer": "Pay soon"}),
        ("custom field 'Ref'", {"custom_fields": [{"name": "Ref", "value": "9"}]}),
        ("tax rates", {"default_tax_rates": ["vat"]}),
        ("discounts", {"discounts": [{"coupon": "half"}]}),
        ("payment methods", {"payment_settings": {"payment_method_types": ["sepa_debit"]}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_our_draft_says_what_the_record_says_when_it_is_sent(
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    word: str,
    changed: dict[str, Any],
) -> None:
    """Somebody changed its header in Stripe: ours is edited in Salesforce, and says so."""
    name, v1 = draft().name, dashboard.v1
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(name)
    [there] = v1.invoices.list().data
    v1.coupons.create({"id": "half", "percent_off": 50, "duration": "once"})
    rate: Any = {"display_name": "VAT", "percentage": 19, "inclusive": False}
    if "default_tax_rates" in changed:
        changed = {"default_tax_rates": [v1.tax_rates.create(rate).id]}
    params: Any = changed
    v1.invoices.update(there.id, params)
    send_invoice(name)
    after = v1.invoices.retrieve(there.id)
    assert read_of(after) == read_of(there)
    assert (after.status, after.collection_method) == ("open", "send_invoice")
    told = [row["What__c"] for row in org.query("SELECT What__c FROM Stripe_Invoice_Event__c")]
    assert f"Changed in Stripe, and put back to what the record says: {word}" in told


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
        "SELECT Status__c, Total__c, Tax__c, Footer__c, Custom_Fields__c, Amount_Discounted__c "
        "FROM Stripe_Invoice__c WHERE Name = 'INV-0002'"
    )[0]
    assert (record["Status__c"], record["Footer__c"]) == ("Open", "Thank you")
    assert record["Custom_Fields__c"] == "Ref: 7"
    assert (float(record["Total__c"]), float(record["Tax__c"])) == (952, 152)
    assert float(record["Amount_Discounted__c"]) == 200
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

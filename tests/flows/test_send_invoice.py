"""A draft is sent: Stripe and Salesforce agree, and the customer has one mail."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import stripe

import flows.send_invoice as sending
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineChange, LineItem
from invoicing.domain.model.amount_due import AmountDue
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.stripe.canonical_page_links import page_of
from invoicing.errors import Conflict, InvoicingError, Rejected
from invoicing.settings import settings
from tasks.sending.compare_draft import compare_totals
from tests.conftest import Sandbox
from tests.flows.conftest import Org

Raise = Callable[..., InvoiceOutcome]


def mails(sandbox: Sandbox) -> list[str]:
    """Who has had mail."""
    return [mail["to"] for mail in sandbox.admin("GET", "mail")["data"]]


def test_sent_means_open_on_both_sides_and_one_mail(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Number, links, amounts and customer are on the record; the mail is out."""
    sent = send_invoice(draft().name)
    record = org.record("INV-0001")
    [invoice] = dashboard.v1.invoices.list().data
    assert (record["Status__c"], invoice.status) == ("Open", "open")
    assert record["Sync_State__c"] == "Clean"
    assert record["Number__c"] == invoice.number
    assert page_of(record["Hosted_Invoice_URL__c"]) == page_of(invoice.hosted_invoice_url or "")
    assert page_of(record["Invoice_PDF__c"]) == page_of(invoice.invoice_pdf or "")
    assert float(record["Total__c"]) == invoice.total / 100 == 2450
    assert record["Sent_At__c"] is not None
    [customer] = dashboard.v1.customers.list().data
    assert record["Account__r"]["Stripe_Customer_Id__c"] == customer.id
    assert mails(stripe_sandbox) == ["billing@acme.example.com"]
    assert sent.sentence.startswith("INV-0001 over 2,450.00 USD was sent to Acme Corporation")


def test_the_second_invoice_goes_to_the_same_customer(
    draft: Raise, dashboard: stripe.StripeClient
) -> None:
    """One Account, one Stripe customer; one product, one Stripe product."""
    send_invoice(draft().name)
    send_invoice(draft().name)
    assert len(dashboard.v1.customers.list().data) == 1
    assert len(dashboard.v1.products.list().data) == 2
    assert len(dashboard.v1.invoices.list().data) == 2


def test_pressing_send_again_mails_nobody(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """A second send is refused with a sentence, and the record stays in step."""
    with pytest.raises(Rejected, match="INV-0001 is Open, and only a draft can be sent"):
        send_invoice(sent.name)
    record = org.record("INV-0001")
    assert record["Sync_State__c"] == "Clean"
    assert "only a draft can be sent" in record["Sync_Message__c"]
    assert len(mails(stripe_sandbox)) == 1


def test_a_void_invoice_is_not_said_to_be_mailed_again(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient
) -> None:
    """Whoever follows the advice of a refusal is not refused again."""
    dashboard.v1.invoices.void_invoice(sent.stripe_id)
    sync_invoice(sent.name)
    with pytest.raises(Rejected, match="is Void, and only a draft can be sent") as refusal:
        send_invoice(sent.name)
    assert "Resend" not in str(refusal.value)
    assert "raise a new invoice" in str(refusal.value)


def test_without_lines_or_address_or_time_it_is_refused_with_all_reasons(
    org: Org, dashboard: stripe.StripeClient
) -> None:
    """Three things are missing; all three are said, on the run and on the record."""
    account = org.query("SELECT Id FROM Account WHERE Name = 'Vandelay Industries'")[0]["Id"]
    yesterday = (date.today() - timedelta(days=2)).isoformat()
    fields = {"Account__c": account, "Currency__c": "USD", "Due_Date__c": yesterday}
    salesforce.client().write_graph(
        [
            {
                "method": "POST",
                "path": "sobjects/Stripe_Invoice__c",
                "referenceId": "invoice",
                "body": fields,
            }
        ]
    )
    with pytest.raises(Rejected) as refusal:
        send_invoice("INV-0001")
    record = org.record("INV-0001")
    for part in ("has no lines", "no e-mail address", "has passed"):
        assert part in str(refusal.value)
        assert part in record["Sync_Message__c"]
    assert (record["Status__c"], record["Sync_State__c"]) == ("Draft", "Failed")
    assert dashboard.v1.customers.list().data == []


def test_a_refused_draft_can_be_put_right_and_sent(draft: Raise, org: Org) -> None:
    """The message goes away once the reason does."""
    name = draft(account="Vandelay Industries").name
    with pytest.raises(Rejected, match="no e-mail address"):
        send_invoice(name)
    account = org.query("SELECT Id FROM Account WHERE Name = 'Vandelay Industries'")[0]["Id"]
    salesforce.client().update("Account", account, {"Invoice_Email__c": "art@vandelay.example.com"})
    send_invoice(name)
    record = org.record("INV-0001")
    assert (record["Sync_State__c"], record["Sync_Message__c"]) == ("Clean", None)


def test_two_of_one_account_go_each_to_its_own_address(
    draft: Raise, org: Org, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is on its way, another for the same customer is sent to somebody else."""
    first, second = draft().name, draft().name
    org.set(second, Bill_To__c=contact(org, "Acme Corporation", "ann@acme.example.com"))
    seen: list[str] = []

    def meanwhile(stripe_id: str, content: Invoice, customer_id: str) -> AmountDue:
        asked = compare_totals(stripe_id, content, customer_id)
        seen.append(content.name)
        if seen == [first]:
            send_invoice(second)
        return asked

    monkeypatch.setattr(sending, "compare_totals", meanwhile)
    send_invoice(first)
    assert seen == [first, second]
    assert sorted(mails(stripe_sandbox)) == ["ann@acme.example.com", "billing@acme.example.com"]


def contact(org: Org, account: str, email: str) -> str:
    """Somebody at an Account who can be billed; returns the id."""
    [found] = org.query(f"SELECT Id FROM Account WHERE Name = '{account}'")
    body = {"AccountId": found["Id"], "LastName": "Payer", "Email": email}
    node = {"method": "POST", "path": "sobjects/Contact", "referenceId": "payer", "body": body}
    return str(salesforce.client().write_graph([node])["payer"]["id"])


def test_moved_to_another_account_after_a_first_try(
    draft: Raise, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Stripe's draft is the first customer's for ever: it is billed to nobody."""
    name = draft().name
    org.set(name, Bill_To__c=contact(org, "Acme Corporation", "ann@acme.example.com"))
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(name)
    [other] = org.query("SELECT Id FROM Account WHERE Name = 'Vandelay Industries'")
    org.set(name, Account__c=other["Id"])
    with pytest.raises(Conflict, match="made for another customer than Vandelay Industries"):
        send_invoice(name)
    assert mails(stripe_sandbox) == []


def test_there_is_no_such_invoice() -> None:
    """A wrong name is a clear sentence."""
    with pytest.raises(Rejected, match="There is no invoice 'INV-9999' in Salesforce"):
        send_invoice("INV-9999")


def test_somebody_added_a_line_in_the_dashboard(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The totals no longer match: nobody is mailed, and a person decides."""
    name = draft().name
    stripe_sandbox.admin(
        "POST",
        "faults",
        rules=[{"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}],
    )
    with pytest.raises(InvoicingError):
        send_invoice(name)
    [invoice] = dashboard.v1.invoices.list().data
    dashboard.v1.invoices.update(invoice.id, {"description": "Ours", "footer": "By hand"})
    dashboard.v1.invoice_items.create(
        {
            "customer": str(invoice.customer),
            "invoice": invoice.id,
            "amount": 500,
            "currency": "usd",
            "description": "Surprise",
        }
    )
    with pytest.raises(Conflict, match="Somebody added lines"):
        send_invoice(name)
    assert org.record("INV-0001")["Sync_State__c"] == "Conflict"
    assert dashboard.v1.invoices.retrieve(invoice.id).footer == "By hand"
    assert mails(stripe_sandbox) == []


def test_revised_between_two_tries(
    draft: Raise, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """What goes out is what the record says when it is sent, not when it was first tried."""
    name = draft().name
    stripe_sandbox.admin(
        "POST",
        "faults",
        rules=[{"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}],
    )
    with pytest.raises(InvoicingError):
        send_invoice(name)
    revise_invoice(invoice=name, add=[LineItem(product="Training Day")], remove=[1])
    send_invoice(name)
    [invoice] = dashboard.v1.invoices.list().data
    assert invoice.total == 380000
    assert len(mails(stripe_sandbox)) == 1


@pytest.mark.parametrize("by_hand", [False, True], ids=["revised", "changed in Stripe"])
def test_the_same_sum_of_something_else_is_no_match(
    draft: Raise, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox, by_hand: bool
) -> None:
    """Two halves of one product, then a whole of another under the same text: each has its tax."""
    halves = LineItem(product="Consulting", description="Work", quantity=2, unit_price="50")
    name = draft(lines=[halves]).name
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(name)
    [there] = dashboard.v1.invoices.list().data
    [before] = there.lines.data
    if by_hand:
        vat = {"display_name": "VAT", "percentage": 0, "inclusive": False}
        rate = dashboard.v1.tax_rates.create(vat)  # type: ignore[arg-type]
        change: Any = {"id": before.id, "tax_rates": [rate.id]}
        dashboard.v1.invoices.update_lines(there.id, {"lines": [change]})
    else:
        whole = LineChange(line=1, product="Onboarding", quantity="1", unit_price="100")
        revise_invoice(name, change=[whole])
    send_invoice(name)
    [invoice] = dashboard.v1.invoices.list().data
    [line] = invoice.lines.data
    assert (invoice.status, line.description, line.amount) == ("open", "Work", 10000)
    assert not line.taxes
    assert line.pricing
    assert line.pricing.price_details
    assert before.pricing
    assert before.pricing.price_details
    same = line.pricing.price_details.product == before.pricing.price_details.product
    assert (same, str(line.quantity_decimal)) == ((True, "2") if by_hand else (False, "1"))


CALLS = [
    ("customers", "POST", "/v1/customers"),
    ("products", "POST", "/v1/products"),
    ("create", "POST", "/v1/invoices"),
    ("lines", "POST", "*/add_lines"),
    ("finalize", "POST", "*/finalize"),
    ("send", "POST", "*/send"),
]


@pytest.mark.parametrize("kind", ["lost", "reset", "fail_after", "refuse"])
@pytest.mark.parametrize(("call", "method", "path"), CALLS, ids=[call[0] for call in CALLS])
def test_trouble_at_any_call_bills_and_mails_once(
    draft: Raise,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    call: str,
    method: str,
    path: str,
    kind: str,
) -> None:
    """Whatever happens to one answer, before or after the effect, the end is the same."""
    name = draft().name
    rule = {"kind": kind, "method": method, "path": path, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    send_invoice(name)
    [invoice] = dashboard.v1.invoices.list().data
    assert (invoice.status, invoice.total) == ("open", 245000)
    assert len(dashboard.v1.customers.list().data) == 1
    assert len(mails(stripe_sandbox)) == 1
    assert org.record("INV-0001")["Status__c"] == "Open"


def product_called(dashboard: stripe.StripeClient, name: str) -> stripe.Product:
    """A product of the catalogue by its name."""
    [found] = [each for each in dashboard.v1.products.list().data if each.name == name]
    return found


def test_a_product_that_was_deleted_in_stripe_is_made_again(
    draft: Raise, dashboard: stripe.StripeClient
) -> None:
    """Whoever tidied up in Stripe stops no later invoice."""
    send_invoice(draft().name)
    gone = product_called(dashboard, "Consulting").id
    dashboard.v1.products.delete(gone)
    assert send_invoice(draft().name).status == "Open"
    assert product_called(dashboard, "Consulting").id == gone


def test_a_product_that_was_archived_in_stripe(
    draft: Raise, dashboard: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused in words before there is a draft; unarchived where the settings say so."""
    send_invoice(draft().name)
    for name in ("Consulting", "Onboarding"):
        product = product_called(dashboard, name)
        dashboard.v1.products.update(product.id, {"active": False})
    name = draft().name
    with pytest.raises(Rejected) as refusal:
        send_invoice(name)
    said = [reason.partition(" in Stripe")[0] for reason in refusal.value.reasons]
    assert said == ["Consulting is archived", "Onboarding is archived"]
    assert len(dashboard.v1.invoices.list().data) == 1
    monkeypatch.setenv("INVOICING_STRIPE__UNARCHIVE_PRODUCTS", "true")
    settings.cache_clear()
    assert send_invoice(name).status == "Open"
    assert product_called(dashboard, "Consulting").active

"""All that a record shows of Stripe is compared and put right: every field, and the lines."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from flows.full_sync import full_sync
from flows.poll_events import poll_events
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem
from invoicing.domain.salesforce import record
from invoicing.errors import InvoicingError
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org

Raise = Callable[..., InvoiceOutcome]
PutRight = Callable[[str], str]

BY_ALL = pytest.mark.parametrize(
    "put_right",
    [lambda _: full_sync().sentence, lambda name: sync_invoice(name).sentence],
    ids=["full-sync", "sync-invoice"],
)
"""Told by the comparison of everything, and by one invoice's own."""


def shown(org: Org, name: str) -> dict[str, Any]:
    """All that a record mirrors, in a form in which the same is the same."""
    fields = ", ".join(record.MIRRORED_FIELDS)
    [found] = org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = '{name}'")
    return {field: record.comparable(field, found[field]) for field in record.MIRRORED_FIELDS}


def lines_of(org: Org, name: str) -> list[tuple[str, float, float]]:
    """Text, quantity and amount of a record's lines, in an order of their own."""
    return sorted(
        (line["Description__c"] or "", float(line["Quantity__c"]), float(line["Amount__c"]))
        for line in (org.record(name)["Lines__r"] or {"records": []})["records"]
    )


@BY_ALL
def test_whatever_is_overwritten_in_salesforce_is_put_right(
    sent: InvoiceOutcome, org: Org, put_right: PutRight
) -> None:
    """Dates, links, amounts, texts, customer and account alike; then nothing differs."""
    before = shown(org, sent.name)
    org.set(
        sent.name,
        Due_Date__c="2031-01-01",
        Hosted_Invoice_URL__c="https://example.com",
        Invoice_PDF__c=None,
        Amount_Due__c=1,
        Tax__c=7,
        Subtotal__c=1,
        Amount_Refunded__c=9,
        Dispute_Status__c="Lost",
        Payment_Problem__c="Declined",
        Stripe_Customer_Id__c="cus_other",
        Stripe_Account_Id__c="acct_other",
        Description__c="Something else",
        Footer__c="Not on the invoice",
        PO_Number__c="4711",
        Custom_Fields__c="Ref: 1",
        Finalized_At__c="2020-01-01T00:00:00Z",
        Collection_Method__c="Charge Automatically",
        Livemode__c=False,
    )
    said = put_right(sent.name)
    assert "1 repaired" in said or "was brought up to date" in said
    assert shown(org, sent.name) == before
    assert full_sync().sentence == "1 invoice compared, 0 differed."


@BY_ALL
def test_lines_changed_in_salesforce_are_put_right(
    sent: InvoiceOutcome, org: Org, put_right: PutRight
) -> None:
    """One overwritten, one deleted, one added: the customer was billed for others."""
    fields = "Product__r.Name, Quantity__c, Unit_Price__c, Amount__c"
    query = f"SELECT {fields} FROM Stripe_Invoice_Line__c ORDER BY Amount__c"
    before = [dict(line, attributes=None) for line in org.query(query)]
    first, second = org.record(sent.name)["Lines__r"]["records"]
    client = salesforce.client()
    client.update("Stripe_Invoice_Line__c", first["Id"], {"Quantity__c": 2, "Amount__c": 300})
    client.delete("Stripe_Invoice_Line__c", second["Id"])
    new = {"Invoice__c": sent.record_id, "Description__c": "New", "Quantity__c": 1}
    path, body = "sobjects/Stripe_Invoice_Line__c", new | {"Unit_Price__c": 5, "Amount__c": 5}
    client.write_graph([{"method": "POST", "path": path, "referenceId": "new", "body": body}])
    said = put_right(sent.name)
    assert "1 repaired" in said or said == "INV-0001 was brought up to date: lines."
    assert [dict(line, attributes=None) for line in org.query(query)] == before
    assert full_sync().sentence == "1 invoice compared, 0 differed."


@pytest.mark.parametrize("other", ["none", "another"])
@BY_ALL
def test_the_product_of_a_sent_line_is_put_right(
    draft: Raise, org: Org, put_right: PutRight, other: str
) -> None:
    """Somebody cleared it, or chose another; the line has a text of its own, which stays."""
    items = [
        LineItem(product="Consulting", description="Advice"),
        LineItem(product="Onboarding", description="First steps"),
    ]
    name = send_invoice(draft(lines=items).name).name
    query = "SELECT Id, Product__c FROM Stripe_Invoice_Line__c ORDER BY Position__c"
    consulting, onboarding = (line["Product__c"] for line in org.query(query))
    line = org.query(query)[0]["Id"]
    wrong = {"none": None, "another": onboarding}[other]
    salesforce.client().update("Stripe_Invoice_Line__c", line, {"Product__c": wrong})
    said = put_right(name)
    assert "1 repaired" in said or said == "INV-0001 was brought up to date: lines."
    assert [one["Product__c"] for one in org.query(query)] == [consulting, onboarding]
    assert full_sync().sentence == "1 invoice compared, 0 differed."


@BY_ALL
def test_a_product_that_was_deleted_in_salesforce_is_gone_from_its_lines(
    draft: Raise, org: Org, put_right: PutRight
) -> None:
    """Salesforce cleared it on the line of a sent invoice, and nobody can write it again."""
    items = [LineItem(product="Consulting", description="Advice"), LineItem(product="Onboarding")]
    name = send_invoice(draft(lines=items).name).name
    query = "SELECT Product__c FROM Stripe_Invoice_Line__c ORDER BY Position__c"
    consulting, onboarding = (line["Product__c"] for line in org.query(query))
    delete_product(org, consulting)
    assert [line["Product__c"] for line in org.query(query)] == [None, onboarding]
    put_right(name)
    assert [line["Product__c"] for line in org.query(query)] == [None, onboarding]
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    assert sync_invoice(name).sentence == "INV-0001 was in step already."


@BY_ALL
def test_a_record_is_made_again_without_a_product_that_is_gone(
    draft: Raise, org: Org, put_right: PutRight
) -> None:
    """The record of a sent invoice was deleted, and one of its products too."""
    items = [LineItem(product="Consulting", description="Advice"), LineItem(product="Onboarding")]
    sent = send_invoice(draft(lines=items).name)
    query = "SELECT Product__c FROM Stripe_Invoice_Line__c ORDER BY Position__c"
    consulting, onboarding = (line["Product__c"] for line in org.query(query))
    delete_product(org, consulting)
    salesforce.client().delete("Stripe_Invoice__c", sent.record_id)
    put_right(sent.stripe_id)
    assert [line["Product__c"] for line in org.query(query)] == [None, onboarding]
    full_sync()
    assert full_sync().sentence == "1 invoice compared, 0 differed."


def delete_product(org: Org, product: str) -> None:
    """Delete a product, and take it off Opportunities, which hold it back."""
    client = salesforce.client()
    for sold in org.query(f"SELECT Id FROM OpportunityLineItem WHERE Product2Id = '{product}'"):
        client.delete("OpportunityLineItem", sold["Id"])
    client.delete("Product2", product)


def test_what_people_say_of_a_line_that_was_made_in_stripe_stays(
    made_in_stripe: str, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Its product is one of Stripe's own: which of Salesforce's that is, only they know."""
    lines: Any = [{"amount": 9900, "description": "Workshop"}]
    dashboard.v1.invoices.add_lines(made_in_stripe, {"lines": lines})
    dashboard.v1.invoices.finalize_invoice(made_in_stripe)
    poll_events()
    [product] = org.query("SELECT Id FROM Product2 WHERE Name = 'Consulting'")
    [line] = org.record("INV-0002")["Lines__r"]["records"]
    client = salesforce.client()
    client.update("Stripe_Invoice_Line__c", line["Id"], {"Product__c": product["Id"]})
    assert sync_invoice("INV-0002").sentence == "INV-0002 was in step already."
    assert full_sync().sentence == "2 invoices compared, 0 differed."


@pytest.fixture
def made_in_stripe(sent: InvoiceOutcome, dashboard: stripe.StripeClient) -> str:
    """An empty draft that somebody began in the dashboard, and Salesforce heard of."""
    customer = str(dashboard.v1.invoices.retrieve(sent.stripe_id).customer)
    made = dashboard.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 14}
    )
    poll_events()
    return made.id


@pytest.mark.parametrize("many", [False, True], ids=["one by one", "in bulk"])
@BY_ALL
def test_lines_added_in_stripe_after_the_record_was_made(
    made_in_stripe: str,
    org: Org,
    dashboard: stripe.StripeClient,
    put_right: PutRight,
    many: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The events are lost; the record has the lines that make up its total nevertheless."""
    if many:
        monkeypatch.setattr("tasks.full_sync.repair.MAX_SINGLE_REPAIRS", 0)
    lines: Any = [{"amount": 10000, "description": f"Day {day}"} for day in range(3)]
    dashboard.v1.invoices.add_lines(made_in_stripe, {"lines": lines})
    dashboard.v1.invoices.finalize_invoice(made_in_stripe)
    put_right(made_in_stripe)
    assert float(org.record("INV-0002")["Total__c"]) == 300
    assert lines_of(org, "INV-0002") == [(f"Day {day}", 1, 100) for day in range(3)]
    assert full_sync().sentence == "2 invoices compared, 0 differed."


def test_a_draft_made_in_stripe_is_kept_in_step(
    made_in_stripe: str, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Nobody edits it in Salesforce, so that its record says what it says in Stripe."""
    lines: Any = [{"amount": 9900, "description": "Workshop"}]
    dashboard.v1.invoices.add_lines(made_in_stripe, {"lines": lines})
    dashboard.v1.invoices.update(made_in_stripe, {"description": "Two days"})
    assert "1 differed: 1 repaired" in full_sync().sentence
    assert lines_of(org, "INV-0002") == [("Workshop", 1, 99)]
    found = shown(org, "INV-0002")
    assert (found["Status__c"], found["Description__c"], found["Total__c"]) == (
        "Draft",
        "Two days",
        99,
    )
    assert full_sync().sentence == "2 invoices compared, 0 differed."


@BY_ALL
def test_a_line_of_our_draft_is_changed_in_stripe_and_finalized_there(
    draft: Raise,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    put_right: PutRight,
) -> None:
    """What was billed is on the record, and its lines add up to its total."""
    name = draft().name
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(name)
    [there] = dashboard.v1.invoices.list().data
    [consulting] = [line for line in there.lines.data if line.description == "Consulting"]
    change: Any = {"id": consulting.id, "quantity": 1, "description": "Consulting, one hour"}
    dashboard.v1.invoices.update_lines(there.id, {"lines": [change]})
    dashboard.v1.invoices.finalize_invoice(there.id)
    put_right(name)
    assert float(org.record(name)["Total__c"]) == 2150
    assert sum(amount for _, _, amount in lines_of(org, name)) == 2150
    assert ("Consulting, one hour", 1, 150) in lines_of(org, name)
    assert full_sync().sentence == "1 invoice compared, 0 differed."


def test_lines_beyond_the_tenth_are_compared_without_a_call_for_each_invoice(
    draft: Raise, org: Org, stripe_sandbox: Sandbox
) -> None:
    """A page carries ten lines: the rest was read when it was sent, and is remembered."""
    items = [LineItem(description=f"Day {n}", unit_price=str(n + 1)) for n in range(12)]
    name = send_invoice(draft(lines=items).name).name
    stripe_sandbox.admin("DELETE", "requests")
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    asked = stripe_sandbox.admin("GET", "requests")["by_path"]
    assert not [path for path in asked if path.startswith("GET /v1/invoices/")]
    last = org.record(name)["Lines__r"]["records"][11]
    salesforce.client().update("Stripe_Invoice_Line__c", last["Id"], {"Description__c": "Gone"})
    assert "1 differed: 1 repaired" in full_sync().sentence
    assert ("Day 11", 1, 12) in lines_of(org, name)


def test_a_link_made_later_is_no_difference(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox
) -> None:
    """Each reading of an invoice gives another link to the same page."""
    told = org.query("SELECT Id FROM Stripe_Invoice_Event__c")
    stripe_sandbox.admin("POST", "clock", advance=3600)
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    assert sync_invoice(sent.name).sentence == "INV-0001 was in step already."
    poll_events()
    assert org.query("SELECT Id FROM Stripe_Invoice_Event__c") == told


def test_a_due_date_moved_in_stripe_is_found(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """On our draft, which was finalized there; who reminds goes by the record."""
    name = draft().name
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(name)
    [there] = dashboard.v1.invoices.list().data
    later = int(there.due_date or 0) + 60 * 86_400
    dashboard.v1.invoices.update(there.id, {"due_date": later})
    dashboard.v1.invoices.finalize_invoice(there.id)
    full_sync()
    moved = org.query("SELECT Due_Date__c FROM Stripe_Invoice__c")[0]["Due_Date__c"]
    assert moved > NEXT_MONTH.isoformat()
    assert settings().business.zone.key == "Europe/Berlin"

"""An invoice that was sent is replaced by another: Stripe's revision, both records linked."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import stripe

from flows.credit_invoice import credit_invoice
from flows.delete_draft import delete_draft
from flows.poll_events import poll_events
from flows.replace_invoice import replace_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.write_off_invoice import write_off_invoice
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineChange
from invoicing.errors import Busy, Conflict, InvoicingError, Rejected
from tests.conftest import Sandbox
from tests.flows.conftest import Org


def links(org: Org) -> list[dict[str, Any]]:
    """Every record with what it replaces and what replaces it, oldest first."""
    fields = "Name, Status__c, Number__c, Replaces__r.Name, Replaced_By__r.Name"
    found = org.query(f"SELECT {fields} FROM Stripe_Invoice__c ORDER BY Name")
    return [
        {
            "name": row["Name"],
            "status": row["Status__c"],
            "replaces": (row["Replaces__r"] or {}).get("Name"),
            "by": (row["Replaced_By__r"] or {}).get("Name"),
        }
        for row in found
    ]


def test_the_wrong_invoice_is_replaced_revised_and_sent(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """New number, old void, both linked; the customer has one mail about each."""
    outcome = replace_invoice(sent.name)
    assert outcome.sentence.startswith("INV-0002 is a draft in place of INV-0001: 2 lines, 2,450")
    assert org.record("INV-0001")["Status__c"] == "Open"
    revise_invoice("INV-0002", change=[LineChange(line=1, quantity="4")])
    send_invoice("INV-0002")
    assert links(org) == [
        {"name": "INV-0001", "status": "Void", "replaces": None, "by": "INV-0002"},
        {"name": "INV-0002", "status": "Open", "replaces": "INV-0001", "by": None},
    ]
    new, old = dashboard.v1.invoices.list().data
    assert (old.status, old.total) == ("void", 245000)
    assert (new.status, new.total) == ("open", 260000)
    assert new.from_invoice is not None
    assert new.from_invoice.invoice == old.id == sent.stripe_id
    assert org.record("INV-0002")["Number__c"] == new.number != old.number
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 2
    poll_events()
    assert [row["status"] for row in links(org)] == ["Void", "Open"]


def test_asking_twice_makes_one_draft(sent: InvoiceOutcome, org: Org) -> None:
    """The same request, and another one while the first draft waits."""
    for _ in range(2):
        replace_invoice(sent.name, request_id="again")
    later = date.today() + timedelta(days=60)
    with pytest.raises(Rejected, match="used before for INV-0002, with other content"):
        replace_invoice(sent.name, due_date=later, request_id="again")
    with pytest.raises(Rejected, match="INV-0001 is being replaced by INV-0002 already"):
        replace_invoice(sent.name)
    assert org.count() == 2


def test_what_was_written_off_is_asked_for_anew(sent: InvoiceOutcome, org: Org) -> None:
    """The way back from uncollectible to open."""
    write_off_invoice(sent.name)
    later = date.today() + timedelta(days=60)
    send_invoice(replace_invoice(sent.name, due_date=later).name)
    assert [row["status"] for row in links(org)] == ["Void", "Open"]


def test_paid_before_the_replacement_was_sent(
    sent: InvoiceOutcome, org: Org, stripe_sandbox: Sandbox, dashboard: stripe.StripeClient
) -> None:
    """Then nothing is billed a second time, and a person decides."""
    name = replace_invoice(sent.name).name
    stripe_sandbox.post_form(sent.hosted_invoice_url, card="4242424242424242")
    with pytest.raises(Conflict, match=r"INV-0002 was not sent\. INV-0001 is Paid and cannot be"):
        send_invoice(name)
    assert org.record(name)["Sync_State__c"] == "Conflict"
    assert len(dashboard.v1.invoices.list().data) == 1


def test_what_was_credited_is_not_asked_for_again(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """A revision has no credit notes: 450 dollars that need not be paid would be billed once more.

    Source: https://docs.stripe.com/invoicing/invoice-edits
    """
    name = replace_invoice(sent.name).name
    credit_invoice(sent.name, Decimal("450"))
    with pytest.raises(Conflict, match=r"INV-0002 was not sent\. 450\.00 USD of INV-0001 was cred"):
        send_invoice(name)
    delete_draft(name)
    with pytest.raises(Rejected, match="the new one would ask for that again"):
        replace_invoice(sent.name)
    assert [made.id for made in dashboard.v1.invoices.list().data] == [sent.stripe_id]
    [note] = dashboard.v1.credit_notes.list({"invoice": str(sent.stripe_id)}).data
    dashboard.v1.credit_notes.void_credit_note(note.id)
    send_invoice(replace_invoice(sent.name).name)
    assert dashboard.v1.invoices.list().data[0].amount_due == 245000


def test_nobody_credits_what_is_replaced_at_that_moment(
    sent: InvoiceOutcome, dashboard: stripe.StripeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new invoice asks for all of it again: a credit waits, and then is one for the new one."""
    name, finalize = replace_invoice(sent.name).name, Stripe.finalize

    def meanwhile(*about: Any) -> Any:
        with pytest.raises(Busy):
            credit_invoice(sent.name, Decimal("100"))
        return finalize(*about)

    monkeypatch.setattr(Stripe, "finalize", meanwhile)
    send_invoice(name)
    assert not dashboard.v1.credit_notes.list().data


def test_made_in_the_dashboard_it_was_billed_and_replaced_here(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """An invoice whose lines carry no key of ours."""
    customer = str(dashboard.v1.invoices.retrieve(sent.stripe_id).customer)
    made = dashboard.v1.invoices.create(
        {
            "customer": customer,
            "collection_method": "send_invoice",
            "days_until_due": 30,
            "auto_advance": False,
        }
    )
    dashboard.v1.invoices.add_lines(
        made.id, {"lines": [{"amount": 9900, "description": "Workshop"}]}
    )
    dashboard.v1.invoices.finalize_invoice(made.id, {"auto_advance": False})
    poll_events()
    send_invoice(replace_invoice("INV-0002").name)
    assert [row["status"] for row in links(org)] == ["Open", "Void", "Open"]
    assert dashboard.v1.invoices.list().data[0].total == 9900


@pytest.mark.parametrize("kind", ["lost", "fail_after"])
@pytest.mark.parametrize("path", ["/v1/invoices", "*/finalize", "*/remove_lines"])
def test_trouble_while_a_replacement_is_sent(
    sent: InvoiceOutcome,
    org: Org,
    stripe_sandbox: Sandbox,
    dashboard: stripe.StripeClient,
    path: str,
    kind: str,
) -> None:
    """One revision, one void invoice, one mail more."""
    name = replace_invoice(sent.name).name
    rule = {"kind": kind, "method": "POST", "path": path, "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[rule])
    try:
        send_invoice(name)
    except InvoicingError:
        send_invoice(name)
    assert [row["status"] for row in links(org)] == ["Void", "Open"]
    assert len(dashboard.v1.invoices.list().data) == 2
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 2

"""Two Accounts become one in Salesforce: whom their invoices belong to, and who is billed."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
import stripe

from flows.full_sync import full_sync
from flows.link_customer import link_customer
from flows.raise_invoice import raise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.domain.forms.parameters import LineItem
from invoicing.errors import Conflict
from tests.conftest import Sandbox
from tests.flows.conftest import Org

Billed = Callable[[str], str]


def raised(account: str) -> str:
    """The name of a new draft for an Account."""
    due, lines = date.today() + timedelta(days=30), [LineItem(product="Consulting")]
    return str(raise_invoice(account=account, description="Work", due_date=due, lines=lines).name)


def account_id(org: Org, name: str) -> str:
    """The id of an Account."""
    return str(org.query(f"SELECT Id FROM Account WHERE Name = '{name}'")[0]["Id"])


def record(org: Org, condition: str) -> dict[str, object]:
    """The invoice record that meets a condition."""
    fields = "Account__c, Status__c, Stripe_Customer_Id__c"
    [row] = org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE {condition}")
    return row


def customer_of(org: Org, invoice: str) -> str:
    """The customer in Stripe that an invoice went to."""
    [row] = org.query(
        f"SELECT Stripe_Customer_Id__c FROM Stripe_Invoice__c WHERE Name = '{invoice}'"
    )
    return str(row["Stripe_Customer_Id__c"])


def merge(sandbox: Sandbox, winner: str, loser: str) -> None:
    """Merge two Accounts, as somebody does in Salesforce."""
    sandbox.admin("POST", "merge", master=winner, losers=[loser])


def made_in_stripe(dashboard: stripe.StripeClient, customer: str) -> str:
    """An open invoice that somebody made in the dashboard."""
    new = dashboard.v1.invoices.create({"customer": customer, "currency": "usd"})
    dashboard.v1.invoice_items.create(
        {"customer": customer, "invoice": new.id, "amount": 1250, "description": "Extra"}
    )
    dashboard.v1.invoices.finalize_invoice(new.id)
    return new.id


def test_an_invoice_of_the_loser_belongs_to_the_winner(
    org: Org, dashboard: stripe.StripeClient, salesforce_sandbox: Sandbox
) -> None:
    """Made in Stripe after the merge: its record is the winner's, at once and by night."""
    winner, loser = account_id(org, "Globex"), account_id(org, "Acme Corporation")
    sent = raised("Acme Corporation")
    send_invoice(sent)
    customer = customer_of(org, sent)
    merge(salesforce_sandbox, winner, loser)
    assert "was made in Salesforce" in sync_invoice(made_in_stripe(dashboard, customer)).sentence
    made_in_stripe(dashboard, customer)
    assert "1 repaired" in full_sync().sentence
    accounts = org.query("SELECT Account__c FROM Stripe_Invoice__c")
    assert [row["Account__c"] for row in accounts] == [winner] * 3


def test_a_merge_of_a_merge_is_followed(
    org: Org, dashboard: stripe.StripeClient, salesforce_sandbox: Sandbox
) -> None:
    """From one Account to the next, to the one that stands."""
    ids = [account_id(org, name) for name in ("Acme Corporation", "Globex", "Initech")]
    sent = raised("Acme Corporation")
    send_invoice(sent)
    made = made_in_stripe(dashboard, customer_of(org, sent))
    merge(salesforce_sandbox, ids[1], ids[0])
    merge(salesforce_sandbox, ids[2], ids[1])
    assert "was made in Salesforce" in sync_invoice(made).sentence
    [row] = org.query(
        f"SELECT Account__c FROM Stripe_Invoice__c WHERE Stripe_Invoice_Id__c = '{made}'"
    )
    assert row["Account__c"] == ids[2]


def test_a_winner_without_a_customer_is_billed_as_the_losers(
    org: Org, dashboard: stripe.StripeClient, salesforce_sandbox: Sandbox
) -> None:
    """No second customer is made for the same people; the loser's id leads there too."""
    winner, loser = account_id(org, "Globex"), account_id(org, "Acme Corporation")
    first = raised("Acme Corporation")
    send_invoice(first)
    merge(salesforce_sandbox, winner, loser)
    second = raised(loser)
    assert "was sent to Globex" in send_invoice(second).sentence
    assert customer_of(org, second) == customer_of(org, first)
    assert len(dashboard.v1.customers.list().data) == 1


@pytest.mark.parametrize("decision", [0, 1])
def test_where_both_had_a_customer_a_person_decides(
    org: Org, dashboard: stripe.StripeClient, salesforce_sandbox: Sandbox, decision: int
) -> None:
    """Payments of both are seen meanwhile; nobody is billed until it is said who; then they are."""
    winner, loser = account_id(org, "Globex"), account_id(org, "Acme Corporation")
    customers = []
    for name in ("Globex", "Acme Corporation"):
        sent = raised(name)
        send_invoice(sent)
        customers.append(customer_of(org, sent))
    merge(salesforce_sandbox, winner, loser)
    extra = made_in_stripe(dashboard, customers[1])
    dashboard.v1.invoices.pay(extra, {"paid_out_of_band": True})
    full_sync()
    row = record(org, f"Stripe_Invoice_Id__c = '{extra}'")
    assert (row["Account__c"], row["Status__c"]) == (winner, "Paid")

    draft = raised("Globex")
    with pytest.raises(Conflict, match=f"which is {customers[1]} in Stripe.*link-customer"):
        send_invoice(draft)
    link_customer(account="Globex", customer=customers[decision])
    assert send_invoice(draft).status == "Open"
    assert customer_of(org, draft) == customers[decision]
    assert "0 differed" in full_sync().sentence

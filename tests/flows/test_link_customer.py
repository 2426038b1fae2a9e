"""A person says which Stripe customer an Account is: one, or many by a table."""

from typing import Any

import pytest
import stripe

from flows.link_customer import link_customer
from flows.send_invoice import send_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome, LinkOutcome
from invoicing.errors import Rejected
from tests.conftest import Sandbox
from tests.flows.conftest import Org


def linked(**form: Any) -> LinkOutcome:
    """The outcome of asking."""
    outcome: LinkOutcome = link_customer(**form)
    return outcome


def refused(**form: Any) -> list[str]:
    """Why nothing was linked."""
    with pytest.raises(Rejected) as refusal:
        link_customer(**form)
    return refusal.value.reasons


def made(dashboard: stripe.StripeClient, name: str) -> str:
    """A customer that somebody made in Stripe; returns the id."""
    mail = f"{name.casefold()}@example.com"
    return dashboard.v1.customers.create({"name": name, "email": mail}).id


def ids(org: Org) -> dict[str, str | None]:
    """The customers that Accounts show, by their names."""
    rows = org.query("SELECT Name, Stripe_Customer_Id__c FROM Account")
    return {row["Name"]: row["Stripe_Customer_Id__c"] for row in rows}


def test_a_table_of_many(org: Org, dashboard: stripe.StripeClient) -> None:
    """Ids and the word new; again, nothing more is made."""
    acme, wonka = made(dashboard, "ACME"), made(dashboard, "Wonka")
    table = f"Account;Stripe Customer ID\nAcme Corporation;{acme}\nGlobex;New\nWonka Ltd;{wonka}\n"
    for _ in range(2):
        outcome = linked(csv=table)
        assert (outcome.sentence, outcome.linked) == ("3 Accounts linked.", 3)
        assert ids(org) | {"Acme Corporation": acme, "Wonka Ltd": wonka} == ids(org)
        assert outcome.customers == [acme, ids(org)["Globex"], wonka]
    assert len(dashboard.v1.customers.list().data) == 3
    [account] = org.query("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")
    carried = dashboard.v1.customers.retrieve(acme).metadata
    assert carried
    assert carried["salesforce_account_id"] == account["Id"]


def test_a_table_with_a_mistake_links_nobody_unless_asked_to(
    org: Org, dashboard: stripe.StripeClient
) -> None:
    """All mistakes at once; then what is right is linked and the rest is said."""
    acme = made(dashboard, "ACME")
    table = f"account,customer\nAcme Corporation,{acme}\nNobody Inc,new\nGlobex,cus_unknown\n"
    assert refused(csv=table) == [
        "Row 3: There is no Account 'Nobody Inc' in Salesforce.",
        "Row 4: Stripe has no customer cus_unknown, or it was deleted.",
    ]
    assert set(ids(org).values()) == {None}
    outcome = linked(csv=table, all_or_nothing=False)
    assert outcome.sentence == (
        "1 Account linked. 2 Accounts not linked; the page link-customer of this run says why."
    )
    assert (ids(org)["Acme Corporation"], ids(org)["Globex"]) == (acme, None)


def test_another_accounts_customer_is_refused(
    sent: InvoiceOutcome, org: Org, dashboard: stripe.StripeClient
) -> None:
    """One customer is one Account, in the ledger as in a table."""
    theirs = str(ids(org)["Acme Corporation"])
    assert refused(account="Globex", customer=theirs) == [
        f"Globex: {theirs} (Acme Corporation) is Acme Corporation already, and one customer is one "
        "Account."
    ]
    free = made(dashboard, "Free")
    twice = refused(csv=f"account,customer\nGlobex,{free}\nInitech,{free}\nGlobex,new\n")
    assert "Row 2: Globex is named more than once." in twice
    assert f"Row 3: {free} is named for more than one Account." in twice


def test_a_customer_of_another_currency_or_deleted_is_refused(
    org: Org, dashboard: stripe.StripeClient
) -> None:
    """What is billed in yen is not made Acme's, and who is gone is nobody's."""
    yen, gone = made(dashboard, "Umbrella"), made(dashboard, "Gone")
    dashboard.v1.invoice_items.create({"customer": yen, "amount": 5000, "currency": "jpy"})
    invoice = dashboard.v1.invoices.create({"customer": yen, "currency": "jpy"})
    dashboard.v1.invoices.finalize_invoice(invoice.id)
    dashboard.v1.customers.delete(gone)
    [reason] = refused(account="Acme Corporation", customer=yen)
    assert "is billed in JPY and Acme Corporation in USD" in reason
    [reason] = refused(account="Acme Corporation", customer=gone)
    assert f"Stripe has no customer {gone}, or it was deleted" in reason
    assert ids(org)["Acme Corporation"] is None


def test_a_new_customer_needs_an_address_and_nobody_in_its_place(
    org: Org, dashboard: stripe.StripeClient
) -> None:
    """Initech has no Invoice E-mail; Acme was linked to somebody already."""
    [reason] = refused(account="Initech", new_customer=True)
    assert "fill Invoice E-mail" in reason
    acme = made(dashboard, "ACME")
    linked(account="Acme Corporation", customer=acme)
    [reason] = refused(account="Acme Corporation", new_customer=True)
    assert f"Acme Corporation is billed as {acme}." in reason
    assert len(dashboard.v1.customers.list().data) == 1


def test_a_wrong_link_is_put_right(
    sent: InvoiceOutcome, draft: Any, org: Org, dashboard: stripe.StripeClient
) -> None:
    """The next invoice goes to the other customer; the first stays where it is."""
    right = made(dashboard, "Acme-2")
    linked(account="Acme Corporation", customer=right)
    send_invoice(draft().name)
    second, first = dashboard.v1.invoices.list().data
    assert second.customer == right != first.customer
    assert ids(org)["Acme Corporation"] == right


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Account is missing"),
        ({"account": "Globex"}, "Give the Customer that it is, or choose New customer"),
        ({"account": "Globex", "customer": "cus_1", "new_customer": True}, "one of the two"),
        ({"account": "Globex", "csv": "account,customer\nGlobex,new"}, "not both"),
        ({"csv": "account,customer,e-mail\nGlobex,new,x"}, "two columns and no others"),
        ({"csv": "account,customer\nGlobex,\n,new"}, "Row 2: the customer is missing"),
        ({"csv": "account,customer\n"}, "The table has no rows"),
    ],
)
def test_a_form_that_says_nothing_clear_is_refused(
    world: None, stripe_sandbox: Sandbox, form: dict[str, Any], said: str
) -> None:
    """Each mistake in words; nothing is looked up."""
    assert any(said in reason for reason in refused(**form))
    assert [r["path"] for r in stripe_sandbox.admin("GET", "requests")["requests"]] == [
        "/v1/account"
    ]


def test_what_salesforce_does_not_take_is_said_of_its_row(
    org: Org, dashboard: stripe.StripeClient, salesforce_sandbox: Sandbox
) -> None:
    """The other row is linked all the same."""
    refusal = {"kind": "refuse", "status": 400, "path": "*/sobjects/Account/*", "count": 1}
    refusal["method"] = "PATCH"
    code = {"code": "FIELD_CUSTOM_VALIDATION_EXCEPTION"}
    salesforce_sandbox.admin("POST", "faults", rules=[refusal | code])
    acme, wonka = made(dashboard, "ACME"), made(dashboard, "Wonka")
    outcome = linked(csv=f"account,customer\nAcme Corporation,{acme}\nWonka Ltd,{wonka}\n")
    assert (outcome.linked, outcome.not_linked) == (1, 1)
    assert outcome.reasons[0].startswith("Row 2: Salesforce refused to write the Account")
    assert ids(org)["Wonka Ltd"] == wonka

"""Who is asked for the money: a Bill To for its own invoice only, and no customer twice."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from flows.full_sync import full_sync
from flows.link_customer import link_customer
from flows.preview_invoice import preview_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from flows.watch_salesforce import watch_salesforce
from invoicing.connectors import salesforce
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.errors import Conflict, InvoicingError, Rejected
from invoicing.ledger import lent_emails
from invoicing.ledger.models import Lease
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org
from tests.flows.test_send_invoice import contact, mails

Raise = Callable[..., InvoiceOutcome]

OWN, ANN, BOB = "billing@acme.example.com", "ann@acme.example.com", "bob@acme.example.com"


@pytest.fixture
def for_ann(draft: Raise, org: Org) -> Callable[[], str]:
    """A draft of Acme whose Bill To is Ann."""

    def make() -> str:
        name = draft().name
        org.set(name, Bill_To__c=contact(org, "Acme Corporation", ANN))
        return name

    return make


def own_address(dashboard: stripe.StripeClient) -> str | None:
    """What Stripe has as the one customer's address."""
    [customer] = dashboard.v1.customers.list().data
    return customer.email


def test_a_bill_to_is_for_its_own_invoice(
    draft: Raise,
    for_ann: Callable[[], str],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
) -> None:
    """Ann has the letter; the customer's own address is what it was, before and after."""
    send_invoice(for_ann())
    assert (mails(stripe_sandbox), own_address(dashboard)) == ([ANN], OWN)
    send_invoice(draft().name)
    assert sorted(mails(stripe_sandbox)) == [ANN, OWN]
    send_invoice(for_ann())
    assert own_address(dashboard) == OWN
    assert {i.customer_email for i in dashboard.v1.invoices.list().data} == {ANN, OWN}


def test_what_is_made_in_stripe_afterwards_is_not_mailed_to_ann(
    for_ann: Callable[[], str], dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Another invoice for the same customer, in the dashboard."""
    send_invoice(for_ann())
    [customer] = dashboard.v1.customers.list().data
    made = dashboard.v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30}
    )
    dashboard.v1.invoices.add_lines(made.id, {"lines": [{"amount": 9900, "description": "More"}]})
    dashboard.v1.invoices.send_invoice(made.id)
    assert sorted(mails(stripe_sandbox)) == [ANN, OWN]


@pytest.mark.parametrize("whoever", [watch_salesforce, full_sync], ids=lambda flow: flow.name)
def test_a_run_that_dies_in_between_leaves_the_address_to_whoever_comes_next(
    draft: Raise,
    for_ann: Callable[[], str],
    dashboard: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
    deployed: Deployed,
    whoever: Callable[[], Any],
) -> None:
    """It ends at the moment of finalization; nobody sends that invoice again."""
    send_invoice(draft().name)
    with monkeypatch.context() as patch:
        patch.setattr(Stripe, "finalize", _die)
        with pytest.raises(SystemExit):
            send_invoice(for_ann())
    assert own_address(dashboard) == ANN
    end_leases()
    whoever()
    assert own_address(dashboard) == OWN
    assert lent_emails.accounts() == []


def test_sent_again_after_it_died_it_reaches_ann_and_nobody_else(
    for_ann: Callable[[], str],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run that goes on lends the address once more, and gives it back."""
    name = for_ann()
    with monkeypatch.context() as patch:
        patch.setattr(Stripe, "finalize", _die)
        with pytest.raises(SystemExit):
            send_invoice(name)
    end_leases()
    send_invoice(name)
    assert (mails(stripe_sandbox), own_address(dashboard)) == ([ANN], OWN)


def _die(*_: object) -> None:
    raise SystemExit


def end_leases() -> None:
    """Let the leases of whoever died be over."""
    from sqlmodel import delete

    from invoicing.ledger.database import session

    with session() as ledger:
        ledger.execute(delete(Lease))


def test_a_refused_finalization_gives_the_address_back_at_once(
    for_ann: Callable[[], str], dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Nobody has to come for it."""
    refusal = {"kind": "refuse", "status": 400, "path": "*/finalize", "count": 1}
    stripe_sandbox.admin("POST", "faults", rules=[refusal])
    with pytest.raises(InvoicingError):
        send_invoice(for_ann())
    assert own_address(dashboard) == OWN


def test_what_somebody_set_in_the_dashboard_meanwhile_stays(
    draft: Raise,
    for_ann: Callable[[], str],
    dashboard: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run died with the address lent; a person has written a third one."""
    send_invoice(draft().name)
    with monkeypatch.context() as patch:
        patch.setattr(Stripe, "finalize", _die)
        with pytest.raises(SystemExit):
            send_invoice(for_ann())
    end_leases()
    [customer] = dashboard.v1.customers.list().data
    dashboard.v1.customers.update(customer.id, {"email": BOB})
    watch_salesforce()
    assert own_address(dashboard) == BOB


def test_finalized_by_hand_for_another_it_is_not_mailed(
    for_ann: Callable[[], str],
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody finalizes the draft in the dashboard, where it has the customer's own address."""
    by_hand = lambda _self, stripe_id, _key: dashboard.v1.invoices.finalize_invoice(stripe_id)  # noqa: E731
    name = for_ann()
    monkeypatch.setattr("tasks.sending.finalize_and_deliver.lend_email", lambda *_: None)
    monkeypatch.setattr(Stripe, "finalize", by_hand)
    with pytest.raises(Conflict, match=f"finalized for {OWN} and is to go to {ANN}"):
        send_invoice(name)
    assert mails(stripe_sandbox) == []


def test_an_account_without_an_address_of_its_own(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """There is nobody else's to keep: the first Bill To is the customer's, a later one is not."""
    for email in ("peter@initech.example.com", BOB):
        name = draft(account="Initech").name
        org.set(name, Bill_To__c=contact(org, "Initech", email))
        send_invoice(name)
        assert own_address(dashboard) == "peter@initech.example.com"
    assert {i.customer_email for i in dashboard.v1.invoices.list().data} == {
        "peter@initech.example.com",
        BOB,
    }


def stranger(dashboard: stripe.StripeClient, email: str = OWN) -> str:
    """A customer exempt from tax that somebody made in Stripe; returns the id."""
    customer = dashboard.v1.customers.create(
        {"name": "ACME Corp.", "email": email, "tax_exempt": "exempt"}
    )
    return customer.id


@pytest.mark.parametrize("email", [OWN, "Billing@ACME.example.com"])
def test_a_customer_who_is_there_already_is_named_and_not_doubled(
    draft: Raise,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    email: str,
) -> None:
    """Exempt from tax, and not linked: sending and preview stop before anything is made."""
    there = stranger(dashboard, email)
    stripe_sandbox.admin("POST", "clock", advance=120)
    name = draft().name
    for act in (send_invoice, preview_invoice):
        with pytest.raises(Rejected, match=rf"{there} \(ACME Corp\., exempt from tax\)\. Nothing"):
            act(name)
    assert "Run link-customer for Acme Corporation" in org.record(name)["Sync_Message__c"]
    assert len(dashboard.v1.customers.list().data) == 1
    assert dashboard.v1.products.list().data == dashboard.v1.invoices.list().data == []


def test_linked_it_is_billed_as_it_is_taxed(
    draft: Raise, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Once a person has said who it is, its invoice goes there, without the tax."""
    there = stranger(dashboard)
    rate = dashboard.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 19, "inclusive": False}
    )
    name = draft(options=Options(tax_rates=[rate.id])).name
    with pytest.raises(Rejected):
        send_invoice(name)
    linked = link_customer("Acme Corporation", there)
    assert linked.sentence == f"Acme Corporation is billed as {there} from now on."
    send_invoice(name)
    [invoice] = dashboard.v1.invoices.list().data
    assert (invoice.customer, invoice.total) == (there, 245000)
    assert org.record(name)["Account__r"]["Stripe_Customer_Id__c"] == there


def test_none_of_them_a_new_one_is_made_once(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Asked for twice, it is there once, and billed."""
    there = stranger(dashboard)
    for _ in range(2):
        [made] = link_customer("Acme Corporation", new_customer=True).customers
    assert made != there
    assert len(dashboard.v1.customers.list().data) == 2
    send_invoice(draft().name)
    [invoice] = dashboard.v1.invoices.list().data
    assert invoice.customer == made


def test_two_accounts_may_have_one_address(draft: Raise, org: Org) -> None:
    """A customer that is linked, or is being made, for another Account is no candidate."""
    send_invoice(draft().name)
    [globex] = org.query("SELECT Id FROM Account WHERE Name = 'Globex'")
    salesforce.client().update("Account", globex["Id"], {"Invoice_Email__c": OWN})
    assert "was sent to Globex" in send_invoice(draft(account="Globex").name).sentence


def test_an_account_that_names_anothers_customer_is_not_billed_as_that(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Globex's field was filled with Acme's customer, and Acme's emptied."""
    sent = send_invoice(draft().name)
    accounts = {row["Name"]: row["Id"] for row in org.query("SELECT Id, Name FROM Account")}
    theirs = org.record(sent.name)["Account__r"]["Stripe_Customer_Id__c"]
    update = salesforce.client().update
    update("Account", accounts["Acme Corporation"], {"Stripe_Customer_Id__c": None})
    update("Account", accounts["Globex"], {"Stripe_Customer_Id__c": theirs})
    with pytest.raises(Conflict, match=f"Globex names Stripe's customer {theirs}"):
        send_invoice(draft(account="Globex").name)
    assert len(dashboard.v1.invoices.list().data) == 1
    assert sync_invoice(sent.name).sentence == "INV-0001 was in step already."

"""Which org, which account, which mode, which currency: asked, and never guessed."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from flows.bulk_raise import bulk_raise
from flows.raise_invoice import raise_invoice
from flows.send_invoice import send_invoice
from invoicing.connectors import salesforce
from invoicing.connectors import stripe as connector
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem, Options
from invoicing.errors import EnvironmentMismatch
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org

Setting = Callable[..., None]


@pytest.fixture
def setting(world: None, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Change settings, as the next process finds them."""

    def change(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"INVOICING_{name}", value)
        for cache in (settings, connector.client, salesforce.client):
            cache.cache_clear()

    return change


@pytest.fixture
def euros(world: None, salesforce_sandbox: Sandbox) -> None:
    """An org of euros alone; the settings say nothing of currencies."""
    salesforce_sandbox.admin("POST", "reset", seed="demo", currency="EUR")


def raised(**more: Any) -> InvoiceOutcome:
    """A draft for Acme over three hours of consulting."""
    lines = [LineItem(product="Consulting", quantity=3)]
    form: dict[str, Any] = {"account": "Acme Corporation", "lines": lines, "due_date": NEXT_MONTH}
    outcome: InvoiceOutcome = raise_invoice(**form | {"description": "November"} | more)
    return outcome


def written(sandbox: Sandbox) -> int:
    """How often a service was asked to write anything, logins and questions aside."""
    asked = sandbox.admin("GET", "requests")["requests"]
    paths = [one["path"] for one in asked if one["method"] != "GET"]
    return len([path for path in paths if "/oauth2/" not in path and "/Soap/" not in path])


@pytest.mark.usefixtures("euros")
def test_an_org_of_euros_bills_euros(dashboard: stripe.StripeClient) -> None:
    """Nobody has set a currency: the org says which is its own, on drafts and in Stripe."""
    assert raised().total == "420.00 EUR"
    send_invoice("INV-0001")
    [invoice] = dashboard.v1.invoices.list().data
    assert (invoice.currency, invoice.total) == ("eur", 42000)


def refused_before_anything_is_made(salesforce_sandbox: Sandbox, said: str) -> None:
    """Raise an invoice, be refused, and have written nothing."""
    salesforce_sandbox.admin("DELETE", "requests")
    with pytest.raises(EnvironmentMismatch, match=said):
        raised()
    assert written(salesforce_sandbox) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"BUSINESS__CURRENCY": "USD"}, "currency is EUR, but INVOICING_BUSINESS__CURRENCY says"),
        ({"SALESFORCE__MULTI_CURRENCY": "true"}, "has one currency, EUR, but"),
    ],
)
def test_settings_cannot_make_euros_dollars(
    euros: None, setting: Setting, salesforce_sandbox: Sandbox, wrong: dict[str, str], said: str
) -> None:
    """What the org says otherwise is refused before anything is written."""
    setting(**wrong)
    refused_before_anything_is_made(salesforce_sandbox, said)


def won_in_yen(org: Org) -> str:
    """An Opportunity over a million yen."""
    [account] = org.query("SELECT Id FROM Account WHERE Name = 'Umbrella KK'")
    [entry] = org.query(
        "SELECT Id FROM PricebookEntry WHERE Name = 'Onboarding' AND CurrencyIsoCode = 'JPY'"
    )
    won = {"Name": "Umbrella, all of it", "AccountId": account["Id"], "StageName": "Closed Won"}
    won |= {"CloseDate": "2026-11-01", "CurrencyIsoCode": "JPY"}
    sold = {"OpportunityId": "@{won.id}", "PricebookEntryId": entry["Id"]}
    sold |= {"Quantity": 1, "UnitPrice": 1_000_000}
    salesforce.client().write_graph(
        [
            {
                "method": "POST",
                "path": f"sobjects/{sobject}",
                "referenceId": reference,
                "body": body,
            }
            for sobject, reference, body in (
                ("Opportunity", "won", won),
                ("OpportunityLineItem", "sold", sold),
            )
        ]
    )
    return "Umbrella, all of it"


def test_a_million_yen_stay_yen(org: Org) -> None:
    """An org of several currencies is one without anybody setting so."""
    won = won_in_yen(org)
    outcome = bulk_raise(opportunities=[won], options=Options(payment_terms="Net 30"))
    assert outcome.sentence == "1 draft raised over 1,000,000 JPY."


def test_several_currencies_are_not_one(
    setting: Setting, org: Org, salesforce_sandbox: Sandbox
) -> None:
    """A setting of old that says the org has one currency does not make yen dollars."""
    won = won_in_yen(org)
    setting(SALESFORCE__MULTI_CURRENCY="false")
    salesforce_sandbox.admin("DELETE", "requests")
    with pytest.raises(EnvironmentMismatch, match="has several currencies, but INVOICING_SALES"):
        bulk_raise(opportunities=[won], options=Options(payment_terms="Net 30"))
    assert written(salesforce_sandbox) == 0


def test_an_org_that_does_not_say_its_currency_is_not_guessed(
    euros: None, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the setting is needed, and the refusal says where it is found."""
    ask = salesforce.Salesforce.org
    silent = lambda client: salesforce.OrgFacts(ask(client).id, False, "")  # noqa: E731
    monkeypatch.setattr(salesforce.Salesforce, "org", silent)
    with pytest.raises(EnvironmentMismatch, match="does not say which"):
        raised()
    setting(BUSINESS__CURRENCY="EUR")
    assert raised().total == "420.00 EUR"


def test_a_live_key_within_the_hour_is_noticed_before_anything_is_made(
    setting: Setting, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """The settings say test mode, and somebody has put in another key since the last run."""
    setting(STRIPE__API_KEY="sk_test_sandbox", STRIPE__LIVEMODE="false")
    name = raised().name
    setting(STRIPE__API_KEY="sk_live_sandbox")
    stripe_sandbox.admin("DELETE", "requests")
    with pytest.raises(EnvironmentMismatch, match="The Stripe key is not a test mode key"):
        send_invoice(name)
    assert written(stripe_sandbox) == 0
    assert dashboard.v1.customers.list().data == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"STRIPE__ACCOUNT_ID": "acct_1Other"}, "The Stripe key belongs to acct_1SandboxAcme, but"),
        ({"SALESFORCE__ORG_ID": "00DHs0000000009MAA"}, "The Salesforce login belongs to org"),
    ],
)
def test_an_account_or_org_that_is_another_is_noticed_before_anything_is_made(
    setting: Setting, salesforce_sandbox: Sandbox, wrong: dict[str, str], said: str
) -> None:
    """A new installation, with one value of the old one."""
    setting(**wrong)
    refused_before_anything_is_made(salesforce_sandbox, said)


def test_a_ledger_is_of_one_org(setting: Setting, salesforce_sandbox: Sandbox) -> None:
    """Another org with the same account needs another ledger."""
    raised()
    setting(SALESFORCE__ORG_ID="00DHs0000000009MAA")
    refused_before_anything_is_made(salesforce_sandbox, "Use another ledger for another org")


def test_another_login_within_the_hour_is_asked_who_it_is(
    setting: Setting, salesforce_sandbox: Sandbox
) -> None:
    """The credentials are others, so org and account are checked again, and once."""
    raised()
    setting(SALESFORCE__DOMAIN="northwind--uat.sandbox.my")
    for asked in (1, 0):
        salesforce_sandbox.admin("DELETE", "requests")
        raised()
        paths = salesforce_sandbox.admin("GET", "requests")["by_path"]
        assert sum(count for path, count in paths.items() if "/Soap/" in path) == asked


def test_no_secret_is_in_the_ledger(world: None) -> None:
    """What the check is remembered by tells nothing of the key."""
    from invoicing.ledger import environment_binding

    raised()
    bound = environment_binding.binding("acct_1SandboxAcme", livemode=True)
    assert bound is not None
    assert len(bound.access) == 32
    assert "sk_live" not in str(bound.model_dump())


def test_nothing_is_asked_twice(world: None, stripe_sandbox: Sandbox) -> None:
    """Where nothing has changed, a run asks neither service who it is."""
    raised()
    stripe_sandbox.admin("DELETE", "requests")
    raised()
    assert stripe_sandbox.admin("GET", "requests")["requests"] == []


def test_runs_do_without_what_an_org_can_do_without(
    world: None, salesforce_sandbox: Sandbox
) -> None:
    """Only an older package is: of what an org makes otherwise the doctor tells."""
    salesforce_sandbox.admin("POST", "permissions", hidden=["Opportunity"])
    assert raised().status == "Draft"

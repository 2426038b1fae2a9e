"""An org that had its own invoice objects: the same flows, without a line of code."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

from flows.full_sync import full_sync
from flows.raise_invoice import raise_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms import InvoiceOutcome, LineChange, LineItem
from invoicing.mapping import org_mapping
from invoicing.settings import settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from tests.conftest import Sandbox

ORG = Path(__file__).parents[1] / "orgs/billing"
NEXT_MONTH = date.today() + timedelta(days=30)


class Org:
    """The org as its own people see it, under its own names."""

    def __init__(self, url: str) -> None:
        """Log in as one of them."""
        self._data = f"{url}/services/data/v67.0"
        self._session = requests.Session()
        form = {
            "grant_type": "client_credentials",
            "client_id": settings().salesforce.consumer_key.get_secret_value(),
            "client_secret": "sandbox-consumer-secret",
        }
        secret = settings().salesforce.consumer_secret
        form["client_secret"] = secret.get_secret_value() if secret else ""
        token = self._session.post(f"{url}/services/oauth2/token", data=form).json()
        self._session.headers["Authorization"] = f"Bearer {token['access_token']}"

    def create(self, sobject: str, **fields: Any) -> str:
        """Create a record; its id."""
        answer = self._session.post(f"{self._data}/sobjects/{sobject}", json=fields)
        assert answer.ok, answer.text
        return str(answer.json()["id"])

    def change(self, sobject: str, record_id: str, **fields: Any) -> None:
        """Change a record by hand."""
        answer = self._session.patch(f"{self._data}/sobjects/{sobject}/{record_id}", json=fields)
        assert answer.ok, answer.text

    def query(self, soql: str) -> list[dict[str, Any]]:
        """Records by SOQL."""
        answer = self._session.get(f"{self._data}/query", params={"q": soql})
        assert answer.ok, answer.text
        return list(answer.json()["records"])

    def document(self, name: str) -> dict[str, Any]:
        """One of its billing documents."""
        [found] = self.query(
            f"SELECT FIELDS(ALL) FROM Billing_Document__c WHERE Name = '{name}' LIMIT 1"
        )
        return found


@pytest.fixture(scope="module")
def billing_process() -> Iterator[Sandbox]:
    """A sandbox with the other org's schema."""
    with running(lambda url: application(open_org(ORG), url, first="empty")) as url:
        yield Sandbox(url)


@pytest.fixture
def billing(
    world: None, billing_process: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Org]:
    """The other org with a customer and two products, and settings that point at it."""
    billing_process.admin("POST", "reset", seed="empty")
    monkeypatch.setenv("INVOICING_SALESFORCE__URL", billing_process.url)
    monkeypatch.setenv("INVOICING_MAPPING", str(ORG / "mapping.toml"))
    caches = (settings, salesforce.client, org_mapping)
    for cache in caches:
        cache.cache_clear()
    org = Org(billing_process.url)
    org.create("Account", Name="Acme", CurrencyIsoCode="EUR", Billing_Mail__c="ap@acme.example.com")
    [standard] = org.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true")
    for name, price in (("Consulting", 150), ("Onboarding", 2000)):
        product = org.create("Product2", Name=name, ProductCode=name.upper(), IsActive=True)
        entry = {"Pricebook2Id": standard["Id"], "Product2Id": product, "UnitPrice": price}
        org.create("PricebookEntry", CurrencyIsoCode="EUR", IsActive=True, **entry)
    yield org
    for cache in caches:
        cache.cache_clear()


def raise_one(**changes: Any) -> InvoiceOutcome:
    """Raise a draft of two lines over 2,450 euro."""
    form: dict[str, Any] = {
        "account": "Acme",
        "description": "November services",
        "due_date": NEXT_MONTH,
        "lines": [
            LineItem(product="Consulting", quantity=3),
            LineItem(product="Onboarding"),
        ],
    }
    outcome: InvoiceOutcome = raise_invoice(**form | changes)
    return outcome


def test_the_whole_story_under_other_names(
    billing: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Raised, revised, sent, paid, in step by night: only the org's own names are touched."""
    raised = raise_one()
    assert raised.name == "RE-00001"
    assert billing.document(raised.name)["State__c"] == "Entwurf"

    revised = revise_invoice(raised.name, change=[LineChange(line=1, quantity=4)])
    assert revised.total == "2,600.00 EUR"
    [first, _] = billing.query(
        "SELECT Amount_Of__c, Sum__c, Article__r.Name FROM Billing_Position__c ORDER BY Number__c"
    )
    assert (first["Amount_Of__c"], first["Sum__c"]) == (4, 600)
    assert first["Article__r"]["Name"] == "Consulting"

    sent = send_invoice(raised.name)
    assert "was sent to Acme at ap@acme.example.com" in sent.sentence
    document = billing.document(raised.name)
    assert document["State__c"] == "Offen"
    assert document["Money__c"] == "offen"
    assert document["Stripe_Key__c"] == sent.stripe_id
    assert document["Document_Number__c"] == sent.number
    assert document["Memo__c"] == "November services"
    assert document["Description__c"] is None
    assert document["Mailed_At__c"]
    [account] = billing.query("SELECT Stripe_Key__c FROM Account")
    assert account["Stripe_Key__c"] == document["Stripe_Customer__c"]

    dashboard.v1.invoices.pay(sent.stripe_id, {"paid_out_of_band": True})
    synced = sync_invoice(raised.name)
    assert synced.sentence == "RE-00001 moved from Open to Paid."
    document = billing.document(raised.name)
    assert (document["State__c"], document["Money__c"]) == ("Bezahlt", "bezahlt")
    assert (document["Paid__c"], document["Rest__c"]) == (2600, 0)

    assert full_sync().sentence == "1 invoice compared, 0 differed."
    billing.change("Billing_Document__c", document["Id"], State__c="Offen", Money__c="offen")
    assert "1 differed: 1 repaired" in full_sync().sentence
    document = billing.document(raised.name)
    assert (document["State__c"], document["Money__c"]) == ("Bezahlt", "bezahlt")


def test_a_night_of_much_drift_under_other_names(
    billing: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Bulk API is spoken to in the org's names and words, too."""
    monkeypatch.setattr("tasks.reconciliation.SMALL", 0)
    name = raise_one().name
    send_invoice(name)
    document = billing.document(name)
    billing.change("Billing_Document__c", document["Id"], State__c="Storniert", Gross__c=1)
    assert "1 repaired" in full_sync().sentence
    document = billing.document(name)
    assert (document["State__c"], document["Gross__c"]) == ("Offen", 2450)


def test_an_invoice_of_the_dashboard_lands_in_the_orgs_own_object(
    billing: Org, dashboard: stripe.StripeClient
) -> None:
    """Made in Stripe, linked by its customer, written under the org's names."""
    name = raise_one().name
    send_invoice(name)
    customer = str(billing.document(name)["Stripe_Customer__c"])
    made = dashboard.v1.invoices.create({"customer": customer, "currency": "eur"})
    dashboard.v1.invoice_items.create(
        {"customer": customer, "invoice": made.id, "amount": 1250, "description": "Extra"}
    )
    dashboard.v1.invoices.finalize_invoice(made.id)
    assert "was made in Salesforce" in sync_invoice(made.id).sentence
    [document] = billing.query(
        f"SELECT Gross__c, State__c, (SELECT Text__c FROM Positions__r) "
        f"FROM Billing_Document__c WHERE Stripe_Key__c = '{made.id}'"
    )
    assert (document["Gross__c"], document["State__c"]) == (12.5, "Offen")
    assert document["Positions__r"]["records"][0]["Text__c"] == "Extra"


def test_several_words_of_the_org_may_mean_draft(billing: Org) -> None:
    """A document under review can be sent like any draft."""
    name = raise_one().name
    billing.change("Billing_Document__c", billing.document(name)["Id"], State__c="In Prüfung")
    assert send_invoice(name).status == "Open"

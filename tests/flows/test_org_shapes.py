"""Orgs of other shapes: what an invoice goes through, in each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe

from flows.bulk_raise import bulk_raise
from flows.credit_invoice import credit_invoice
from flows.full_sync import full_sync
from flows.raise_invoice import raise_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from flows.void_invoice import void_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.parameters import LineChange, LineItem
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.mapping import org_field_reader, org_mapping
from invoicing.org_check import main
from invoicing.settings import settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from tests.conftest import ROOT, Sandbox
from tests.orgs.documented_example import documented_text
from tests.orgs.org_client import OrgClient

ORGS = ROOT / "tests/orgs"
NEXT_MONTH = date.today() + timedelta(days=30)


@dataclass(frozen=True)
class Shape:
    """An org: its folder, what it is like, its customer, and what new records of it show."""

    folder: str
    currency: str
    customer: Callable[[OrgClient], str]
    invoice: str
    new: str
    shown: Sequence[Any]
    one_currency: bool = False
    profiles: Sequence[str] = ()

    def mapping(self) -> str:
        """Its field mapping."""
        own = ORGS / self.folder / "mapping.toml"
        return own.read_text(encoding="utf-8") if own.exists() else documented_text()


def company(org: OrgClient) -> str:
    """A customer of the documentation's org, and its price book."""
    books = {"Name": "Europe", "IsActive": True}
    book = org.create("Pricebook2", **books)
    for entry in org.query("SELECT Product2Id, UnitPrice FROM PricebookEntry"):
        own = {"Pricebook2Id": book, "IsActive": True, "CurrencyIsoCode": "EUR"}
        own |= {"Product2Id": entry["Product2Id"], "UnitPrice": entry["UnitPrice"]}
        org.create("PricebookEntry", **own)
    fields = {"Billing_Mail__c": "ap@acme.example.com", "Region__c": "South"}
    fields |= {"Tax_Class__c": "Reverse Charge", "CurrencyIsoCode": "EUR"}
    return org.create("Account", Name="Acme", **fields)


def shopper(org: OrgClient) -> str:
    """A customer of the shop."""
    legal = {"Legal_Country__c": "Österreich", "Legal_City__c": "Wien"}
    legal |= {"AccountNumber": "K-7"}
    return org.create("Account", Name="Acme", Accounts_Mail__c="ap@acme.example.com", **legal)


def patient(org: OrgClient) -> str:
    """A customer of the clinic, who is a person."""
    person = {"FirstName": "Ann", "LastName": "Lee", "PersonEmail": "ann@example.com"}
    ward = org.create("Ward__c", Name="North")
    place = {"BillingCountryCode": "AT", "CurrencyIsoCode": "EUR"}
    return org.create("Account", Ward__c=ward, **person, **place)


SHAPES = {
    "documented": Shape(
        *("documented", "EUR", company, "Billing_Document__c"),
        "Origin__c, RecordType.DeveloperName, Region__c, Dated__c, Campaign__c",
        ["Stripe", "Customer_Document", "South", date.today().isoformat(), None],
    ),
    "shop": Shape(
        *("shop", "EUR", shopper, "Order"),
        "Status, EffectiveDate, Channel__c, Name",
        ["Draft", date.today().isoformat(), "Billing", "K-7"],
        one_currency=True,
    ),
    "clinic": Shape(
        *("clinic", "EUR", patient, "Bill__c"),
        "RecordType.DeveloperName, Ward__r.Name, Urgent__c, CurrencyIsoCode",
        ["Private", "North", True, "EUR"],
        profiles=("person-accounts", "country-picklists"),
    ),
}


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    """Each of the orgs."""
    return SHAPES[request.param]


@pytest.fixture(scope="module")
def org_process(shape: Shape) -> Iterator[Sandbox]:
    """A sandbox with the org's schema."""
    with running(lambda url: application(open_org(ORGS / shape.folder), url, first="empty")) as url:
        yield Sandbox(url)


def forget() -> None:
    """Read the settings and the field mapping again."""
    for cache in (settings, salesforce.client, org_mapping, org_field_reader):
        cache.cache_clear()


@pytest.fixture
def org(
    world: None,
    shape: Shape,
    org_process: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OrgClient]:
    """The org with products, and settings that point at it."""
    wanted: dict[str, Any] = {"seed": "empty", "profiles": list(shape.profiles)}
    if shape.one_currency:
        wanted["currency"] = shape.currency
    org_process.admin("POST", "reset", **wanted)
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(shape.mapping(), encoding="utf-8")
    monkeypatch.setenv("INVOICING_SALESFORCE__URL", org_process.url)
    monkeypatch.setenv("INVOICING_MAPPING", str(mapping))
    monkeypatch.setenv("INVOICING_STRIPE__TAX_RATES", "vat-20=txr_1Vat20")
    forget()
    people = OrgClient(org_process.url)
    people.sell("" if shape.one_currency else shape.currency, Consulting=150, Onboarding=2000)
    yield people
    forget()


@pytest.fixture
def customer(org: OrgClient, shape: Shape) -> str:
    """The id of the org's customer."""
    return shape.customer(org)


def raised(customer: str) -> str:
    """The name of a new draft of two lines over 2,450 euro."""
    lines = [LineItem(product="Consulting", quantity=3), LineItem(product="Onboarding")]
    outcome = raise_invoice(
        account=customer, description="November services", due_date=NEXT_MONTH, lines=lines
    )
    assert outcome.total == "2,450.00 EUR"
    return str(outcome.name)


def read(name: str) -> dict[str, Any]:
    """An invoice under our names."""
    fields = ["Id", record.STATUS, record.PAYMENT_STATE, record.TOTAL, record.STRIPE_ID]
    [found] = salesforce.client().query(Query(record.INVOICE, fields, where=equals("Name", name)))
    return found


@pytest.mark.standard
def test_the_org_has_everything(
    org: OrgClient, customer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that checks the field mapping says so."""
    main()
    assert "has everything" in capsys.readouterr().out


@pytest.mark.standard
def test_a_new_record_has_what_the_org_demands_of_it(
    org: OrgClient, customer: str, shape: Shape
) -> None:
    """Constants, copies, a record type: for drafts one by one, by the table, and of Stripe."""
    raised(customer)
    titles = "account,description,due date,product,quantity"
    bulk_raise(csv=f"{titles}\n{customer},Table,{NEXT_MONTH},Consulting,1")
    rows = org.query(f"SELECT {shape.new} FROM {shape.invoice}")
    assert [flat(row) for row in rows] == [shape.shown, shape.shown]


def flat(row: dict[str, Any]) -> list[Any]:
    """The values of a record and its parents, in order."""
    values: list[Any] = []
    for name, value in row.items():
        if isinstance(value, dict) and name != "attributes":
            values += flat(value)
        elif name != "attributes":
            values.append(value)
    return values


def test_from_draft_to_paid(
    org: OrgClient, customer: str, dashboard: stripe.StripeClient, shape: Shape
) -> None:
    """Raised, revised, sent, paid, compared, put right by night; found by id and by name."""
    name = raised(customer)
    assert revise_invoice(name, change=[LineChange(line=1, quantity=4)]).total == "2,600.00 EUR"
    sent = send_invoice(read(name)["Id"])
    assert sent.status == "Open"
    [buyer] = dashboard.v1.customers.list().data
    assert str(buyer.email) in sent.sentence
    if shape.folder != "documented":
        assert buyer.address
        assert buyer.address.country == "AT"
    dashboard.v1.invoices.pay(sent.stripe_id, {"paid_out_of_band": True})
    assert sync_invoice(name).sentence == f"{name} moved from Open to Paid."
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    salesforce.client().update(record.INVOICE, read(name)["Id"], {record.TOTAL: 1})
    assert "1 differed: 1 repaired" in full_sync().sentence
    assert (read(name)[record.TOTAL], read(name)[record.STATUS]) == (2600, "Paid")


def test_what_was_sent_can_be_credited_and_void(org: OrgClient, customer: str) -> None:
    """Money that goes back, and the end of an invoice."""
    first, second = raised(customer), raised(customer)
    for name in (first, second):
        send_invoice(name)
    credit_invoice(first, reason="order change", mail_customer=False)
    void_invoice(second)
    assert {read(name)[record.STATUS] for name in (first, second)} == {"Paid", "Void"}


def test_an_invoice_of_the_dashboard_has_what_the_org_demands_too(
    org: OrgClient, customer: str, dashboard: stripe.StripeClient, shape: Shape
) -> None:
    """Made in Stripe for a customer who is known, one by one and by night."""
    send_invoice(raised(customer))
    [buyer] = dashboard.v1.customers.list().data
    made = []
    for _ in range(2):
        new = dashboard.v1.invoices.create({"customer": buyer.id, "currency": "eur"})
        item = {"customer": buyer.id, "invoice": new.id, "amount": 1250, "description": "Extra"}
        dashboard.v1.invoice_items.create(item)  # type: ignore[arg-type]
        dashboard.v1.invoices.finalize_invoice(new.id)
        made.append(new.id)
    assert "was made in Salesforce" in sync_invoice(made[0]).sentence
    assert "1 repaired" in full_sync().sentence
    rows = org.query(f"SELECT {shape.new} FROM {shape.invoice}")
    assert [flat(row) for row in rows] == [shape.shown] * 3

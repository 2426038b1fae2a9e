"""An org that had its own invoice objects: the same flows, without a line of code."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe

from flows.clone_invoice import clone_invoice
from flows.full_sync import full_sync
from flows.poll_events import poll_events
from flows.raise_invoice import raise_invoice
from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineChange, LineItem, Options
from invoicing.errors import Misconfigured, Rejected
from invoicing.mapping import org_field_reader, org_mapping
from invoicing.org_check import main
from invoicing.settings import settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from tests.conftest import Sandbox
from tests.orgs.org_client import OrgClient

ORG = Path(__file__).parents[1] / "orgs/billing"
NEXT_MONTH = date.today() + timedelta(days=30)


@pytest.fixture(scope="module")
def billing_process() -> Iterator[Sandbox]:
    """A sandbox with the other org's schema."""
    with running(lambda url: application(open_org(ORG), url, first="empty")) as url:
        yield Sandbox(url)


@pytest.fixture
def billing(
    world: None, billing_process: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OrgClient]:
    """The other org with a customer and two products, and settings that point at it."""
    billing_process.admin("POST", "reset", seed="empty")
    monkeypatch.setenv("INVOICING_SALESFORCE__URL", billing_process.url)
    monkeypatch.setenv("INVOICING_MAPPING", str(ORG / "mapping.toml"))
    forget()
    org = OrgClient(billing_process.url)
    org.create("Account", Name="Acme", CurrencyIsoCode="EUR", Billing_Mail__c="ap@acme.example.com")
    org.sell("EUR", Consulting=150, Onboarding=2000)
    yield org
    forget()


def forget() -> None:
    """Read the settings and the field mapping again."""
    for cache in (settings, salesforce.client, org_mapping, org_field_reader):
        cache.cache_clear()


@pytest.fixture
def more(
    billing: OrgClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Use the org's field mapping with something before it, after it, or exchanged."""

    def use(*, before: str = "", after: str = "", instead: tuple[str, str] = ("", "")) -> Path:
        text = (ORG / "mapping.toml").read_text(encoding="utf-8")
        path = tmp_path / "mapping.toml"
        path.write_text(f"{before}\n{text.replace(*instead)}\n{after}", encoding="utf-8")
        monkeypatch.setenv("INVOICING_MAPPING", str(path))
        forget()
        return path

    return use


def document_of(org: OrgClient, name: str) -> dict[str, Any]:
    """One of its billing documents."""
    soql = f"SELECT FIELDS(ALL) FROM Billing_Document__c WHERE Name = '{name}' LIMIT 1"
    [found] = org.query(soql)
    return found


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
    billing: OrgClient, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox
) -> None:
    """Raised, revised, sent, paid, in step by night: only the org's own names are touched."""
    raised = raise_one()
    assert raised.name == "RE-00001"
    assert document_of(billing, raised.name)["State__c"] == "Entwurf"

    revised = revise_invoice(raised.name, change=[LineChange(line=1, quantity=4)])
    assert revised.total == "2,600.00 EUR"
    [first, _] = billing.query(
        "SELECT Amount_Of__c, Sum__c, Article__r.Name FROM Billing_Position__c ORDER BY Number__c"
    )
    assert (first["Amount_Of__c"], first["Sum__c"]) == (4, 600)
    assert first["Article__r"]["Name"] == "Consulting"

    sent = send_invoice(raised.name)
    assert "was sent to Acme at ap@acme.example.com" in sent.sentence
    document = document_of(billing, raised.name)
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
    document = document_of(billing, raised.name)
    assert (document["State__c"], document["Money__c"]) == ("Bezahlt", "bezahlt")
    assert (document["Paid__c"], document["Rest__c"]) == (2600, 0)

    assert full_sync().sentence == "1 invoice compared, 0 differed."
    billing.change("Billing_Document__c", document["Id"], State__c="Offen", Money__c="offen")
    assert "1 differed: 1 repaired" in full_sync().sentence
    document = document_of(billing, raised.name)
    assert (document["State__c"], document["Money__c"]) == ("Bezahlt", "bezahlt")


def test_a_night_of_much_drift_under_other_names(
    billing: OrgClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Bulk API is spoken to in the org's names and words, too."""
    monkeypatch.setattr("tasks.full_sync.repair.MAX_SINGLE_REPAIRS", 0)
    name = raise_one().name
    send_invoice(name)
    document = document_of(billing, name)
    billing.change("Billing_Document__c", document["Id"], State__c="Storniert", Gross__c=1)
    assert "1 repaired" in full_sync().sentence
    document = document_of(billing, name)
    assert (document["State__c"], document["Gross__c"]) == ("Offen", 2450)


def test_an_invoice_of_the_dashboard_lands_in_the_orgs_own_object(
    billing: OrgClient, dashboard: stripe.StripeClient
) -> None:
    """Made in Stripe, linked by its customer, written under the org's names."""
    name = raise_one().name
    send_invoice(name)
    customer = str(document_of(billing, name)["Stripe_Customer__c"])
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


def test_several_words_of_the_org_may_mean_draft(billing: OrgClient) -> None:
    """A document under review can be sent like any draft."""
    name = raise_one().name
    billing.change("Billing_Document__c", document_of(billing, name)["Id"], State__c="In Prüfung")
    assert send_invoice(name).status == "Open"


def test_the_orgs_own_fields_travel_to_stripe(
    billing: OrgClient, dashboard: stripe.StripeClient, more: Callable[..., Path]
) -> None:
    """Metadata, custom fields, taxes by the Account's class, and an address by path."""
    rate = dashboard.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 20, "inclusive": False}
    )
    more(
        before='email = ["Recipient__r.Email", "Customer__r.Parent.Billing_Mail__c"]',
        after=f"""
            [metadata]
            cost_center = "Cost_Center__c"
            internal_note = "Description__c"
            [custom_fields]
            "Customer no." = "Customer__r.AccountNumber"
            [tax]
            field = "Customer__r.Tax_Class__c"
            [tax.rates]
            Inland = "{rate.id}"
            "Reverse Charge" = []
            Ausland = []
        """,
    )
    lock_invoice = billing.create("Account", Name="Holding", Billing_Mail__c="hq@acme.example.com")
    [acme] = billing.query("SELECT Id FROM Account WHERE Name = 'Acme'")
    own = {"AccountNumber": "K-1007", "Tax_Class__c": "Inland", "ParentId": lock_invoice}
    billing.change("Account", acme["Id"], **own)
    name = raise_one().name
    document = document_of(billing, name)
    mine = {"Cost_Center__c": "CC-42", "Description__c": "call first"}
    billing.change("Billing_Document__c", document["Id"], **mine)

    revised = revise_invoice(name, change=[LineChange(line=1, quantity=4)])
    assert revised.total == "2,600.00 EUR"
    assert "hq@acme.example.com" in send_invoice(name).sentence

    sent = dashboard.v1.invoices.retrieve(document_of(billing, name)["Stripe_Key__c"])
    assert sent.metadata is not None
    assert sent.metadata["cost_center"] == "CC-42"
    assert sent.metadata["internal_note"] == "call first"
    [shown] = sent.custom_fields or []
    assert (shown.name, shown.value) == ("Customer no.", "K-1007")
    assert (sent.subtotal, sent.total) == (2600_00, 3120_00)


def test_a_value_without_a_tax_stops_the_sending(
    billing: OrgClient, more: Callable[..., Path]
) -> None:
    """Nobody guesses a tax; the reason says where to name it."""
    more(after='[tax]\nfield = "Cost_Center__c"\n[tax.rates]\nA = []')
    name = raise_one().name
    billing.change("Billing_Document__c", document_of(billing, name)["Id"], Cost_Center__c="B")
    with pytest.raises(Rejected, match=r"Cost_Center__c says 'B', for which the field mapping"):
        send_invoice(name)


@pytest.mark.parametrize("keeps_rates", [False, True], ids=["nowhere else", "in our field"])
def test_a_copy_says_what_it_lacks_of_the_orgs_own_fields(
    billing: OrgClient,
    dashboard: stripe.StripeClient,
    more: Callable[..., Path],
    keeps_rates: bool,
) -> None:
    """A field of the org's own said the tax: it comes along where the org can keep it."""
    rate = dashboard.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 20, "inclusive": False}
    )
    number = 'PO_Number__c = "Order_Reference__c"'
    more(
        instead=(number, f'{number}\nTax_Rates__c = "Description__c"') if keeps_rates else ("", ""),
        after=f"""
            [custom_fields]
            "Cost center" = "Cost_Center__c"
            [tax]
            field = "Cost_Center__c"
            [tax.rates]
            Inland = "{rate.id}"
        """,
    )
    name = raise_one().name
    billing.change("Billing_Document__c", document_of(billing, name)["Id"], Cost_Center__c="Inland")
    original = send_invoice(name)
    clone = clone_invoice(name)
    lacking = "Cost center" if keeps_rates else "Cost center, the tax"
    assert f"Not copied: {lacking}. On {name} that comes from fields of your own" in clone.sentence
    if not keeps_rates:
        copied = document_of(billing, clone.name)["Id"]
        billing.change("Billing_Document__c", copied, Cost_Center__c="Inland")
    assert send_invoice(clone.name).total == original.total == "2,940.00 EUR"


def test_the_billing_contact_of_the_account_gets_it(
    billing: OrgClient, more: Callable[..., Path]
) -> None:
    """Found among the Account's contacts, where no field names an address."""
    more(
        before='email = ["Recipient__r.Email"]',
        after='[billing_contact]\nwhere = "Gets_Invoices__c = true"',
    )
    [acme] = billing.query("SELECT Id FROM Account")
    for who, gets in (("Ada", False), ("Bob", True)):
        address = f"{who.lower()}@acme.example.com"
        person = {"LastName": who, "Email": address, "Gets_Invoices__c": gets}
        billing.create("Contact", AccountId=acme["Id"], **person)
    assert "at bob@acme.example.com" in send_invoice(raise_one().name).sentence


def test_each_account_buys_from_its_own_price_book(
    billing: OrgClient, more: Callable[..., Path]
) -> None:
    """The Account's, else the one that the mapping names."""
    more(after='[price_book]\naccount_field = "Price_List__c"\nname = "Partners"')
    [product] = billing.query("SELECT Id FROM Product2 WHERE Name = 'Consulting'")
    books = {}
    for name, price in (("Partners", 120), ("Friends", 90)):
        books[name] = billing.create("Pricebook2", Name=name, IsActive=True)
        entry = {"Pricebook2Id": books[name], "Product2Id": product["Id"], "UnitPrice": price}
        billing.create("PricebookEntry", CurrencyIsoCode="EUR", IsActive=True, **entry)
    line = [LineItem(product="Consulting")]
    assert raise_one(lines=line).total == "120.00 EUR"
    [acme] = billing.query("SELECT Id FROM Account")
    billing.change("Account", acme["Id"], Price_List__c=books["Friends"])
    assert raise_one(lines=line).total == "90.00 EUR"


def test_what_the_org_does_not_keep_is_refused_not_lost(billing: OrgClient) -> None:
    """A footer that no field can hold would otherwise be gone by the time of sending."""
    with pytest.raises(Rejected, match="keeps no 'footer'"):
        raise_one(options=Options(footer="Thank you"))
    assert billing.query("SELECT Id FROM Billing_Document__c") == []


def test_a_mapping_that_does_not_fit_stops_every_flow_before_it_begins(
    billing: OrgClient, more: Callable[..., Path], billing_process: Sandbox
) -> None:
    """All mistakes in one message; nothing was written, and the command says the same."""
    path = more(
        instead=("Gross__c", "Groß__c"),
        after='[metadata]\ncost = "Costs_Center__c"\n[price_book]\nname = "Partner"\n'
        '[tax]\nfield = "Cost_Center__c"\n[tax.rates]\nA = "vat-02"\nB = "automatic"\n'
        '[objects.Stripe_Invoice__c.new]\nOwnerId = "001000000000001AAA"',
    )
    with pytest.raises(Misconfigured) as refused:
        raise_one()
    assert str(refused.value).split("\n") == [
        f"The field mapping {path} does not fit:",
        "- Billing_Document__c.Groß__c (for our Total__c): there is no such field, or it is "
        "hidden from us; did you mean 'Gross__c'?",
        "- metadata.cost: Billing_Document__c has no field 'Costs_Center__c', or hides it; did "
        "you mean 'Cost_Center__c'?",
        "- price_book.name: the org has no price book 'Partner'.",
        "- tax.rates: 'A' is taxed by 'vat-02', which is neither a name in "
        "INVOICING_STRIPE__TAX_RATES nor an id (txr_…).",
        "- Billing_Document__c.OwnerId of new records: there is no User with the id "
        "'001000000000001AAA', or it is hidden from us.",
    ]
    command = [sys.executable, "-m", "invoicing.mapping"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr.rstrip()) == (1, str(refused.value))
    assert billing_process.admin("GET", "requests?method=PATCH")["count"] == 0


def test_the_org_is_asked_for_its_schema_once_an_hour(
    billing: OrgClient, billing_process: Sandbox
) -> None:
    """Describing is slow; a second run does not do it again."""
    raise_one()
    asked = billing_process.admin("GET", "requests")["by_path"]
    assert {count for path, count in asked.items() if "describe" in path} == {1}
    billing_process.admin("DELETE", "requests")
    raise_one()
    asked = billing_process.admin("GET", "requests")["by_path"]
    assert not [path for path in asked if "describe" in path]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objects = 1", "objects: Input should be a valid dictionary"),
        ("[metdata]\na = 'b'", "the file knows no 'metdata'; did you mean 'metadata'?"),
        ("[objects.Account]\nfeilds = {}", "knows no 'feilds'; did you mean 'fields'?"),
        ("a = ", "is not TOML"),
    ],
)
def test_a_file_that_is_no_mapping_says_so(
    billing: OrgClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    """Unknown words are named with the nearest known one."""
    path = tmp_path / "bad.toml"
    path.write_text(text)
    monkeypatch.setenv("INVOICING_MAPPING", str(path))
    forget()
    with pytest.raises(SystemExit) as refused:
        main()
    assert said in str(refused.value)


SHORTER = (
    ('Description__c = "Memo__c"', 'Description__c = "Cost_Center__c"'),
    ('Description__c = "Text__c"', 'Description__c = "Short_Text__c"'),
    (
        'Stripe_Customer_Id__c = "Stripe_Key__c"',
        'Stripe_Customer_Id__c = "Stripe_Key__c"\nStripe_Customer_Name__c = "Stripe_Name__c"',
    ),
)
"""The org has shorter fields for these texts: 40 characters, 20, and 20."""


@pytest.fixture
def shorter(billing: OrgClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A mapping to shorter fields."""
    text = (ORG / "mapping.toml").read_text(encoding="utf-8")
    for ours, theirs in SHORTER:
        assert text.count(ours) == 1
        text = text.replace(ours, theirs)
    path = tmp_path / "shorter.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("INVOICING_MAPPING", str(path))
    forget()
    return {"memo": "A memo of more than forty characters, which the field does not hold"}


def test_texts_longer_than_the_orgs_fields_are_cut_and_said(
    shorter: dict[str, str],
    billing: OrgClient,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An invoice made in Stripe arrives, and so does its payment; no night finds a difference."""
    main()
    said = capsys.readouterr().out
    assert "Stripe_Invoice__c.Description__c gets the first 40 characters of a text." in said
    assert "Stripe_Invoice_Line__c.Description__c gets the first 20" in said
    first = send_invoice(raise_one(description="Short").name)
    customer = str(dashboard.v1.invoices.retrieve(first.stripe_id).customer)
    memo = shorter["memo"]
    invoice = dashboard.v1.invoices.create(
        {
            "customer": customer,
            "collection_method": "send_invoice",
            "days_until_due": 14,
            "description": memo,
        }
    )
    item = {"customer": customer, "invoice": invoice.id, "amount": 5000, "currency": "eur"}
    text = "Travel to the customer and back again"
    dashboard.v1.invoice_items.create(item | {"description": text})  # type: ignore[arg-type]
    dashboard.v1.customers.update(customer, {"name": "A name of more than twenty characters"})
    dashboard.v1.invoices.finalize_invoice(invoice.id)
    cut = "The org's fields end description after 40 characters, a line's description after 20 char"
    assert cut in poll_events().sentence
    [made] = billing.query("SELECT Cost_Center__c FROM Billing_Document__c WHERE Gross__c = 50")
    assert made["Cost_Center__c"] == memo[:40].strip()
    [line] = billing.query("SELECT Short_Text__c FROM Billing_Position__c WHERE Sum__c = 50")
    assert line["Short_Text__c"] == text[:20].strip()
    [account] = billing.query("SELECT Stripe_Name__c FROM Account")
    assert account["Stripe_Name__c"] == "A name of more than"
    page = str(dashboard.v1.invoices.retrieve(invoice.id).hosted_invoice_url)
    stripe_sandbox.post_form(page, card="4242424242424242")
    poll_events()
    [paid] = billing.query("SELECT State__c FROM Billing_Document__c WHERE Gross__c = 50")
    assert paid["State__c"] == "Bezahlt"
    assert full_sync().sentence == "2 invoices compared, 0 differed."


def test_a_draft_longer_than_the_orgs_fields_is_refused_in_words(
    shorter: dict[str, str], billing: OrgClient
) -> None:
    """Nothing that somebody asks for is cut without asking."""
    with pytest.raises(Rejected, match="Salesforce refused to write the Billing Document: Cost"):
        raise_one(description=shorter["memo"])

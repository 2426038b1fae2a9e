"""The pages: what the package's metadata says is what people see and can press."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from sandbox.common.serve import running
from sandbox.salesforce import records
from sandbox.salesforce.app import application
from sandbox.salesforce.org import DATA_PATH, Org, open_org
from sandbox.salesforce.seed import seed

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce"
METADATA = PACKAGE / "force-app/main/default"
MULTI_CURRENCY = PACKAGE / "multi-currency/main/default"
ACME = "001Hs0000000001IAA"
INVOICE = "Stripe_Invoice__c"
REQUEST = "Stripe_Invoice_Request__c"


@pytest.fixture
def org(tmp_path: Path, invoicing_layout: bytes) -> Org:
    """An org with Raise Invoice on its Account page, whose records the test may change."""
    path = tmp_path / "own/layouts/Account-Account Layout.layout-meta.xml"
    path.parent.mkdir(parents=True)
    path.write_bytes(invoicing_layout)
    return open_org(METADATA, over=[MULTI_CURRENCY, tmp_path / "own"])


@pytest.fixture
def pages(org: Org) -> Iterator[str]:
    """The sandbox; yields its URL."""
    with running(lambda url: application(org, url)) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of headless Chromium."""
    opened = browser.new_page()
    opened.set_default_timeout(10_000)
    yield opened
    opened.close()


def draft(org: Org, **more: Any) -> str:
    """A draft on Acme's Account, with a line."""
    body = {"Account__c": ACME, "Currency__c": "USD", "Due_Date__c": "2026-12-24", **more}
    invoice = records.create(org, org.sobject(INVOICE), body)
    line = {"Invoice__c": invoice, "Quantity__c": 2, "Unit_Price__c": 0.0045, "Position__c": 1}
    records.create(org, org.sobject("Stripe_Invoice_Line__c"), line)
    return invoice


def of(org: Org, name: str) -> list[dict[str, Any]]:
    """Every record of an object that is not deleted."""
    return org.store.where(org.sobject(name), "IsDeleted = 0 ORDER BY rowid", [])


def get(url: str) -> str:
    """A page's text."""
    answer = requests.get(url, timeout=60)
    assert answer.ok, answer.text
    return answer.text


def buttons(text: str) -> list[str]:
    """What the buttons of a record's page say, in their order."""
    actions = text[text.index('class="row actions"') : text.index('class="strip"')]
    found: list[str] = re.findall(r"<button[^>]*>([^<]+)</button>|/edit\">(Edit)<", actions)
    return ["".join(names) for names in found]


def test_a_person_raises_an_invoice_on_an_account(pages: str, org: Org, page: Page) -> None:
    """Products are found by typing; more items and back; the draft is there, and nothing before."""
    page.goto(pages)
    page.get_by_role("link", name="Accounts").first.click()
    page.get_by_role("link", name="Acme Corporation").click()
    page.get_by_role("button", name="Raise Invoice").click()
    page.get_by_label("Description").fill("November services")
    page.get_by_label("Due Date").fill("24/12/2099")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("does not match the allowed format 31 Dec 2026")).to_be_visible()
    page.get_by_label("Due Date").fill("24 Dec 2099")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Product").fill("consu")
    page.get_by_role("option", name="Consulting").click()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_label("Unit Price")).to_have_value("150")
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_label("Product")).to_have_value("Consulting")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Quantity").fill("2.5")
    page.get_by_label("Create more items").check()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Product").fill("API")
    page.get_by_label("Product").press("Enter")
    expect(page.get_by_label("Product")).to_have_value("API Requests")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Unit Price").fill("0.004")
    page.get_by_label("Quantity").fill("1,000")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Total before tax: 379.00 USD")).to_be_visible()
    assert of(org, INVOICE) == []
    page.get_by_role("button", name="Next").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="open the invoice").click()
    expect(opened.value.get_by_role("heading", name="INV-0001")).to_be_visible()
    expect(opened.value.locator("#Lines__r")).to_contain_text("2.5")
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name="Acme Corporation")).to_be_visible()
    expect(page.get_by_role("link", name="INV-0001")).to_be_visible()


def test_a_draft_is_changed_where_it_stands(pages: str, org: Org, page: Page) -> None:
    """Its fields by Edit, a line by New on the list of lines, and by Delete on the line."""
    invoice = draft(org)
    page.goto(f"{pages}/{invoice}")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Due Date")).to_have_value("24 Dec 2026")
    page.get_by_label("Send On").fill("1 Dec 2026")
    page.get_by_label("PO Number").fill("PO-17")
    page.get_by_label("Bill To").fill("Wile")
    page.get_by_role("option", name="Wile Coyote").click()
    page.get_by_label("Account", exact=False).first.fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Complete this field.")).to_be_visible()
    page.get_by_label("Account", exact=False).first.fill("Acme Corporation")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-field=PO_Number__c]")).to_have_text("PO-17")
    expect(page.locator("[data-field=Send_On__c]")).to_have_text("1 Dec 2026")
    expect(page.locator("[data-field=Bill_To__c]")).to_have_text("Wile Coyote")
    page.locator("#Lines__r").get_by_role("link", name="New").click()
    page.get_by_label("Product").fill("Training")
    page.get_by_role("option", name="Training Day").click()
    page.get_by_label("Quantity").fill("2")
    page.get_by_label("Unit Price").fill("1,800.00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#Lines__r")).to_contain_text("3,600.00")
    page.get_by_role("link", name="LINE-00001").click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="INV-0001")).to_be_visible()
    [left] = of(org, "Stripe_Invoice_Line__c")
    assert (left["Invoice__c"], left["Unit_Price__c"]) == (invoice, 1800)


def test_what_salesforce_refuses_is_said_on_the_form(pages: str, org: Org) -> None:
    """In its words, beside its field, with what was typed; nothing is saved."""
    url = f"{pages}/lightning/r/{INVOICE}/{draft(org)}/edit"
    given = {"Account__c": ACME, "Currency__c": "USD", "PO_Number__c": "9" * 300}
    answer = requests.post(url, data=given, timeout=60)
    assert answer.status_code == 400
    assert "data value too large" in answer.text
    assert "9" * 300 in answer.text
    answer = requests.post(url, data=given | {"Discount_Percent__c": "half"}, timeout=60)
    assert "Enter a valid number." in answer.text
    assert of(org, INVOICE)[0]["PO_Number__c"] is None


def test_a_button_is_there_when_its_rule_says_so(pages: str, org: Org) -> None:
    """A draft can be sent, edited and deleted; what was sent can be sent again, paid, ended."""
    invoice = draft(org)
    url = f"{pages}/{invoice}"
    before = buttons(get(url))
    assert before[:3] == ["Send To Customer", "Sync Invoice", "Edit"]
    assert {"Preview Total", "Delete Draft", "Clone Invoice"} < set(before)
    assert not {"Resend", "Void", "Record Payment"} & set(before)
    records.update(org, org.sobject(INVOICE), invoice, {"Status__c": "Open"})
    after = buttons(get(url))
    assert {"Resend", "Record Payment", "Replace", "Write Off", "Void"} < set(after)
    assert not {"Send To Customer", "Delete Draft", "Preview Total"} & set(after)


def test_lines_can_be_added_to_a_draft_only(pages: str, org: Org) -> None:
    """What was sent shows its lines as the draft did, without New, which a rule would refuse."""
    invoice = draft(org)
    url = f"{pages}/{invoice}"
    before = related(get(url), "Lines__r")
    assert (">New<" in before, "0.01" in before) == (True, True)
    records.update(org, org.sobject(INVOICE), invoice, {"Status__c": "Open"})
    after = related(get(url), "Lines__r")
    assert (">New<" in after, "0.01" in after) == (False, True)
    assert (
        headings(before)
        == headings(after)
        == [
            *("Invoice Line", "Position", "Product", "Description", "Qty", "Price", "Amount"),
            "Currency",
        ]
    )


def headings(table: str) -> list[str]:
    """What a list calls its columns."""
    return re.findall(r"<th[^>]*>([^<]*)</th>", table)


def test_what_stays_empty_is_shown_on_a_draft_only(pages: str, org: Org) -> None:
    """Nobody can fill it in any more; what was filled in stays, and a deleted draft has no page."""
    invoice, ordered = draft(org), draft(org, PO_Number__c="PO-17")
    optional = {"PO_Number__c", "Payment_Terms__c"}
    assert optional < shown_fields(get(f"{pages}/{invoice}"))
    for record_id in (invoice, ordered):
        records.update(org, org.sobject(INVOICE), record_id, {"Status__c": "Open"})
    sent = shown_fields(get(f"{pages}/{invoice}"))
    assert not {*optional, "Payment_Problem__c"} & sent
    assert optional & shown_fields(get(f"{pages}/{ordered}")) == {"PO_Number__c"}
    assert "Hosted_Invoice_URL__c" in sent
    records.update(org, org.sobject(INVOICE), invoice, {"Status__c": "Deleted"})
    assert "Hosted_Invoice_URL__c" not in shown_fields(get(f"{pages}/{invoice}"))


def test_an_approver_reads_who_raised_it(pages: str, org: Org) -> None:
    """Nobody decides on their own; who decided is not asked before, nor what replaces a draft."""
    invoice = draft(org, Approval_Status__c="Waiting", Approval_Key__c="k1")
    text = log_in(pages, "Ann Ledger", "Invoice_Approver").get(f"{pages}/{invoice}").text
    assert {"CreatedById", "OwnerId"} <= shown_fields(text)
    assert "Approved_By__c" not in shown_fields(text)
    assert "Replacements__r" not in text
    decided = {"Approval_Status__c": "Approved", "Approved_By__c": "Ann", "Status__c": "Open"}
    records.update(org, org.sobject(INVOICE), invoice, decided)
    text = get(f"{pages}/{invoice}")
    assert {"CreatedById", "Approved_By__c"} <= shown_fields(text)
    assert "Replacements__r" in text
    form = get(f"{pages}/lightning/r/{INVOICE}/{invoice}/edit")
    assert 'name="OwnerId"' not in form, "Salesforce changes an owner by an action of its own"


def shown_fields(text: str) -> set[str]:
    """The fields that a record's page shows, filled in or not."""
    return set(re.findall(r'data-field="(\w+)"', text))


def related(text: str, relationship: str) -> str:
    """A related list on a record's page."""
    found = text[text.index(f'id="{relationship}"') :]
    return found[: found.index("</section>")]


def test_a_number_has_all_decimals_of_its_field_and_no_currency(pages: str, org: Org) -> None:
    """Thousands are set apart; what people read instead of a long number is a text beside it."""
    draft(org, Subtotal__c=1800, Discount_Percent__c=2.5)
    [line] = of(org, "Stripe_Invoice_Line__c")
    change = {"Quantity__c": 1200, "Unit_Price__c": 1000.5, "Currency__c": "USD"}
    records.update(org, org.sobject("Stripe_Invoice_Line__c"), line["Id"], change)
    text = re.sub(r"\s*\n\s*", "", get(f"{pages}/{line['Id']}"))
    for field, shown in (
        ("Quantity__c", "1,200.000000"),
        ("Quantity_Text__c", "1,200"),
        ("Unit_Price__c", "1,000.500000"),
        ("Unit_Price_Text__c", "1,000.50"),
        ("Draft_Amount__c", "1,200,600.00"),
        ("Currency__c", "USD"),
    ):
        assert f'<dd data-field="{field}">{shown}</dd>' in text
    text = re.sub(r"\s*\n\s*", "", get(f"{pages}/{line['Invoice__c']}"))
    assert '<dd data-field="Draft_Subtotal__c">1,200,600.00</dd>' in text
    assert '<dd data-field="Draft_Lines__c">1</dd>' in text
    assert '<dd data-field="Discount_Percent__c">2.50</dd>' in text
    cells = re.findall(r'<td class="number">([^<]*)</td>', related(text, "Lines__r"))
    assert cells == ["1", "1,200,600.00"]
    for shown in ("1,200", "1,000.50", "USD"):
        assert f"<td>{shown}</td>" in related(text, "Lines__r")


def test_products_of_an_opportunity_have_names_and_plain_quantities(pages: str, org: Org) -> None:
    """A number is no amount of money, and a product is called by its name, not by its id."""
    [line, *_] = of(org, "OpportunityLineItem")
    [product] = [p for p in of(org, "Product2") if p["Id"] == line["Product2Id"]]
    shown = related(get(f"{pages}/{line['OpportunityId']}"), "OpportunityLineItems")
    assert product["Name"] in shown
    assert line["Product2Id"] not in shown
    assert f"<dt>Quantity</dt><dd>{line['Quantity']:,.2f}</dd>" in re.sub(r"\s*\n\s*", "", shown)
    assert f"{line['UnitPrice']:,.2f} USD" in shown


class Dialogue:
    """A dialogue, answered by a program: each answer is sent as a browser would send it."""

    def __init__(self, pages: str, action: str, record_id: str) -> None:
        data = {"recordId": record_id}
        self.take(requests.post(f"{pages}/lightning/action/quick/{action}", data, timeout=60))

    def take(self, answer: requests.Response) -> None:
        """Look at a page."""
        self.url, self.text, self.status = answer.url, answer.text, answer.status_code
        found = re.search(r'name="_step" value="(\d+)"', answer.text)
        self.step = found[1] if found else ""

    def next(self, **given: str) -> Dialogue:
        """Fill in the screen and go on."""
        form = {"_step": self.step, "_way": "next", **given}
        self.take(requests.post(self.url, form, timeout=60))
        return self


def test_send_to_customer_asks_for_it_and_ends_on_the_invoice(pages: str, org: Org) -> None:
    """It says what will happen, asks for it once, and says where the outcome is seen."""
    invoice = draft(org)
    dialogue = Dialogue(pages, f"{INVOICE}.Send_To_Customer", invoice)
    assert "Send <b>INV-0001</b> to the customer?" in dialogue.text
    assert "When it is done, the status turns to Open" in dialogue.next().text
    assert dialogue.next().url.endswith(f"/lightning/r/{INVOICE}/{invoice}/view")


def test_a_screen_sent_twice_goes_on_once(pages: str, org: Org) -> None:
    """A double click, or going back in the browser and pressing again, adds no second item."""
    dialogue = Dialogue(pages, "Account.Raise_Invoice", ACME)
    dialogue.next(Payment_Terms="Net_30")
    dialogue.next(**{"Product.search": "Consulting"})
    again = dialogue.step
    price = {"Unit_Price": "150", "Quantity": "1"}
    dialogue.next(**price)
    dialogue.step = again
    assert "Total before tax: 150.00 USD" in dialogue.next(**price).text
    dialogue.next(Next_Step="Create_Draft")
    assert [line["Position__c"] for line in of(org, "Stripe_Invoice_Line__c")] == [1]
    over = requests.get(dialogue.next().url.replace("/view", ""), timeout=60)
    assert over.status_code == 404


def test_a_dialogue_that_is_left_has_written_nothing(pages: str, org: Org) -> None:
    """Its address says that it is over, once it has ended or the sandbox began again."""
    Dialogue(pages, "Account.Raise_Invoice", ACME).next(Payment_Terms="Net_30")
    assert of(org, INVOICE) == []
    gone = requests.get(f"{pages}/lightning/interviews/{'0' * 32}", timeout=60)
    assert gone.status_code == 404
    assert "This dialogue is over" in gone.text


def test_names_are_shown_as_text_on_every_screen(pages: str, org: Org) -> None:
    """Markup in a record's name does nothing, wherever a flow merges it into its own."""
    name = "<img src=x onerror=alert(1)>Evil<script>alert(1)</script>"
    records.update(org, org.sobject("Account"), ACME, {"Name": name})
    text = Dialogue(pages, "Account.Raise_Invoice", ACME).text
    assert "Evil" in text
    assert "<img" not in text
    assert "<script>" not in text


def test_a_flow_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    """On the page, by the name of what is not known."""
    own = shutil.copytree(METADATA, tmp_path / "package")
    path = own / "flows/Raise_Invoice.flow-meta.xml"
    text = path.read_text(encoding="utf-8").replace("RadioButtons", "MultiSelectPicklist")
    path.write_text(text, encoding="utf-8")
    with running(lambda url: application(open_org(own), url)) as url:
        dialogue = Dialogue(url, "Account.Raise_Invoice", ACME)
    assert dialogue.status == 501
    assert "fieldType MultiSelectPicklist cannot be run in the sandbox" in dialogue.text


def test_list_views_filter_and_show_what_they_say(pages: str, org: Org) -> None:
    """Drafts, open ones, several values, dates, and the columns of each."""
    org.clock.set(datetime(2026, 12, 10, tzinfo=UTC))
    paid = {"Paid_At__c": "2026-12-02T08:30:00Z", "Total__c": 450}
    for more in (
        {},
        {"Status__c": "Open", "Sync_State__c": "Failed", "Sync_Message__c": "No address."},
        {"Status__c": "Paid", **paid},
        {"Status__c": "Paid", "Paid_At__c": "2026-11-30T08:30:00Z"},
        {"Status__c": "Open", "Sync_State__c": "Conflict", "Is_Overdue__c": True},
    ):
        draft(org, **more)
    url = f"{pages}/lightning/o/{INVOICE}/list"
    views = {
        "All": [1, 2, 3, 4, 5],
        "Drafts": [1],
        "Open": [2, 5],
        "Failed_Or_Conflicting": [2, 5],
        "Overdue": [5],
        "Paid_This_Month": [3],
        "Waiting_For_Approval": [],
    }
    for name, numbers in views.items():
        text = get(f"{url}?filterName={name}")
        assert [int(n) for n in re.findall(r">INV-(\d+)<", text)] == numbers, name
    text = get(f"{url}?filterName=Paid_This_Month")
    row = re.findall(r"<td[^>]*>\s*([^<\s]+)\s*</td>", text)
    assert ("450.00" in row, "USD" in row) == (True, True)
    assert "2 Dec 2026, 08:30 UTC" in text
    assert "No address." in get(f"{url}?filterName=Failed_Or_Conflicting")
    assert requests.get(f"{url}?filterName=Nope", timeout=60).status_code == 404


@pytest.mark.parametrize(
    ("view", "fields", "says"),
    [
        ("Drafts", {"Approval_Status__c": "Declined"}, "Declined"),
        ("Paid_This_Month", {"Status__c": "Paid", "Payment_State__c": "Disputed"}, "Disputed"),
        ("Waiting_For_Approval", {"Status__c": "Open"}, "Open"),
        ("Waiting_For_Approval", {"Sync_Message__c": "Above the limit."}, "Above the limit."),
    ],
)
def test_a_list_says_what_is_decided_by(
    pages: str, org: Org, view: str, fields: dict[str, str], says: str
) -> None:
    """A no, money that is asked back, whether it is out already, why somebody has to decide."""
    org.clock.set(datetime(2026, 12, 10, tzinfo=UTC))
    waits = {"Approval_Status__c": "Waiting", "Paid_At__c": "2026-12-02T08:30:00Z"}
    draft(org, **waits | fields)
    text = get(f"{pages}/lightning/o/{INVOICE}/list?filterName={view}")
    assert says in text[text.index(">INV-") :]


def test_requests_are_found_without_their_invoice(pages: str, org: Org) -> None:
    """They have a tab, and lists: of a draft that was deleted no page leads to them any more."""
    asked = org.sobject(REQUEST)
    for action, state in (("Delete", "Done"), ("Send", "Refused"), ("Sync", "Queued")):
        key = "key" if state == "Queued" else None
        body = {"Action__c": action, "State__c": state, "Open_Key__c": key}
        records.create(org, asked, {**body, "Invoice__c": None, "Outcome__c": f"{action}: said."})
    assert f"/lightning/o/{REQUEST}/list" in get(f"{pages}/lightning/o/{INVOICE}/list")
    url = f"{pages}/lightning/o/{REQUEST}/list"
    views = {"All": [1, 2, 3], "Not_Answered_Yet": [3], "Refused_Or_Failed": [2]}
    for name, numbers in views.items():
        text = get(f"{url}?filterName={name}")
        assert [int(n) for n in re.findall(r">REQ-(\d+)<", text)] == numbers, name
        assert ("Integration User" in text, "Open Key" in text) == (True, False)
    assert "Delete: said." in get(url)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "integration@northwind.example"),
        ("/lightning/o/Account/list", "Vandelay Industries"),
        ("/lightning/o/PricebookEntry/list", "0.0045 USD"),
        (f"/{ACME[:15]}", "Wile Coyote"),
        ("/lightning/lookup/Product2?q=train", '"name":"Training Day"'),
    ],
)
@pytest.mark.usefixtures("sf")
def test_pages_show_the_org(base_url: str, path: str, text: str) -> None:
    """The index, lists, a record by its bare id, and what a lookup finds."""
    assert text in requests.get(base_url + path, timeout=5).text


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/lightning/o/Nope/list", "/lightning/o/Nope/new", "/003Hs0000099999"],
)
@pytest.mark.usefixtures("sf")
def test_what_is_not_there_is_a_page_that_says_so(base_url: str, path: str) -> None:
    """404, not a stack trace."""
    answer = requests.get(base_url + path, timeout=5)
    assert answer.status_code == 404
    assert "Nothing here" in answer.text


def test_an_invoice_shows_its_timeline(pages: str, org: Org) -> None:
    """A related list as its layout has it, the newest first, dates as everywhere."""
    invoice = draft(org)
    for day, what, amount in ((1, "Raised", None), (2, "Paid 450.00 USD", 450)):
        entry = {
            "Invoice__c": invoice,
            "Key__c": what,
            "What__c": what,
            "Side__c": "Stripe",
            "Happened_At__c": f"2026-12-0{day}T08:30:00.000+0000",
            "Amount__c": amount,
            "Currency__c": "USD",
        }
        records.create(org, org.sobject("Stripe_Invoice_Event__c"), entry)
    text = get(f"{pages}/lightning/r/{INVOICE}/{invoice}/view")
    shown = text[text.index('id="Timeline__r"') :]
    assert "2 Dec 2026, 08:30 UTC" in shown
    assert shown.index("Paid 450.00 USD") < shown.index("Raised")


def test_requests_say_who_asked(pages: str, org: Org) -> None:
    """Under Created By, by name, as Salesforce shows it; not the id of a user."""
    invoice = draft(org)
    Dialogue(pages, f"{INVOICE}.Send_To_Customer", invoice).next()
    text = get(f"{pages}/lightning/r/{INVOICE}/{invoice}/view")
    shown = text[text.index('id="Requests__r"') :]
    assert "Created By</" in shown
    assert "Dana Whitfield" in shown


def test_every_object_has_a_list_a_form_and_pages(pages: str, org: Org) -> None:
    """Whatever records an org has can be looked at, and a new one can be typed in."""
    draft(org)
    for sobject in org.schema:
        url = f"{pages}/lightning/o/{sobject.name}"
        get(f"{url}/list")
        assert "Save" in get(f"{url}/new")
        for row in of(org, sobject.name)[:1]:
            assert row["Id"] in get(f"{pages}/{row['Id']}")
            assert "Save" in get(f"{pages}/lightning/r/{sobject.name}/{row['Id']}/edit")


def test_an_org_without_a_package_has_pages_too(tmp_path: Path) -> None:
    """Standard objects, with Edit and Delete, and tabs for them."""
    org = open_org()
    seed(org)
    with running(lambda url: application(org, url)) as url:
        text = get(f"{url}/{ACME}")
    assert buttons(text) == ["Edit", "Delete"]
    assert "/lightning/o/Opportunity/list" in text


def log_in(pages: str, name: str, *sets: str, groups: Sequence[str] = ()) -> requests.Session:
    """Somebody with some permission sets, who comes in with a session of the API."""
    body = {"name": name, "permission_sets": list(sets), "groups": list(groups)}
    token = requests.post(f"{pages}/_sandbox/people", json=body, timeout=60).json()["access_token"]
    browser = requests.Session()
    there = {"sid": token, "retURL": f"lightning/o/{INVOICE}/list"}
    answer = browser.get(f"{pages}/secur/frontdoor.jsp", params=there)
    assert answer.url == f"{pages}/lightning/o/{INVOICE}/list"
    assert f'<span class="who">{name}</span>' in answer.text
    return browser


def test_people_see_the_buttons_that_they_were_granted(pages: str, org: Org) -> None:
    """Who logs in is who presses; a flow opens for nobody whose permission sets lack it."""
    waits = draft(org, Approval_Status__c="Waiting", Approval_Key__c="k1")
    user = log_in(pages, "Una Sales", "Invoice_User")
    approver = log_in(pages, "Ann Ledger", "Invoice_Approver")
    assert buttons(user.get(f"{pages}/{waits}").text)[:2] == ["Send To Customer", "Sync Invoice"]
    assert buttons(approver.get(f"{pages}/{waits}").text) == ["Approve", "Reject"]
    assert buttons(approver.get(f"{pages}/{draft(org)}").text) == []

    def press(person: requests.Session, action: str) -> requests.Response:
        url = f"{pages}/lightning/action/quick/{INVOICE}.{action}"
        return person.post(url, data={"recordId": waits})

    refused = press(approver, "Send_To_Customer")
    assert (refused.status_code, "have access to this flow" in refused.text) == (403, True)
    assert press(user, "Approve").status_code == 403
    asked = press(approver, "Approve")
    assert "be sent?" in asked.text
    [step] = re.findall(r'name="_step" value="(\d+)"', asked.text)
    approver.post(asked.url, data={"_step": step, "_way": "next"})
    [request] = of(org, "Stripe_Invoice_Request__c")
    [ann] = org.store.where(org.sobject("User"), "Name = ?", ["Ann Ledger"])
    assert request["CreatedById"] == ann["Id"]


CLERK = """<PermissionSet xmlns="http://soap.sforce.com/2006/04/metadata"><label>Clerk</label>
<objectPermissions><allowRead>true</allowRead><object>Stripe_Invoice__c</object></objectPermissions>
<fieldPermissions><editable>false</editable><field>Stripe_Invoice__c.Status__c</field>
<readable>true</readable></fieldPermissions></PermissionSet>"""


def test_nobody_sees_what_they_were_not_granted(tmp_path: Path, invoicing_layout: bytes) -> None:
    """Objects, fields and lists of the package, on an Account too; what is standard is there."""
    for path, content in (
        ("layouts/Account-Account Layout.layout-meta.xml", invoicing_layout),
        ("permissionsets/Clerk.permissionset-meta.xml", CLERK.encode()),
    ):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(content)
    org = open_org(METADATA, over=[tmp_path])
    with running(lambda url: application(org, url)) as url:
        invoice = draft(org)
        user, clerk = log_in(url, "Una Sales", "Invoice_User"), log_in(url, "Carl Clerk", "Clerk")
        nobody = log_in(url, "Nora New")

        def seen(person: requests.Session, path: str, *words: str) -> list[str]:
            text = person.get(f"{url}/{path}").text
            return [word for word in words if word in text]

        fields = ["Status__c", "Currency__c", "Due_Date__c", "Draft_Subtotal__c"]
        shown = [f'data-field="{name}"' for name in fields]
        on_page = ["INV-0001", *shown, "Lines__r"]
        assert seen(user, invoice, *on_page) == on_page
        assert seen(clerk, invoice, *on_page) == on_page[:3]
        assert seen(nobody, invoice, *on_page) == []
        listed = f"lightning/o/{INVOICE}/list?filterName=All"
        columns = ["INV-0001", ">Currency<", ">Total<"]
        assert seen(user, listed, *columns) == columns
        assert seen(clerk, listed, *columns) == columns[:2]
        assert seen(nobody, listed, *columns, f"/o/{INVOICE}/") == []
        account = ["Acme Corporation", "Invoices (1)", "Invoice E-mail"]
        assert seen(user, ACME, *account) == account
        assert seen(clerk, ACME, *account) == account[:2]
        assert seen(nobody, ACME, *account) == account[:1]


def test_a_page_of_a_session_that_has_ended_asks_to_log_in(pages: str) -> None:
    """Nobody becomes somebody else by staying too long."""
    person = log_in(pages, "Una Sales", "Invoice_User")
    requests.delete(f"{pages}/_sandbox/sessions", timeout=60)
    answer = person.get(pages)
    assert (answer.status_code, "Your session has ended" in answer.text) == (401, True)


def test_nobody_is_offered_what_they_may_not_do(pages: str, org: Org) -> None:
    """New, Edit and Delete are there for those whose permission sets let them, as in an org."""
    invoice = draft(org)
    [line] = of(org, "Stripe_Invoice_Line__c")
    user = log_in(pages, "Una Sales", "Invoice_User")
    approver = log_in(pages, "Ann Ledger", "Invoice_Approver")

    def offered(person: requests.Session) -> tuple[bool, list[str]]:
        lines = related(person.get(f"{pages}/{invoice}").text, "Lines__r")
        return ">New<" in lines, buttons(person.get(f"{pages}/{line['Id']}").text)

    assert offered(user) == (True, ["Edit", "Delete"])
    assert offered(approver) == (False, [])
    assert buttons(approver.get(f"{pages}/{ACME}").text) == ["Edit", "Delete", "Raise Invoice"]


def test_the_bell_shows_what_somebody_was_notified_of(pages: str, org: Org) -> None:
    """Theirs alone, the newest first, until they were read; each leads to its record."""
    invoice = draft(org)
    una = log_in(pages, "Una Sales", "Invoice_User")
    ann = log_in(pages, "Ann Ledger", "Invoice_Approver", groups=["Invoice_Approvers"])
    assert bell(una.get(pages).text) == (0, [])
    [user] = org.store.where(org.sobject("User"), "Name = ?", ["Una Sales"])
    [group] = of(org, "Group")
    notify(pages, org, user["Id"], "Send was refused", invoice)
    notify(pages, org, user["Id"], "Credit has failed", invoice)
    notify(pages, org, group["Id"], "INV-0001 waits for approval", invoice)
    assert bell(una.get(pages).text) == (2, ["Credit has failed", "Send was refused"])
    assert bell(ann.get(f"{pages}/{invoice}").text) == (1, ["INV-0001 waits for approval"])
    assert bell(requests.get(pages, timeout=60).text)[1] == ["INV-0001 waits for approval"]
    [newest, *_] = re.findall(r'href="(/lightning/notifications/\d+)"', una.get(pages).text)
    assert una.get(pages + newest).url.endswith(f"/lightning/r/{INVOICE}/{invoice}/view")
    assert bell(una.get(pages).text) == (1, ["Credit has failed", "Send was refused"])
    assert ann.get(pages + newest).status_code == 404


def bell(text: str) -> tuple[int, list[str]]:
    """What the bell of a page says: how many are new, and their titles."""
    [found] = re.findall(r'<details class="menu bell">.*?</details>', text, re.DOTALL)
    [new] = re.findall(r'aria-label="Notifications, (\d+) new"', found)
    return int(new), re.findall(r"<b>([^<]*)</b>", found)


def notify(pages: str, org: Org, recipient: str, title: str, record_id: str) -> None:
    """Have the org tell somebody something of a record."""
    [kind, *_] = of(org, "CustomNotificationType")
    asked = {
        "customNotifTypeId": kind["Id"],
        "recipientIds": [recipient],
        "title": title,
        "body": "INV-0001 has no lines.",
        "targetId": record_id,
    }
    person = {"name": f"Otto {title}", "permission_sets": None}
    token = requests.post(f"{pages}/_sandbox/people", json=person, timeout=60).json()
    url = f"{pages}{DATA_PATH}/actions/standard/customNotificationAction"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.post(url, json={"inputs": [asked]}, headers=headers, timeout=60).ok

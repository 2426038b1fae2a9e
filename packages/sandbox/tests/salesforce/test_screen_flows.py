"""Screen flows of the package, run as people run them: screen by screen, all or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sandbox.salesforce import custom_metadata, records
from sandbox.salesforce.flow_definition import Unsupported
from sandbox.salesforce.org import Org, open_org
from sandbox.salesforce.screen_flows.interview import Interview
from sandbox.salesforce.seed import seed
from sandbox.salesforce.store import Row

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce"
CORE = PACKAGE / "force-app/main/default"
SETTINGS = PACKAGE / "custom-metadata/main/default"
INVOICE = "Stripe_Invoice__c"
MULTI_CURRENCY = PACKAGE / "multi-currency/main/default"


def opened(*folders: Path, currency: str | None = None) -> Org:
    """The demo org with a package."""
    org = open_org(folders[0], over=folders[1:])
    org.use_currency(currency)
    seed(org)
    return org


@pytest.fixture
def org() -> Org:
    """The demo org, which has several currencies, as its administrator deploys the package."""
    return opened(CORE, MULTI_CURRENCY)


def all_of(org: Org, name: str) -> list[Row]:
    """Every record of an object that is not deleted."""
    return org.store.where(org.sobject(name), "IsDeleted = 0 ORDER BY rowid", [])


def id_of(org: Org, name: str, called: str) -> str:
    """The id of a record by its name."""
    [row] = org.store.where(org.sobject(name), "Name = ?", [called])
    return str(row["Id"])


def raise_on(org: Org, name: str = "Globex", sobject: str = "Account") -> Interview:
    """Press Raise Invoice on a record."""
    return Interview(org, "Raise_Invoice", {"recordId": id_of(org, sobject, name)})


def at(interview: Interview) -> str:
    """The name of the screen that is shown."""
    assert interview.failure == ""
    return interview.screen.name if interview.screen else ""


def said(interview: Interview) -> str:
    """All that the screen's texts say."""
    assert interview.screen is not None
    return " ".join(shown.text for shown in interview.screen.show())


def value(interview: Interview, name: str) -> str:
    """What an input of the screen holds."""
    assert interview.screen is not None
    [found] = [shown.value for shown in interview.screen.show() if shown.name == name]
    return found


def as_shown(interview: Interview) -> dict[str, str]:
    """What the screen's form holds when nobody has typed anything."""
    assert interview.screen is not None
    return {
        shown.name: next((choice.name for choice in shown.choices if choice.chosen), shown.value)
        for shown in interview.screen.show()
        if shown.kind not in {"text", "tick"} or shown.value
    }


def fill(interview: Interview, screen: str, **given: str) -> None:
    """Fill in a screen, which must be the one that is shown."""
    assert at(interview) == screen
    interview.next(given)


def add_item(interview: Interview, product: str, **given: str) -> None:
    """Choose a product, then say price and quantity."""
    fill(interview, "Item", **{"Product.search": product})
    defaults = {name: value(interview, name) for name in ("Unit_Price", "Quantity")}
    fill(interview, "Price", **{**defaults, **given})


def invoice(org: Org, status: str = "Draft", **more: Any) -> str:
    """An invoice on Globex in some status."""
    account = id_of(org, "Account", "Globex")
    body = {"Account__c": account, "Currency__c": "USD", "Status__c": status, **more}
    return records.create(org, org.sobject("Stripe_Invoice__c"), body)


def test_an_invoice_over_nothing_is_told_before_it_is_raised(org: Org) -> None:
    """It cannot be sent; with an item that costs something, nothing more is said of it."""
    nothing = "The total is zero: there is nothing to pay, and such an invoice cannot be sent."
    interview = raise_on(org)
    fill(interview, "Details", Description="Training", Due_Date="2099-12-24")
    add_item(interview, "Training Day", Unit_Price="0")
    assert nothing in said(interview)
    fill(interview, "Summary", Next_Step="Items_Again")
    add_item(interview, "Consulting")
    assert at(interview) == "Summary"
    assert nothing not in said(interview)


def test_an_invoice_of_two_items_is_raised(org: Org) -> None:
    """Description and due date, a product, more items and back, the summary, the draft."""
    interview = raise_on(org)
    assert "A draft for <b>Globex</b>, in USD, with prices from Standard Price Book" in said(
        interview
    )
    fill(interview, "Details", Description="Training", Due_Date="2099-12-24")
    add_item(interview, "Training Day", Quantity="2", Create_More="on")
    assert "So far: 3,600.00 USD" in said(interview)
    add_item(interview, "Consulting", Unit_Price="99.50", Line_Text="Preparing it")
    assert "2. Preparing it: 1 at 99.50 = 99.50 USD" in said(interview)
    assert "due 24 Dec 2099<" in said(interview)
    assert all_of(org, "Stripe_Invoice__c") == []
    fill(interview, "Summary", Next_Step="Create_Draft")
    assert at(interview) == "Done"
    [draft] = all_of(org, "Stripe_Invoice__c")
    assert f"/lightning/r/Stripe_Invoice__c/{draft['Id']}/view" in said(interview)
    assert (draft["Status__c"], draft["Draft_Subtotal__c"]) == ("Draft", 3699.5)
    assert (draft["Description__c"], draft["Due_Date__c"]) == ("Training", "2099-12-24")
    lines = all_of(org, "Stripe_Invoice_Line__c")
    assert [
        (line["Position__c"], line["Quantity__c"], line["Unit_Price__c"]) for line in lines
    ] == [
        (1, 2, 1800),
        (2, 1, 99.5),
    ]
    assert {line["Invoice__c"] for line in lines} == {draft["Id"]}
    interview.next({})
    assert at(interview) == ""


def test_no_payment_terms_are_chosen_for_somebody_who_gives_a_due_date(org: Org) -> None:
    """A dropdown begins with what is on top, and that is none."""
    interview = raise_on(org)
    interview.next(as_shown(interview) | {"Due_Date": "2099-12-24"})
    add_item(interview, "Consulting")
    fill(interview, "Summary", Next_Step="Create_Draft")
    [draft] = all_of(org, "Stripe_Invoice__c")
    assert (draft["Due_Date__c"], draft["Payment_Terms__c"]) == ("2099-12-24", None)


def test_what_is_missing_or_wrong_is_asked_for_again(org: Org) -> None:
    """Each mistake is said beside its field or on the screen, and what was typed stays."""
    interview = raise_on(org)
    fill(interview, "Details", Description="November")
    assert "Give a due date, or payment terms." in said(interview)
    assert value(interview, "Description") == "November"
    fill(interview, "Details", Description="November", Due_Date="2020-01-01")
    assert interview.screen is not None
    assert "has passed" in interview.screen.errors["Due_Date"]
    fill(interview, "Details", Due_Date="2099-12-24", Payment_Terms="Net_30")
    assert "not both" in said(interview)
    fill(interview, "Details", Payment_Terms="Net_30")
    fill(interview, "Item", **{"Product.search": "No such thing"})
    assert "Select an option" in interview.screen.errors["Product"]
    fill(interview, "Item")
    assert "Input is not optional" in interview.screen.errors["Product"]
    fill(interview, "Item", **{"Product.search": "Consulting"})
    wrong = {"Unit_Price": "-1", "Quantity": "two"}
    fill(interview, "Price", **wrong)
    assert interview.screen.errors == {
        "Unit_Price": "The price cannot be below zero.",
        "Quantity": "Enter a valid number.",
    }
    assert {name: value(interview, name) for name in wrong} == wrong


def test_a_product_without_a_price_is_refused_in_words(org: Org) -> None:
    """The price book and the currency decide, and another product is asked for."""
    interview = raise_on(org)
    fill(interview, "Details", Due_Date="2099-12-24")
    spare = records.create(org, org.sobject("Product2"), {"Name": "Spare", "IsActive": True})
    fill(interview, "Item", Product=spare)
    assert "Spare has no active price in Standard Price Book in USD" in said(interview)
    assert value(interview, "Product") == ""
    add_item(interview, "Consulting")
    assert at(interview) == "Summary"


def test_previous_goes_back_to_the_product_that_was_chosen(org: Org) -> None:
    """Going back changes nothing; going forward takes the new product's price."""
    interview = raise_on(org)
    fill(interview, "Details", Due_Date="2099-12-24")
    assert not interview.can_go_back
    fill(interview, "Item", **{"Product.search": "Consulting"})
    assert interview.can_go_back
    interview.back({"Unit_Price": "7"})
    assert at(interview) == "Item"
    assert value(interview, "Product") == id_of(org, "Product2", "Consulting")
    fill(interview, "Item", **{"Product.search": "Training Day"})
    assert value(interview, "Unit_Price") == "1800"


def test_the_items_can_be_entered_again(org: Org) -> None:
    """What was entered before is forgotten, its sum too."""
    interview = raise_on(org)
    fill(interview, "Details", Payment_Terms="Net_30")
    add_item(interview, "Consulting")
    fill(interview, "Summary", Next_Step="Items_Again")
    assert "Item 1" in said(interview)
    add_item(interview, "Training Day")
    fill(interview, "Summary", Next_Step="Create_Draft")
    [draft] = all_of(org, "Stripe_Invoice__c")
    assert (draft["Draft_Subtotal__c"], draft["Payment_Terms__c"]) == (1800, "Net 30")


def test_a_draft_is_raised_whole_or_not_at_all(org: Org) -> None:
    """A line that cannot be saved takes the invoice with it, and Salesforce's words are shown."""
    interview = raise_on(org)
    fill(interview, "Details", Due_Date="2099-12-24")
    add_item(interview, "Consulting", Create_More="on")
    add_item(interview, "Consulting", Quantity="9" * 20)
    fill(interview, "Summary", Next_Step="Create_Draft")
    assert at(interview) == "Failed"
    assert "NUMBER_OUTSIDE_VALID_RANGE" in said(interview)
    assert all_of(org, "Stripe_Invoice__c") == all_of(org, "Stripe_Invoice_Line__c") == []


def test_an_opportunity_is_billed_with_its_own_price_book(org: Org) -> None:
    """The invoice remembers it; an Opportunity without an Account can bill nobody."""
    [opportunity, *_] = all_of(org, "Opportunity")
    interview = raise_on(org, opportunity["Name"], "Opportunity")
    fill(interview, "Details", Due_Date="2099-12-24")
    add_item(interview, "Consulting")
    fill(interview, "Summary", Next_Step="Create_Draft")
    [draft] = all_of(org, "Stripe_Invoice__c")
    assert draft["Opportunity__c"] == opportunity["Id"]
    records.update(org, org.sobject("Opportunity"), opportunity["Id"], {"AccountId": None})
    assert at(raise_on(org, opportunity["Name"], "Opportunity")) == "Without_Account"


def test_a_record_that_is_gone_is_said_to_be(org: Org) -> None:
    """No error, and nothing to fill in."""
    assert at(Interview(org, "Raise_Invoice", {"recordId": "001Hs0000099999"})) == "Hidden"


@pytest.mark.parametrize("settings", [[], [SETTINGS]])
def test_an_org_of_one_currency_says_it_in_custom_metadata(settings: list[Path]) -> None:
    """Without it people are sent to an administrator; with it they raise invoices in it."""
    org = opened(CORE, *settings, currency="EUR")
    assert "Have an administrator write it in Setup" in said(raise_on(org))
    custom_metadata.save(org, "Invoicing_Setting.Default", {"Currency__c": "EUR"})
    interview = raise_on(org)
    fill(interview, "Details", Due_Date="2099-12-24")
    add_item(interview, "Consulting")
    fill(interview, "Summary", Next_Step="Create_Draft")
    [draft] = all_of(org, "Stripe_Invoice__c")
    assert draft["Currency__c"] == "EUR"


ACTIONS = sorted(path.name.split(".")[1] for path in (CORE / "quickActions").glob("Stripe_*"))


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_of_an_invoice_can_be_run_to_its_end(org: Org, action: str) -> None:
    """Its dialogue begins, asks, and ends without a fault, in whichever status the invoice is."""
    flow = org.package.actions[f"Stripe_Invoice__c.{action}"].flow
    written = set()
    for status in ("Draft", "Open", "Paid", "Uncollectible", "Void"):
        waits = {"Approval_Status__c": "Waiting", "Approval_Key__c": "key"}
        decided = status == "Draft" and action in {"Approve", "Reject"}
        record_id = invoice(org, status, **waits if decided else {})
        interview = Interview(org, flow, {"recordId": record_id})
        made = org.store.connection.total_changes
        for _ in range(10):
            if at(interview):
                shown = as_shown(interview)
                shown |= {"Comment": "Too early"} if shown.get("Comment") == "" else {}
                interview.next(shown)
        assert at(interview) == ""
        written.add(org.store.connection.total_changes > made)
    assert written == {True, False} or action in {"Clone_Invoice", "Sync_Invoice"}


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (0, "USD", "0.00"),
        (999.5, "USD", "999.50"),
        (1800, "USD", "1,800.00"),
        (1000000, "JPY", "1,000,000"),
        (1234567.25, "KWD", "1,234,567.250"),
        (12003004005.6, "EUR", "12,003,004,005.60"),
    ],
)
def test_amounts_are_written_as_people_read_them(
    org: Org, amount: float, currency: str, text: str
) -> None:
    """Thousands set apart, and the decimals of the currency, in every dialogue that names one."""
    waits = {"Approval_Status__c": "Waiting", "Approval_Key__c": "key", "Sync_Message__c": "Why."}
    said_of: dict[str, tuple[str, dict[str, Any], str]] = {
        "Approve": ("Draft", {"Approved_Amount__c": amount, **waits}, "asked for {}, tax"),
        "Reject": ("Draft", {"Approved_Amount__c": amount, **waits}, "asked for {}."),
        "Credit": ("Open", {"Amount_Remaining__c": amount}, "{} remain to be paid"),
        "Record_Payment": ("Open", {"Amount_Remaining__c": amount}, "{} remain to be paid"),
        "Write_Off": ("Open", {"Amount_Remaining__c": amount}, "</b>, {}, as uncollectible"),
    }
    if amount:
        said_of["Void"] = ("Open", {"Amount_Paid__c": amount}, "{} was paid on")
        said_of["Replace"] = ("Open", {"Amount_Credited__c": amount}, "{} of INV-")
    for action, (status, more, words) in said_of.items():
        flow = org.package.actions[f"Stripe_Invoice__c.{action}"].flow
        record = invoice(org, status, **more, Currency__c=currency)
        dialogue = said(Interview(org, flow, {"recordId": record}))
        assert words.format(f"{text} {currency}") in dialogue, action


def test_prices_and_totals_are_written_as_people_read_them(org: Org) -> None:
    """The price book's, the one that was typed, what an item comes to, and the total."""
    interview = raise_on(org)
    fill(interview, "Details", Payment_Terms="Net_30")
    fill(interview, "Item", **{"Product.search": "Training Day"})
    assert "Standard Price Book: 1,800.00 USD" in said(interview)
    fill(interview, "Price", Unit_Price="1234.5678", Quantity="1000.5")
    assert "1. Training Day: 1,000.5 at 1,234.5678 = 1,235,185.08 USD" in said(interview)
    assert "Total before tax: 1,235,185.08 USD" in said(interview)
    assert "payment terms Net 30<" in said(interview)
    fill(interview, "Summary", Next_Step="Create_Draft")
    assert "1,235,185.08 USD before tax" in said(interview)


def test_an_approver_reads_why_somebody_has_to_decide(org: Org) -> None:
    """In the dialogue that asks, not on the page beneath it."""
    why = "Above 10,000.00 USD, somebody has to approve."
    waits = {"Approval_Status__c": "Waiting", "Approval_Key__c": "key", "Sync_Message__c": why}
    assert why in said(Interview(org, "Invoice_Approve", {"recordId": invoice(org, **waits)}))


IN_THE_WAY = [
    ("Replace", {"Amount_Credited__c": 50}, "50.00 USD of INV-0001 was credited, so it cannot be"),
    ("Replace", {"Amount_Paid__c": 50}, "50.00 USD was paid on INV-0001, so it cannot be replaced"),
    ("Replace", {"Payment_State__c": "Processing"}, "A bank debit is under way on INV-0001"),
    ("Void", {"Amount_Paid__c": 50}, "50.00 USD was paid on INV-0001, so it cannot be voided"),
    ("Void", {"Payment_State__c": "Processing"}, "A bank debit is under way on INV-0001"),
]


@pytest.mark.parametrize(("action", "money", "words"), IN_THE_WAY)
def test_money_that_is_in_the_way_is_said_before_anything_is_asked_for(
    org: Org, action: str, money: dict[str, Any], words: str
) -> None:
    """What the worker would refuse after minutes is on the record, so the dialogue says it."""
    flow = org.package.actions[f"Stripe_Invoice__c.{action}"].flow
    assert at(Interview(org, flow, {"recordId": invoice(org, "Open", **money)})) != "Confirm"
    assert words in said(Interview(org, flow, {"recordId": id_of(org, INVOICE, "INV-0001")}))
    none = {"Amount_Paid__c": 0, "Amount_Credited__c": 0, "Payment_State__c": "Unpaid"}
    assert at(Interview(org, flow, {"recordId": invoice(org, "Open", **none)})) == "Confirm"
    paid = invoice(org, "Paid", **money)
    assert at(Interview(org, flow, {"recordId": paid})) == "Not_Possible"


def test_what_was_chosen_is_asked_for_by_its_value(org: Org) -> None:
    """A text would have the label that people read, which nobody behind it knows."""
    credit = Interview(org, "Invoice_Credit", {"recordId": invoice(org, "Open")})
    credit.next(as_shown(credit) | {"Give_Back": "Back_Refund", "Reason": "Why_Order_Change"})
    payment = Interview(org, "Invoice_Record_Payment", {"recordId": invoice(org, "Open")})
    payment.next(as_shown(payment) | {"Paid_By": "By_Bank_Transfer"})
    asked = "\n".join(row["Parameters__c"] for row in all_of(org, "Stripe_Invoice_Request__c"))
    assert "give_back: refund\nreason: order change\n" in asked
    assert "paid_by: bank transfer\n" in asked


def test_a_credited_invoice_can_be_voided(org: Org) -> None:
    """Nothing would be asked for again; the worker allows it, so the dialogue does."""
    credited = invoice(org, "Open", Amount_Credited__c=50)
    assert at(Interview(org, "Invoice_Void", {"recordId": credited})) == "Confirm"


def test_a_second_press_says_what_is_asked_for_already(org: Org) -> None:
    """Whoever clicks twice is told, and nothing is asked for again."""
    draft = invoice(org)
    flow = "Invoice_Send_To_Customer"
    first, second = (Interview(org, flow, {"recordId": draft}) for _ in range(2))
    first.next(as_shown(first))
    assert "When it is done" in said(first)
    asked = all_of(org, "Stripe_Invoice_Request__c")
    second.next(as_shown(second))
    later = Interview(org, flow, {"recordId": draft})
    while at(later) == "Confirm":
        later.next(as_shown(later))
    assert "asked for" in said(later)
    assert at(later) == "Busy"
    assert all_of(org, "Stripe_Invoice_Request__c") == asked != []


def test_whoever_deletes_a_draft_is_not_sent_to_its_page(org: Org) -> None:
    """It is gone with its list of requests; all of them have a tab of their own."""
    interview = Interview(org, "Invoice_Delete_Draft", {"recordId": invoice(org)})
    interview.next(as_shown(interview))
    assert "on the page of the invoice" not in said(interview)
    assert "tab Invoice Requests" in said(interview)


def test_the_last_screen_follows_the_very_request(org: Org) -> None:
    """The package's own component is given the id of what was just asked for."""
    interview = Interview(org, "Invoice_Send_To_Customer", {"recordId": invoice(org)})
    interview.next(as_shown(interview))
    [request] = all_of(org, "Stripe_Invoice_Request__c")
    [followed] = [shown for shown in interview.shown() if shown.kind == "component"]
    assert followed.component == "requestProgress"
    assert followed.properties == {"requestId": request["Id"]}
    assert followed.records == [request["Id"]]


def changed_flow(tmp_path: Path, before: str, after: str) -> Org:
    """The demo org with one thing in Raise Invoice changed."""
    own = shutil.copytree(CORE, tmp_path / "package")
    path = own / "flows/Raise_Invoice.flow-meta.xml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    return opened(own, MULTI_CURRENCY)


def test_what_cannot_be_run_is_refused_by_name(tmp_path: Path) -> None:
    """An element that nobody here knows is not passed over."""
    org = changed_flow(tmp_path, "<allowPause>false", "<rules/><allowPause>false")
    with pytest.raises(Unsupported, match="screens with rules cannot be run"):
        raise_on(org)


def test_a_screen_shows_what_depends_on_what_is_typed_into_it(tmp_path: Path) -> None:
    """A text of the value, and a field that is there for some values only."""
    rule = "<visibilityRule><conditions><leftValueReference>Due_Date</leftValueReference>"
    rule += "<operator>IsNull</operator><rightValue><booleanValue>true</booleanValue></rightValue>"
    rule += "</conditions></visibilityRule>"
    kind = "<fieldType>DropdownBox</fieldType>"
    org = changed_flow(tmp_path, kind, kind + rule)
    interview = raise_on(org)
    assert interview.screen is not None
    assert interview.screen.reacts
    names = [shown.name for shown in interview.screen.show()]
    interview.look_again({"Due_Date": "2020-12-24", "Payment_Terms": "Net_30"})
    assert set(names) - {shown.name for shown in interview.screen.show()} == {"Payment_Terms"}
    assert interview.screen.errors == {}


def test_a_text_about_no_record_ends_the_dialogue_in_words(tmp_path: Path) -> None:
    """As a flow does there: what is read of nothing is a fault that no way is given for."""
    org = changed_flow(tmp_path, "{!Get_Account.Name}", "{!Get_Opportunity.AccountId}")
    interview = raise_on(org)
    assert interview.shown() == []
    assert interview.failure == "Raise_Invoice: Get_Opportunity.AccountId is read of no record."


def test_a_fault_that_nothing_catches_takes_back_what_was_written(tmp_path: Path) -> None:
    """The interview ends, and says why."""
    way = "<faultConnector>\n            <targetReference>Undo</targetReference>\n"
    org = changed_flow(tmp_path, f"{way}        </faultConnector>", "")
    interview = raise_on(org)
    fill(interview, "Details", Due_Date="2099-12-24")
    add_item(interview, "Consulting", Quantity="9" * 20)
    fill(interview, "Summary", Next_Step="Create_Draft")
    assert interview.screen is None
    assert "NUMBER_OUTSIDE_VALID_RANGE" in interview.failure
    assert all_of(org, "Stripe_Invoice__c") == []

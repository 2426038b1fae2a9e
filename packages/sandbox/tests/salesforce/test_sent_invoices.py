"""What people are kept from once an invoice was sent, by the package's own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.common.serve import running
from sandbox.salesforce import deletion, records
from sandbox.salesforce.app import application
from sandbox.salesforce.org import Org, open_org
from sandbox.salesforce.store import Row

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
ACME = "001Hs0000000001IAA"
INVOICE, LINE = "Stripe_Invoice__c", "Stripe_Invoice_Line__c"
REQUEST = "Stripe_Invoice_Request__c"
API = "services/data/v67.0/sobjects"
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def org() -> Org:
    """An org whose records the test may change behind its back."""
    return open_org(METADATA)


@pytest.fixture
def url(org: Org) -> Iterator[str]:
    """The sandbox; yields its URL."""
    with running(lambda url: application(org, url)) as url:
        yield url


@pytest.fixture
def draft(org: Org, url: str) -> str:
    """A draft of 2 at 50.00 on Acme."""
    body = {"Account__c": ACME, "Currency__c": "USD", "Due_Date__c": "2099-12-24"}
    made = records.create(org, org.sobject(INVOICE), {**body, "Total__c": 100})
    line = {"Invoice__c": made, "Currency__c": "USD", "Quantity__c": 2, "Unit_Price__c": 50}
    records.create(org, org.sobject(LINE), line)
    return made


@pytest.fixture
def sent(org: Org, draft: str) -> str:
    """The same, as the integration leaves it when it is sent."""
    fields = {"Status__c": "Open", "Stripe_Invoice_Id__c": "in_1", "Amount_Due__c": 100}
    return records.update(org, org.sobject(INVOICE), draft, fields)


def only(org: Org, name: str) -> Row:
    """The only record of an object."""
    [row] = org.store.where(org.sobject(name), "IsDeleted = 0", [])
    return row


def caller(url: str, name: str, sets: list[str] | None) -> Call:
    """Somebody who calls the API: with permission sets, or as an administrator."""
    order = {"name": name, "permission_sets": sets}
    token = requests.post(f"{url}/_sandbox/people", json=order, timeout=60).json()["access_token"]

    def call(method: str, path: str, **body: Any) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.request(
            method, f"{url}/{API}/{path}", json=body or None, headers=headers, timeout=60
        )
        return answer.status_code, answer.text

    return call


@pytest.fixture
def admin(url: str) -> Call:
    """An administrator, who may everything that a profile allows."""
    return caller(url, "Ada Min", None)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an amount": ({"Total__c": 1}, "Press Credit or Replace"),
    "what is due": ({"Amount_Due__c": 0, "Payment_State__c": "Paid"}, "Record Payment"),
    "a link": ({"Hosted_Invoice_URL__c": "https://pay.example.com"}, "Sync Invoice"),
    "the status": ({"Status__c": "Paid"}, "press Send To Customer, Record Payment"),
    "the id in Stripe": ({"Stripe_Invoice_Id__c": "in_2"}, "nobody writes them here"),
    "the due date": ({"Due_Date__c": "2099-12-31"}, "Press Replace for a corrected one"),
    "a text": ({"Footer__c": "Thanks"}, "or Clone Invoice for another draft"),
    "a discount": ({"Discount_Percent__c": 50}, "stay as they are"),
    "who is billed": ({"Bill_To__c": None, "PO_Number__c": "17"}, "who is billed"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_administrator_cannot_change_what_was_sent(
    org: Org, admin: Call, sent: str, what: str
) -> None:
    """Through the API, where no page stands in the way: a sentence says what to press instead."""
    values, said = REFUSED[what]
    before = only(org, INVOICE)
    status, text = admin("PATCH", f"{INVOICE}/{sent}", **values)
    assert status == 400
    assert "FIELD_CUSTOM_VALIDATION_EXCEPTION" in text
    assert said in text
    assert only(org, INVOICE) == before


def test_a_person_at_the_page_is_told_what_to_press(org: Org, url: str, sent: str) -> None:
    """The form stays open, with the sentence on it."""
    edit = f"{url}/lightning/r/{INVOICE}/{sent}/edit"
    form = {"Account__c": ACME, "Currency__c": "USD", "Due_Date__c": "2099-12-24"}
    answer = requests.post(edit, data=form | {"Due_Date__c": "2099-12-31"}, timeout=60)
    assert answer.status_code == 400
    assert "Press Replace for a corrected one in its place" in answer.text
    assert only(org, INVOICE)["Due_Date__c"] == "2099-12-24"


def test_what_people_own_stays_theirs(org: Org, url: str, sent: str, admin: Call) -> None:
    """Owner, Opportunity, and the field by which programs ask for an action."""
    [opportunity, *_] = org.store.where(org.sobject("Opportunity"), "1 = 1", [])
    una = caller(url, "Una Sales", ["Invoice_User"])
    own = {"Opportunity__c": opportunity["Id"], "Action_Requested__c": "Sync"}
    assert una("PATCH", f"{INVOICE}/{sent}", **own) == (204, "")
    owner = org.store.where(org.sobject("User"), "Name = ?", ["Una Sales"])[0]["Id"]
    assert admin("PATCH", f"{INVOICE}/{sent}", OwnerId=owner) == (204, "")
    assert admin("PATCH", f"{INVOICE}/{sent}", Total__c=100, Footer__c=None) == (204, "")


def test_a_discount_is_a_percentage_or_an_amount(
    org: Org, url: str, draft: str, admin: Call
) -> None:
    """Said where it is entered, not when somebody asks for a preview; of lines as of invoices."""
    una = caller(url, "Una Sales", ["Invoice_User"])
    both = {"Discount_Percent__c": 10, "Discount_Amount__c": 5}
    line = {"Invoice__c": draft, "Quantity__c": 1, "Unit_Price__c": 9}
    said = "Fill in Discount Percent or Discount Amount, not both."
    refused = [
        una("PATCH", f"{INVOICE}/{draft}", **both),
        una("POST", LINE, **line, **both),
        admin("PATCH", f"{INVOICE}/{draft}", **both),
    ]
    for status, text in refused:
        assert (status, said in text, '"Discount_Amount__c"' in text) == (400, True, True)
    assert una("PATCH", f"{INVOICE}/{draft}", Discount_Percent__c=10) == (204, "")
    other = {"Discount_Percent__c": None, "Discount_Amount__c": 5}
    assert una("PATCH", f"{INVOICE}/{draft}", **other) == (204, "")
    assert una("POST", LINE, **line, Discount_Amount__c=5)[0] == 201


def test_a_draft_is_the_peoples(org: Org, url: str, draft: str) -> None:
    """Its content and its lines; its status and its ids in Stripe are nobody's."""
    una = caller(url, "Una Sales", ["Invoice_User"])
    content = {"Due_Date__c": "2099-12-31", "Footer__c": "Thanks", "Discount_Percent__c": 5}
    assert una("PATCH", f"{INVOICE}/{draft}", **content) == (204, "")
    more = {"Invoice__c": draft, "Quantity__c": 1, "Unit_Price__c": 9}
    assert una("POST", LINE, **more)[0] == 201
    for line in org.store.where(org.sobject(LINE), "1 = 1", []):
        assert una("PATCH", f"{LINE}/{line['Id']}", Quantity__c=3) == (204, "")
        assert una("DELETE", f"{LINE}/{line['Id']}") == (204, "")
    assert una("PATCH", f"{INVOICE}/{draft}", Status__c="Open")[0] == 400
    admin = caller(url, "Ada Min", None)
    for values in ({"Status__c": "Open"}, {"Stripe_Customer_Id__c": "cus_1"}):
        assert "nobody writes them here" in admin("PATCH", f"{INVOICE}/{draft}", **values)[1]


def test_an_invoice_begins_as_a_draft(org: Org, admin: Call) -> None:
    """Nobody but the integration makes one that is open, or that Stripe is said to know."""
    body = {"Account__c": ACME, "Currency__c": "USD"}
    assert "A new invoice is a draft" in admin("POST", INVOICE, **body, Status__c="Open")[1]
    ids = {"Invoice_Id": "in_3", "Customer_Id": "cus_3", "Account_Id": "acct_3"}
    for known in ({f"Stripe_{name}__c": id_ for name, id_ in ids.items()}, {"Livemode__c": True}):
        for name, value in known.items():
            said = admin("POST", INVOICE, **body, **{name: value})[1]
            assert "A new invoice is a draft" in said
    assert admin("POST", INVOICE, **body)[0] == 201


def test_lines_of_a_sent_invoice_stay(org: Org, admin: Call, sent: str) -> None:
    """None is added, changed or deleted."""
    line = only(org, LINE)
    more = {"Invoice__c": sent, "Quantity__c": 1, "Unit_Price__c": 9}
    assert "cannot be added or changed" in admin("POST", LINE, **more)[1]
    for values in ({"Quantity__c": 1}, {"Description__c": "Other"}, {"Position__c": 2}):
        status, text = admin("PATCH", f"{LINE}/{line['Id']}", **values)
        assert status == 400
        assert "cannot be added or changed" in text
    status, text = admin("DELETE", f"{LINE}/{line['Id']}")
    assert status == 400
    assert "cannot be deleted" in text
    assert "Press Credit" in text
    after = only(org, LINE)
    assert (after["Quantity__c"], after["IsDeleted"]) == (2, 0)
    assert only(org, INVOICE)["Draft_Lines__c"] == 1


def test_no_permission_set_lets_people_delete_an_invoice(url: str, sent: str) -> None:
    """A draft goes by Delete Draft, and what was sent not at all."""
    una = caller(url, "Una Sales", ["Invoice_User"])
    ann = caller(url, "Ann Ledger", ["Invoice_User", "Invoice_Approver"])
    for person in (una, ann):
        status, text = person("DELETE", f"{INVOICE}/{sent}")
        assert status == 403
        assert "INSUFFICIENT_ACCESS" in text


@pytest.mark.parametrize("status", ["Open", "Paid", "Uncollectible", "Void"])
def test_an_administrator_cannot_delete_what_was_sent(
    org: Org, admin: Call, sent: str, status: str
) -> None:
    """One by one, or many in one call: it stays, and a sentence says what to press instead."""
    records.update(org, org.sobject(INVOICE), sent, {"Status__c": status})
    for path in (f"{INVOICE}/{sent}", f"../composite/sobjects?ids={sent}"):
        said = admin("DELETE", path)[1]
        assert "FIELD_CUSTOM_VALIDATION_EXCEPTION" in said
        assert "Press Void if nothing of it is to be paid, Credit" in said
    assert only(org, INVOICE)["Status__c"] == status
    assert only(org, LINE)["Invoice__c"] == sent


def test_a_person_who_deletes_at_the_page_is_told(org: Org, url: str, sent: str) -> None:
    """What refuses the API refuses the page."""
    answer = requests.post(f"{url}/lightning/r/{INVOICE}/{sent}/delete", timeout=60)
    assert answer.status_code == 400
    assert "Press Void if nothing of it is to be paid" in answer.text
    assert only(org, INVOICE)["Id"] == sent


def test_a_draft_that_stripe_has_goes_by_its_button(org: Org, admin: Call, draft: str) -> None:
    """Deleted here alone, it would be left behind there; once Stripe's is deleted, it may go."""
    records.update(org, org.sobject(INVOICE), draft, {"Stripe_Invoice_Id__c": "in_1"})
    assert "Press Delete Draft: it deletes both" in admin("DELETE", f"{INVOICE}/{draft}")[1]
    records.update(org, org.sobject(INVOICE), draft, {"Status__c": "Deleted"})
    line = only(org, LINE)["Id"]
    assert admin("DELETE", f"{LINE}/{line}") == (204, "")
    assert admin("DELETE", f"{INVOICE}/{draft}") == (204, "")


def test_a_draft_takes_its_lines_with_it(org: Org, admin: Call, draft: str) -> None:
    """Nothing asks for lines that go because their invoice goes; its request loses its invoice."""
    body = {"Invoice__c": draft, "Action__c": "Preview"}
    records.create(org, org.sobject(REQUEST), body)
    assert admin("DELETE", f"{INVOICE}/{draft}") == (204, "")
    assert org.store.where(org.sobject(LINE), "IsDeleted = 0", []) == []
    assert only(org, REQUEST)["Invoice__c"] is None


def test_nobody_deletes_a_request(org: Org, url: str, admin: Call, draft: str) -> None:
    """It says who asked for what; whoever mirrors Stripe may clear old ones away."""
    body = {"Invoice__c": draft, "Action__c": "Preview"}
    request = records.create(org, org.sobject(REQUEST), body)
    status, text = admin("DELETE", f"{REQUEST}/{request}")
    assert status == 400
    assert "Requests say who asked for what" in text
    assert only(org, REQUEST)["Invoice__c"] == draft
    mirror = records.create(org, org.sobject(REQUEST), body | {"Action__c": "Sync"})
    with org.asked_by(None):
        deletion.delete(org, org.sobject(REQUEST), mirror)


def test_the_integration_deletes_what_it_has_to(url: str, draft: str) -> None:
    """The draft of Delete Draft, which Stripe had; and what somebody has to be rid of."""
    user = caller(url, "Inte Gration", ["Invoice_Integration"])
    assert (
        user("PATCH", f"{INVOICE}/{draft}", Status__c="Open", Stripe_Invoice_Id__c="in_1")[0] == 204
    )
    assert user("DELETE", f"{INVOICE}/{draft}") == (204, "")


def test_the_integration_writes_all_of_it(org: Org, url: str, sent: str) -> None:
    """Its permission set has the custom permission that the rules ask for."""
    user = caller(url, "Inte Gration", ["Invoice_Integration"])
    for values, _ in REFUSED.values():
        assert user("PATCH", f"{INVOICE}/{sent}", **values) == (204, "")
    line = only(org, LINE)["Id"]
    assert user("PATCH", f"{LINE}/{line}", Quantity__c=1, Amount__c=50) == (204, "")
    assert user("DELETE", f"{LINE}/{line}") == (204, "")
    more = {"Invoice__c": sent, "Quantity__c": 1, "Unit_Price__c": 9}
    assert user("POST", LINE, **more)[0] == 201

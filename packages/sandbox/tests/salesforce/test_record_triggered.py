"""What the package's record-triggered flows do as a draft and its lines are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.salesforce import deletion, records
from sandbox.salesforce.org import Org, open_org
from sandbox.salesforce.seed import seed

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
INVOICE, LINE = "Stripe_Invoice__c", "Stripe_Invoice_Line__c"
PREVIEW = {
    "Previewed_Total__c": 119,
    "Previewed_Tax__c": 19,
    "Previewed_Amount_Due__c": 119,
    "Previewed_At__c": "2026-11-30T10:00:00Z",
}


@pytest.fixture
def org() -> Org:
    """The demo org."""
    org = open_org(METADATA)
    seed(org)
    return org


@pytest.fixture
def draft(org: Org) -> str:
    """A draft of 2 at 50.00, previewed as 119.00."""
    [account] = org.store.where(org.sobject("Account"), "Name = ?", ["Globex"])
    body = {"Account__c": account["Id"], "Currency__c": "USD", "Due_Date__c": "2099-12-24"}
    made = records.create(org, org.sobject(INVOICE), body)
    line = {"Invoice__c": made, "Currency__c": "USD", "Quantity__c": 2, "Unit_Price__c": 50}
    records.create(org, org.sobject(LINE), line)
    return records.update(org, org.sobject(INVOICE), made, PREVIEW)


def previewed(org: Org, draft: str) -> list[Any]:
    """What the record says of its preview."""
    row = org.store.get(org.sobject(INVOICE), draft)
    assert row is not None
    return [row[name] for name in PREVIEW]


@pytest.mark.parametrize(
    "values",
    [{"Discount_Percent__c": 5}, {"Tax_Rates__c": "txr_1"}, {"Automatic_Tax__c": True}],
    ids=str,
)
def test_a_preview_goes_once_the_draft_is_another(
    org: Org, draft: str, values: dict[str, Any]
) -> None:
    """Whoever changes what decides the sum; all four fields together."""
    records.update(org, org.sobject(INVOICE), draft, {"Footer__c": "Thanks", "PO_Number__c": "17"})
    assert previewed(org, draft)[0] == 119
    records.update(org, org.sobject(INVOICE), draft, values)
    assert previewed(org, draft) == [None] * 4


@pytest.mark.parametrize("how", ["added", "changed", "deleted"])
def test_a_preview_goes_with_a_line(org: Org, draft: str, how: str) -> None:
    """A line saves its invoice, which adds its lines up; a text does not change the sum."""
    lines = org.sobject(LINE)
    [line] = org.store.where(lines, "IsDeleted = 0", [])
    records.update(org, lines, line["Id"], {"Description__c": "Work"})
    assert previewed(org, draft)[0] == 119
    if how == "added":
        more = {"Invoice__c": draft, "Currency__c": "USD", "Quantity__c": 1, "Unit_Price__c": 9}
        records.create(org, lines, more)
    elif how == "changed":
        records.update(org, lines, line["Id"], {"Quantity__c": 3})
    else:
        deletion.delete(org, lines, line["Id"])
    assert previewed(org, draft) == [None] * 4


def test_a_preview_that_is_written_with_its_draft_stays(org: Org, draft: str) -> None:
    """It is newer than the change; and nothing is cleared of what was sent."""
    later = PREVIEW | {"Previewed_At__c": "2026-11-30T11:00:00Z", "Discount_Percent__c": 5}
    records.update(org, org.sobject(INVOICE), draft, later)
    assert previewed(org, draft)[0] == 119
    records.update(org, org.sobject(INVOICE), draft, {"Status__c": "Open"})
    records.update(org, org.sobject(INVOICE), draft, {"Discount_Percent__c": 6})
    assert previewed(org, draft)[0] == 119


@pytest.mark.parametrize("currency", ["JPY", "EUR"])
def test_a_line_without_a_currency_gets_its_invoices(org: Org, draft: str, currency: str) -> None:
    """As it is typed, or changed; so its amount is rounded as Stripe rounds it."""
    invoices, lines = org.sobject(INVOICE), org.sobject(LINE)
    records.update(org, invoices, draft, {"Currency__c": currency})
    made = records.create(org, lines, {"Invoice__c": draft, "Quantity__c": 3, "Unit_Price__c": 0.5})
    [typed] = org.store.where(lines, "Id = ?", [made])
    rounded = 2 if currency == "JPY" else 1.5
    assert (typed["Currency__c"], typed["Draft_Amount__c"]) == (currency, rounded)
    records.update(org, lines, made, {"Currency__c": None})
    [emptied] = org.store.where(lines, "Id = ?", [made])
    assert emptied["Currency__c"] == currency


def test_a_line_of_a_sent_invoice_stays_without_a_currency(org: Org, draft: str) -> None:
    """Fields that an org adds can be changed on it: no rule finds another currency."""
    lines = org.sobject(LINE)
    made = records.create(org, lines, {"Invoice__c": draft, "Quantity__c": 3, "Unit_Price__c": 0.5})
    org.store.update(lines, made, {"Currency__c": None})
    records.update(org, org.sobject(INVOICE), draft, {"Status__c": "Open"})
    records.update(org, lines, made, {"Description__c": "Work"})
    [sent] = org.store.where(lines, "Id = ?", [made])
    assert sent["Currency__c"] is None

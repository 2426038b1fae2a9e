"""What the org works out by itself: formula fields and roll-ups, whoever writes and however."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from sandbox.salesforce.org import open_org
from sandbox.salesforce.records import create
from sandbox.salesforce.schema_loader import load_schema

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
LINE = "objects/Stripe_Invoice_Line__c/fields/Draft_Amount__c.field-meta.xml"


@pytest.fixture
def invoice(sf: Any, acme: str) -> str:
    """An invoice without lines."""
    return str(sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"])


def add(sf: Any, invoice: str, **fields: Any) -> str:
    """Add a line of 2 at 10.005."""
    line = {"Invoice__c": invoice, "Quantity__c": 2, "Unit_Price__c": 10.005, **fields}
    return str(sf.Stripe_Invoice_Line__c.create(line)["id"])


def drafted(sf: Any, invoice: str) -> tuple[float, float]:
    """Number and sum of an invoice's lines, as its record has them."""
    record = sf.Stripe_Invoice__c.get(invoice)
    return record["Draft_Lines__c"], record["Draft_Subtotal__c"]


def test_a_master_adds_up_its_details(sf: Any, invoice: str) -> None:
    """It does so when a line is added, changed, deleted and taken back."""
    assert drafted(sf, invoice) in {(0, 0), (None, None)}
    first, second = add(sf, invoice), add(sf, invoice, Discount_Percent__c=50)
    assert drafted(sf, invoice) == (2, 20.01 + 10.00)
    sf.Stripe_Invoice_Line__c.update(second, {"Discount_Percent__c": None, "Discount_Amount__c": 5})
    assert drafted(sf, invoice) == (2, 35.02)
    sf.Stripe_Invoice_Line__c.delete(first)
    assert drafted(sf, invoice) == (1, 15.01)


def test_what_is_taken_back_from_the_bin_counts_again(sf: Any, admin: Any, invoice: str) -> None:
    """A line out of the recycle bin is a line."""
    line = add(sf, invoice)
    sf.Stripe_Invoice_Line__c.delete(line)
    assert drafted(sf, invoice) == (0, 0)
    admin("POST", "undelete", json={"ids": [line]})
    assert drafted(sf, invoice) == (1, 20.01)


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({"Currency__c": "JPY"}, 20),
        ({"Currency__c": "kwd"}, 20.01),
        ({"Currency__c": "KWD", "Unit_Price__c": 1.0025}, 2.01),
        ({"Unit_Price__c": 0.000001, "Unit_Price_Exact__c": "0.0000005", "Quantity__c": 1e6}, 0.5),
        ({"Unit_Price_Exact__c": "about ten"}, 20.01),
        ({"Unit_Price_Exact__c": "7"}, 20.01),
    ],
)
def test_a_formula_follows_its_own_record(
    sf: Any, invoice: str, fields: dict[str, Any], amount: float
) -> None:
    """It is rounded as the currency is; an exact price counts while it agrees with the shown."""
    line = add(sf, invoice, **fields)
    assert sf.Stripe_Invoice_Line__c.get(line)["Draft_Amount__c"] == amount


def test_nobody_writes_what_is_worked_out(sf: Any, invoice: str, refused: Any) -> None:
    """The describe says so, and a write is refused."""
    fields = {f["name"]: f for f in sf.Stripe_Invoice_Line__c.describe()["fields"]}
    formula = fields["Draft_Amount__c"]
    assert (formula["calculated"], formula["updateable"], formula["scale"]) == (True, False, 2)
    assert formula["calculatedFormula"].startswith("ROUND(")
    summed = {f["name"]: f for f in sf.Stripe_Invoice__c.describe()["fields"]}["Draft_Subtotal__c"]
    assert (summed["calculated"], summed["type"], summed["createable"]) == (True, "double", False)
    with refused("INVALID_FIELD_FOR_INSERT_UPDATE", "Draft_Amount__c"):
        add(sf, invoice, Draft_Amount__c=1)


def test_queries_find_and_sort_by_it(sf: Any, invoice: str) -> None:
    """As by any other number."""
    add(sf, invoice)
    where = f"Draft_Subtotal__c = 20.01 AND Id = '{invoice}' ORDER BY Draft_Subtotal__c"
    assert sf.query(f"SELECT Id FROM Stripe_Invoice__c WHERE {where}")["totalSize"] == 1
    summed = sf.query("SELECT SUM(Draft_Amount__c) FROM Stripe_Invoice_Line__c")["records"]
    assert summed[0]["expr0"] == 20.01


def test_generated_invoices_are_added_up(sf: Any, admin: Any) -> None:
    """What is written in bulk has it too."""
    admin("POST", "generate", json={"accounts": 2, "invoices": 5, "lines": 3})
    [row] = sf.query("SELECT SUM(Draft_Subtotal__c), SUM(Draft_Lines__c) FROM Stripe_Invoice__c")[
        "records"
    ]
    [lines] = sf.query("SELECT SUM(Draft_Amount__c), COUNT(Id) FROM Stripe_Invoice_Line__c")[
        "records"
    ]
    assert (row["expr0"], row["expr1"]) == (pytest.approx(lines["expr0"]), lines["expr1"])
    assert row["expr0"] > 0


def test_a_roll_up_that_is_new_counts_what_was_there(tmp_path: Path) -> None:
    """A field added to the package is worked out for the records that exist."""
    data, before = str(tmp_path / "org.db"), shutil.copytree(METADATA, tmp_path / "before")
    for name in ("Draft_Subtotal__c", "Draft_Lines__c"):
        (before / f"objects/Stripe_Invoice__c/fields/{name}.field-meta.xml").unlink()
    (before / LINE).unlink()
    org = open_org(before, data)
    account = create(org, org.sobject("Account"), {"Name": "Acme"})
    values = {"Account__c": account, "Currency__c": "USD"}
    invoice = create(org, org.sobject("Stripe_Invoice__c"), values)
    line = {"Invoice__c": invoice, "Quantity__c": 3, "Unit_Price__c": 1.5}
    create(org, org.sobject("Stripe_Invoice_Line__c"), line)
    org.store.close()
    org = open_org(METADATA, data)
    record = org.store.get(org.sobject("Stripe_Invoice__c"), invoice)
    assert record is not None
    assert (record["Draft_Lines__c"], record["Draft_Subtotal__c"]) == (1, 4.5)
    org.store.close()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("ISNUMBER(", "HYPERLINK(", "the function HYPERLINK is not known here"),
        ("UPPER(Currency__c)", "UPPER(Invoice__r.Currency__c)", "refers to Invoice__r.Currency__c"),
        ("Discount_Amount__c", "Draft_Amount__c", "refers to Draft_Amount__c"),
    ],
)
def test_a_formula_that_is_not_known_is_refused_at_start(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    """Better than a number that is silently another."""
    metadata = shutil.copytree(METADATA, tmp_path / "package")
    text = (metadata / LINE).read_text(encoding="utf-8")
    (metadata / LINE).write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        load_schema(metadata)

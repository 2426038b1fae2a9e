"""Input with mistakes is refused with every reason at once, and nothing is written anywhere."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from flows.raise_invoice import raise_invoice
from flows.revise_invoice import revise_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import CustomFieldItem, LineChange, LineItem, Options
from invoicing.domain.model.invoice import MAX_LINES
from invoicing.errors import Rejected
from invoicing.settings import settings
from tasks.runtime.clock import today
from tests.conftest import Sandbox
from tests.flows.conftest import Org

Raise = Callable[..., InvoiceOutcome]
Mistake = tuple[dict[str, Any], str]

MISTAKES: list[Mistake] = [
    ({"product": "Moon Base"}, "'Moon Base' is not in the USD price book"),
    ({"product": "Fax Module"}, "'Fax Module' is not active in the USD price book"),
    ({"product": "Consulting", "quantity": "-1"}, "the quantity must be above zero, not -1"),
    ({"product": "Consulting", "quantity": "0"}, "the quantity must be above zero, not 0"),
    ({"product": "Consulting", "quantity": "1.1234567"}, "has more than 6 decimals"),
    ({"product": "Consulting", "quantity": "123456789012.3456"}, "has more than 15 digits"),
    ({"product": "Consulting", "quantity": "1" + "0" * 70}, "the quantity must be above zero"),
    ({"product": "Consulting", "unit_price": "-0.01"}, "the unit price cannot be -0.01"),
    ({"product": "Consulting", "unit_price": "0.0000000000001"}, "has more than 12 decimals"),
    ({"product": "Consulting", "unit_price": "0.005"}, "0.005 has more decimals than USD has"),
    ({"product": "Consulting", "unit_price": "99999999999"}, "more than Stripe can bill"),
    ({"description": "Free text"}, "a line without a product needs a unit price"),
    ({"unit_price": "5"}, "choose a product or write a description"),
    ({"product": "Consulting", "description": "x" * 256}, "more than 255 characters"),
    (
        {"product": "Consulting", "discount_percent": "5", "discount_amount": "5"},
        "the discount has a percentage and an amount; fill in Discount Percent",
    ),
    ({"product": "Consulting", "discount_percent": "100.01"}, "at most 100 percent"),
    ({"product": "Consulting", "discount_percent": "0"}, "must be above 0"),
    ({"product": "Consulting", "discount_percent": "3.333"}, "has more than 2 decimals"),
    ({"product": "Consulting", "discount_amount": "150.01"}, "more than the 150.00 USD"),
    ({"product": "Consulting", "discount_amount": "0.001"}, "has more decimals than USD"),
]


@pytest.fixture
def nothing_written(
    org: Org, salesforce_sandbox: Sandbox, stripe_sandbox: Sandbox
) -> Iterator[None]:
    """Salesforce is afterwards as it was, and Stripe was asked for nothing but to be read."""

    def everything() -> list[Any]:
        found = org.query("SELECT Id, SystemModstamp FROM Stripe_Invoice__c ORDER BY Id")
        found += org.query("SELECT Id, SystemModstamp FROM Stripe_Invoice_Line__c ORDER BY Id")
        return found + org.query("SELECT Id, SystemModstamp FROM Account ORDER BY Id")

    before = everything()
    stripe_sandbox.admin("DELETE", "requests")
    yield
    assert everything() == before
    asked = stripe_sandbox.admin("GET", "requests")["requests"]
    assert [one for one in asked if one["method"] != "GET"] == []


def refused(**form: Any) -> list[str]:
    """The reasons for which a form is refused."""
    good = {"account": "Acme Corporation", "description": "November", "due_date": today()}
    ask: Callable[..., InvoiceOutcome] = raise_invoice
    with pytest.raises(Rejected) as refusal:
        ask(**good | {"lines": [LineItem(product="Consulting")]} | form)
    return refusal.value.reasons


@pytest.mark.usefixtures("nothing_written")
def test_thousands_of_lines_with_mistakes() -> None:
    """Each wrong line is named by its number with its reason; right ones are not."""
    dice = random.Random(7)  # noqa: S311
    for _ in range(12):
        chosen = [dice.choice([*MISTAKES, None]) for _ in range(MAX_LINES)]
        right = {"product": "Consulting"}
        items = [LineItem(**(mistake[0] if mistake else right)) for mistake in chosen]
        reasons = refused(lines=items)
        for number, mistake in enumerate(chosen, 1):
            named = [r for r in reasons if r.startswith((f"Line {number}:", f"Line {number} ("))]
            if mistake is None:
                assert named == []
            else:
                assert any(mistake[1] in reason for reason in named), (mistake, named)


HEADER: list[Mistake] = [
    ({"account": "Nobody Inc"}, "There is no Account 'Nobody Inc'"),
    ({"due_date": None}, "The due date is missing"),
    ({"options": Options(payment_terms="Net 30")}, "either a due date or payment terms"),
    ({"currency": "XXX"}, "'XXX' is not a currency that Stripe bills in"),
    ({"currency": "GBP"}, "'Consulting' is not in the GBP price book"),
    ({"description": "x" * 1501}, "The description has more than 1,500 characters"),
    ({"lines": []}, "The invoice has no lines"),
    ({"lines": [LineItem(product="Consulting")] * 251}, "251 lines; Stripe allows 250"),
    ({"options": Options(footer="x" * 5001)}, "The footer has 5,001 characters"),
    ({"options": Options(po_number="x" * 141)}, "The PO number needs a value"),
    (
        {
            "options": Options(
                po_number="1",
                custom_fields=[CustomFieldItem(name=str(n), value="x") for n in range(4)],
            )
        },
        "5 custom fields with the PO number; Stripe allows 4",
    ),
    (
        {"options": Options(custom_fields=[CustomFieldItem(name="x" * 41, value="x")])},
        "needs a name of 1 to 40 characters",
    ),
    (
        {"options": Options(custom_fields=[CustomFieldItem(name="A", value="x")] * 2)},
        "the custom field 'a' is there more than once",
    ),
    (
        {"options": Options(discount_percent="5", discount_amount="5")},
        "The discount has a percentage and an amount; fill in Discount Percent",
    ),
    ({"options": Options(discount_amount="150.01")}, "more than the 150.00 USD"),
    ({"options": Options(tax_rates=["VAT"])}, "There is no tax rate 'VAT'"),
    ({"options": Options(tax_rates=["txr_nope"])}, "Stripe has no active tax rate txr_nope"),
    ({"options": Options(stripe_tax="on", tax_rates=["x"])}, "either Stripe Tax or tax rates"),
    ({"options": Options(payment_methods=["shells"])}, "'shells' is not a payment method"),
    ({"options": Options(template="blue")}, "'blue' is not a rendering template"),
    ({"options": Options(collection="Charge Automatically")}, "has no due date"),
]


@pytest.mark.usefixtures("nothing_written")
def test_each_mistake_of_the_header() -> None:
    """Whatever is wrong above the lines is said in words."""
    for form, sentence in HEADER:
        reasons = refused(**form)
        assert any(sentence.casefold() in r.casefold() for r in reasons), (sentence, reasons)


@pytest.mark.usefixtures("nothing_written")
def test_all_mistakes_are_told_at_once() -> None:
    """Account, dates, options and lines: one refusal, so that one correction is enough."""
    reasons = refused(
        account="Nobody Inc",
        due_date=today() - timedelta(days=1),
        lines=[LineItem(product="Moon Base"), LineItem(product="Consulting", quantity="-3")],
        options=Options(
            payment_terms="Net 15",
            send_on=today() - timedelta(days=2),
            tax_rates=["VAT"],
            stripe_tax="on",
            footer="x" * 6000,
        ),
    )
    assert len(reasons) == 9


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_due_date_has_passed_at_the_business_midnight(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Yesterday is the business's yesterday, though it may still be today elsewhere."""
    monkeypatch.setenv("INVOICING_BUSINESS__TIME_ZONE", zone)
    settings.cache_clear()
    local = datetime.now(settings().business.zone).date()
    assert today() == local
    assert any("has passed" in reason for reason in refused(due_date=local - timedelta(days=1)))
    assert raise_invoice("Acme Corporation", "x", [LineItem(product="Consulting")], local).name


def test_an_account_that_was_merged_away(org: Org) -> None:
    """The loser of a merge is gone; its id is refused."""
    [account] = org.query("SELECT Id FROM Account WHERE Name = 'Globex'")
    salesforce.client().write_graph(
        [
            {
                "method": "DELETE",
                "path": f"sobjects/Account/{account['Id']}",
                "referenceId": "gone",
            }
        ]
    )
    [reason] = refused(account=account["Id"])
    assert reason == (
        f"There is no Account '{account['Id']}' in Salesforce; it may have been merged or deleted."
    )
    assert org.count() == 0


def test_a_revision_with_mistakes_changes_nothing(draft: Raise, org: Org) -> None:
    """Lines, options and what is to be cleared are checked together."""
    name = draft().name
    [before] = org.query("SELECT Total__c, Footer__c, Due_Date__c FROM Stripe_Invoice__c")
    with pytest.raises(Rejected) as refusal:
        revise_invoice(
            invoice=name,
            change=[
                LineChange(line=1, product="Moon Base"),
                LineChange(line=2, discount_percent="5", discount_amount="5"),
            ],
            add=[LineItem(description="No price")],
            options=Options(footer="x" * 6000, tax_rates=["VAT"]),
            clear=["due date"],
        )
    assert len(refusal.value.reasons) == 6
    [after] = org.query("SELECT Total__c, Footer__c, Due_Date__c FROM Stripe_Invoice__c")
    assert after == before

"""Texts that an org changes as it saves them: remembered by field, forgotten when they are not."""

import pytest

from invoicing.ledger import rewritten_values
from invoicing.ledger.models import OrgChange

pytestmark = pytest.mark.usefixtures("ledger_url")


def change(record_id: str, field: str, written: str, saved: str) -> OrgChange:
    """A change of an invoice's own field."""
    return OrgChange(
        record_id=record_id, field=field, invoice_id=record_id, written=written, saved=saved
    )


def test_what_is_looked_at_again_takes_the_place_of_what_was_found_before() -> None:
    """Of that record and field only."""
    first = [change("a1", "Number__c", "1", "US-1"), change("a2", "Number__c", "2", "US-2")]
    rewritten_values.remember([("a1", "Number__c"), ("a2", "Number__c")], first)
    rewritten_values.remember([("a1", "Number__c")], [change("a1", "Number__c", "7", "US-7")])
    assert rewritten_values.of_invoices(["a1", "a2"]) == {
        "a1": {"Number__c": ("7", "US-7")},
        "a2": {"Number__c": ("2", "US-2")},
    }
    rewritten_values.remember([("a2", "Number__c"), ("a2", "Footer__c")], [])
    assert rewritten_values.of_invoices(["a2"]) == {}


def test_fields_are_counted_by_invoices_with_an_example() -> None:
    """The most frequent first."""
    line = OrgChange(
        record_id="l1", field="Lines__r.Description__c", invoice_id="a1", written="x", saved="X"
    )
    numbers = [change(f"a{n}", "Number__c", f"{n}", f"US-{n}") for n in (1, 2)]
    rewritten_values.remember([], [line, *numbers])
    assert rewritten_values.by_field() == [
        ("Number__c", 2, "1", "US-1"),
        ("Lines__r.Description__c", 1, "x", "X"),
    ]
    assert rewritten_values.of_invoices(["a1"])["l1"] == {"Lines__r.Description__c": ("x", "X")}

"""How changes are said on a record's timeline."""

from decimal import Decimal
from typing import Any

import pytest

from invoicing.domain.model.money import Money
from invoicing.domain.salesforce.timeline_text import describe_change, listed

PAID = "Amount_Paid__c"


@pytest.mark.parametrize(
    ("changed", "what", "minor"),
    [
        ({"Status__c": ("Draft", "Open")}, "Draft → Open over 2,450.00 USD", 245000),
        (
            {"Status__c": ("Open", "Paid"), PAID: (Decimal(450), 2450.0)},
            "Open → Paid; paid 2,000.00 USD more, 2,450.00 USD in all",
            200000,
        ),
        ({"Status__c": ("Open", "Void"), PAID: (None, 0.0)}, "Open → Void", 245000),
        ({"Amount_Refunded__c": (None, 5.0)}, "Refunded 5.00 USD", 500),
        ({"Amount_Refunded__c": (5.0, None)}, "Refunded 0.00 USD, was 5.00 USD", -500),
        (
            {"Amount_Disputed__c": (None, 7.0), "Dispute_Status__c": (None, "Needs response")},
            "Disputed 7.00 USD; dispute: needs response",
            700,
        ),
        ({"Is_Overdue__c": (False, True)}, "Overdue", None),
        ({"Payment_Problem__c": ("No.", None)}, "The payment problem is gone", None),
        ({"Number__c": (None, "A-1")}, "Brought up to date: number", None),
        (
            {"Stripe_Invoice_Id__c": (None, "in_1"), "Livemode__c": (False, True)},
            "Linked to its invoice in Stripe",
            None,
        ),
        (
            {"Stripe_Invoice_Id__c": (None, "in_1"), "Number__c": (None, "A-1")},
            "Linked to its invoice in Stripe; brought up to date: number",
            None,
        ),
    ],
)
def test_a_change_is_said_with_its_amount(
    changed: dict[str, tuple[Any, Any]], what: str, minor: int | None
) -> None:
    """Status, money, disputes, lateness; else which fields moved."""
    said = describe_change(changed, "USD", 2450.0)
    assert said.what == what
    assert said.amount == (None if minor is None else Money("USD", minor))


def test_every_field_is_listed() -> None:
    """What it was and what it is."""
    changed = {
        "Number__c": (None, "A-1"),
        PAID: (1, 2450.5),
        "Reminders_Sent__c": ("1.0", 2),
        "Is_Overdue__c": (False, True),
        "Due_Date__c": ("2026-12-30", "2027-01-05"),
        "Paid_At__c": (None, "2026-12-01T08:30:00.000+0000"),
    }
    assert listed(changed).splitlines() == [
        "number: nothing → A-1",
        "amount paid: 1.00 → 2,450.50",
        "reminders sent: 1 → 2",
        "is overdue: no → yes",
        "due date: 30 Dec 2026 → 5 Jan 2027",
        "paid at: nothing → 1 Dec 2026, 08:30 UTC",
    ]

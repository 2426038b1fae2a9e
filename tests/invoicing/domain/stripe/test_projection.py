"""What Stripe says, in the record's words."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from invoicing.domain.model.dates import end_of_day, local_date
from invoicing.domain.model.status import PaymentState, Status
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.payment_facts import PaymentFacts
from invoicing.domain.stripe.projection import given_twice, project, tombstone

BERLIN = ZoneInfo("Europe/Berlin")
DUE = date(2026, 11, 30)
AFTER = date(2026, 12, 1)
ZONES = st.sampled_from(
    ["Europe/Berlin", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Apia", "UTC"]
)


def stripe_invoice(**changes: Any) -> Any:
    """An open invoice over 12.34 USD, as Stripe renders it."""
    moments = ("finalized_at", "paid_at", "voided_at", "marked_uncollectible_at")
    return {
        "id": "in_1",
        "created": 1764000000,
        "customer": "cus_1",
        "livemode": True,
        "status": "open",
        "currency": "usd",
        "number": "ACME-1",
        "description": None,
        "due_date": end_of_day(DUE, BERLIN),
        "from_invoice": None,
        "collection_method": "send_invoice",
        "footer": None,
        "custom_fields": None,
        "subtotal": 1234,
        "total": 1234,
        "total_taxes": [],
        "total_discount_amounts": None,
        "amount_due": 1234,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 1234,
        "pre_payment_credit_notes_amount": 0,
        "post_payment_credit_notes_amount": 0,
        "metadata": {},
        "status_transitions": dict.fromkeys(moments) | {"finalized_at": 1764000000},
    } | changes


def project_on(day: date, **changes: Any) -> Any:
    """Project on a business day."""
    return project(stripe_invoice(**changes), today=day, zone=BERLIN)


def test_an_invoice_is_overdue_the_day_after_its_due_date() -> None:
    """The due date itself is still in time, by the business's clock."""
    assert not project_on(DUE).overdue
    assert project_on(date(2026, 12, 1)).overdue
    assert not project_on(date(2026, 12, 1), status="paid").overdue


def test_where_the_money_stands() -> None:
    """Unpaid, partly paid, paid, overpaid."""
    assert project_on(DUE).payment_state is PaymentState.UNPAID
    assert project_on(DUE, amount_paid=1).payment_state is PaymentState.PARTLY_PAID
    assert project_on(DUE, status="paid").payment_state is PaymentState.PAID
    overpaid = project_on(DUE, status="paid", amount_overpaid=5)
    assert overpaid.payment_state is PaymentState.OVERPAID


@pytest.mark.parametrize(
    ("invoice", "known", "state"),
    [
        ({}, {"under_way": 1234}, "Processing"),
        ({"amount_paid": 500}, {"under_way": 734}, "Processing"),
        ({"amount_paid": 500}, {"refunded": 500, "under_way": 734}, "Processing"),
        ({"status": "paid", "amount_paid": 1234}, {"under_way": 1234}, "Paid"),
        ({"amount_paid": 500}, {"refunded": 100}, "Partly Refunded"),
        ({"amount_paid": 500}, {"refunded": 500}, "Refunded"),
        ({"status": "paid", "amount_paid": 1234}, {"out_of_band": 1234}, "Refunded"),
        ({"status": "paid", "amount_paid": 1234}, {"on_balance": 1234}, "Paid"),
        (
            {"status": "paid", "amount_paid": 1234},
            {"refunded": 34, "out_of_band": 1200},
            "Refunded",
        ),
        ({"status": "paid", "amount_paid": 1234}, {"disputed": 1, "refunded": 1}, "Disputed"),
    ],
)
def test_where_the_money_stands_when_some_of_it_moves(
    invoice: dict[str, Any], known: dict[str, int], state: str
) -> None:
    """Under way, given back in part or whole, by whichever way."""
    facts = PaymentFacts(**known)  # type: ignore[arg-type]
    projected = project(stripe_invoice(**invoice), today=AFTER, zone=BERLIN, known=facts)
    assert projected.payment_state == state
    assert projected.overdue == (not invoice.get("status") and state != "Processing")


@pytest.mark.parametrize(
    ("invoice", "known", "twice"),
    [
        ({"amount_overpaid": 50}, {}, 0),
        ({"amount_overpaid": 50}, {"refunded": 50}, 0),  # by a credit note
        ({"amount_overpaid": 50}, {"refunded": 20, "unnoted": 20}, 20),
        ({}, {"refunded": 500, "unnoted": 500}, 0),
        ({}, {"refunded": 500, "unnoted": 500, "on_balance": 200}, 200),
        ({}, {"lost": 1234, "on_balance": 1234}, 1234),
        ({}, {"lost": 1234, "refunded": 1234, "unnoted": 1234}, 1234),
        ({"amount_paid": 234}, {"refunded": 234, "on_balance": 1000}, 0),  # 1,000 were a balance
        ({"amount_paid": 1734}, {"refunded": 1734, "unnoted": 1734}, 0),  # 500 were an old debt
    ],
)
def test_what_went_back_twice(invoice: dict[str, int], known: dict[str, int], twice: int) -> None:
    """On the balance and by a refund, or more than came in; what credit notes name is meant."""
    paid = stripe_invoice(status="paid", **{"amount_paid": 1234} | invoice)
    assert given_twice(paid, PaymentFacts(**known)) == twice  # type: ignore[arg-type]


@given(
    st.dates(date(2000, 1, 1), date(2060, 1, 1)),
    ZONES,
)
def test_a_due_date_survives_the_way_to_stripe_and_back(day: date, name: str) -> None:
    """The day stays the day, in every time zone that has it: Apia has no 30 December 2011."""
    zone = ZoneInfo(name)
    noon = datetime.combine(day, time(12), zone)
    assume(noon.astimezone(UTC).astimezone(zone) == noon)
    assert local_date(end_of_day(day, zone), zone) == day


def test_nothing_differs_once_the_record_is_as_projected() -> None:
    """Projecting twice writes once."""
    fields = record.projected_fields(project_on(DUE), "acct_1")
    assert record.differences(fields, fields) == {}
    stale = fields | {record.STATUS: "Draft", "Total__c": 12.340}
    assert record.differences(stale, fields) == {record.STATUS: ("Draft", Status.OPEN)}


def test_a_drafts_content_belongs_to_salesforce() -> None:
    """While it is a draft, Stripe only decides link and status."""
    draft = project_on(DUE, status="draft", number=None)
    assert set(record.projected_fields(draft, "acct_1")) == set(record.DRAFT_MIRRORED_FIELDS)
    made_there = record.projected_fields(draft, "acct_1", whole=True)
    assert set(made_there) == set(record.MIRRORED_FIELDS)


def test_a_deleted_draft_keeps_its_content() -> None:
    """Only the status says that it is gone."""
    assert record.projected_fields(tombstone("in_1"), "acct_1") == {
        record.STATUS: Status.DELETED,
        record.STRIPE_ACCOUNT_ID: "acct_1",
    }

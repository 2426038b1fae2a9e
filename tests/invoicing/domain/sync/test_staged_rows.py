"""What a full sync stages says the same as the projection that writes it."""

from datetime import UTC, date, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.stripe.projection import ACCOUNT_KEY, ORG_KEY, RECORD_KEY, project
from invoicing.domain.stripe.resources import ListedInvoice, StripeInvoice
from invoicing.domain.sync.staged_rows import QUERIED_FIELDS, salesforce_rows, stripe_rows

AMOUNT = st.integers(0, 10**9)
INSTANT = st.integers(1_262_304_000, 2_000_000_000)
TEXT = st.none() | st.text(max_size=20)
ORG, ANOTHER = "00D000000000001AAA", "00D000000000002AAA"
METADATA = st.fixed_dictionaries(
    {},
    optional={
        RECORD_KEY: st.just("a01"),
        ACCOUNT_KEY: st.just("001"),
        ORG_KEY: st.sampled_from([ORG, ORG[:15], ANOTHER]),
    },
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Tokyo"])


@st.composite
def invoices(draw: st.DrawFn) -> StripeInvoice:
    """An invoice as a list page has it."""
    moments = ("finalized_at", "paid_at", "voided_at", "marked_uncollectible_at")
    invoice: dict[str, Any] = {
        "id": "in_1",
        "created": draw(INSTANT),
        "status": draw(st.sampled_from(["draft", "open", "paid", "void", "uncollectible"])),
        "currency": draw(st.sampled_from(["usd", "jpy", "kwd"])),
        "customer": draw(st.none() | st.just("cus_1")),
        "livemode": True,
        "metadata": draw(st.none() | METADATA),
        "due_date": draw(st.none() | INSTANT),
        "total_taxes": draw(st.lists(st.fixed_dictionaries({"amount": AMOUNT}), max_size=2)),
        "status_transitions": {name: draw(st.none() | INSTANT) for name in moments},
    }
    for name in ("number", "description", "hosted_invoice_url", "invoice_pdf"):
        invoice[name] = draw(TEXT)
    invoice["from_invoice"] = None
    for name, kind in StripeInvoice.__annotations__.items():
        if kind is int and name not in invoice:
            invoice[name] = draw(AMOUNT)
    return cast(StripeInvoice, invoice)


@given(invoices(), st.dates(date(2010, 1, 1), date(2033, 1, 1)), ZONES)
def test_the_short_cut_says_what_the_projection_says(
    invoice: StripeInvoice, day: date, zone_name: str
) -> None:
    """For any invoice, on any day, in any time zone."""
    zone = ZoneInfo(zone_name)
    page = cast(ListedInvoice, {name: invoice.get(name) for name in ListedInvoice.__annotations__})
    row, whole = stripe_rows(day, zone, ORG)(page), project(invoice, today=day, zone=zone)
    assert (row.stripe_id, row.created) == (whole.stripe_id, invoice["created"])
    assert (row.record_id, row.customer_id) == (whole.record_id, whole.customer_id)
    assert (row.status, row.payment_state) == (whole.status, whole.payment_state)
    assert (row.number, row.overdue) == (whole.number, whole.overdue)
    for name in ("total", "amount_paid", "amount_remaining", "credited"):
        money = getattr(whole, name)
        assert getattr(row, name) == (money.minor if money else 0)
    ours = (whole.org_id or "").startswith(ORG[:15])
    assert row.account_id == (whole.account_id if ours else None)


def test_an_invoice_is_due_until_its_day_ends() -> None:
    """Also on the night on which the clocks change."""
    row = stripe_rows(date(2026, 10, 26), ZoneInfo("Europe/Berlin"), ORG)
    due = int(datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC).timestamp())
    empty = {
        name: 0 if kind is int else None for name, kind in ListedInvoice.__annotations__.items()
    }
    last = cast(
        ListedInvoice, {**empty, "id": "in_1", "status": "open", "metadata": {}, "due_date": due}
    )
    assert row(last).overdue
    assert not row({**last, "due_date": due + 1}).overdue


def test_amounts_of_a_record_are_read_in_its_currency() -> None:
    """As Bulk writes them; nothing is none."""
    texts = dict.fromkeys(QUERIED_FIELDS, "") | {"Currency__c": "KWD", "Total__c": "1.2345E7"}
    [row] = salesforce_rows([list(texts.values())])
    assert (row.total, row.amount_paid, row.account_id, row.overdue) == (
        12_345_000_000,
        None,
        None,
        False,
    )

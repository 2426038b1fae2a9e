"""What a full sync stages of both sides agrees exactly where the record mirrors the invoice."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.line_mirror import Kept, mirror_of, mirrored_line
from invoicing.domain.salesforce.required_schema import OBJECTS, Field
from invoicing.domain.stripe.projection import ACCOUNT_KEY, ORG_KEY, RECORD_KEY, project
from invoicing.domain.stripe.resources import ListedInvoice, StripeLine
from invoicing.domain.sync.staged_rows import (
    NOT_ON_THE_PAGE,
    QUERIED_FIELDS,
    QUERIED_LINE_FIELDS,
    RecordComparison,
    Row,
    lines_rows,
    salesforce_rows,
    stripe_rows,
)
from tests.invoicing.domain.stripe.test_projection import stripe_invoice

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
DAY, BERLIN = date(2026, 11, 23), ZoneInfo("Europe/Berlin")
EVERYTHING = RecordComparison(lambda _: True, Kept())


CUSTOM_FIELD = {"name": st.sampled_from(["PO number", "Ref"]), "value": st.text(min_size=1)}


@st.composite
def lines(draw: st.DrawFn) -> StripeLine:
    """A line as a page has it, priced or not."""
    quantity = draw(st.decimals("0.000001", "99999", places=6))
    priced = {"price_details": None, "unit_amount_decimal": draw(st.none() | st.decimals(0, 9**9))}
    return cast(
        StripeLine,
        {
            "id": f"il_{draw(st.integers(0, 99))}",
            "amount": draw(AMOUNT),
            "description": draw(TEXT),
            "quantity": 1,
            "quantity_decimal": draw(st.none() | st.just(quantity)),
            "metadata": {},
            "pricing": draw(st.none() | st.just(priced)),
        },
    )


@st.composite
def invoices(draw: st.DrawFn) -> ListedInvoice:
    """An invoice as a list page has it."""
    moments = ("finalized_at", "paid_at", "voided_at", "marked_uncollectible_at")
    invoice: dict[str, Any] = stripe_invoice() | {
        "created": draw(INSTANT),
        "status": draw(st.sampled_from(["draft", "open", "paid", "void", "uncollectible"])),
        "currency": draw(st.sampled_from(["usd", "jpy", "kwd"])),
        "customer": draw(st.none() | st.just("cus_1")),
        "metadata": draw(st.none() | METADATA),
        "due_date": draw(st.none() | INSTANT),
        "total_taxes": draw(st.lists(st.fixed_dictionaries({"amount": AMOUNT}), max_size=2)),
        "status_transitions": {name: draw(st.none() | INSTANT) for name in moments},
        "collection_method": draw(st.sampled_from(["send_invoice", "charge_automatically"])),
        "custom_fields": draw(
            st.none()
            | st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["PO number", "Ref"]), "value": TEXT.filter(bool)}
                ),
                max_size=2,
            )
        ),
        "discounts": [],
        "total_discount_amounts": [],
        "lines": {"data": draw(st.lists(lines(), max_size=3)), "has_more": False},
    }
    for name in ("number", "description", "footer", "hosted_invoice_url", "invoice_pdf"):
        invoice[name] = draw(TEXT)
    for name in ("subtotal", "total", "amount_due", "amount_paid", "amount_remaining"):
        invoice[name] = draw(AMOUNT)
    return cast(ListedInvoice, invoice)


def listed(**changes: Any) -> ListedInvoice:
    """An invoice without lines on a list page."""
    page = {"discounts": [], "total_discount_amounts": [], "lines": {"data": [], "has_more": False}}
    return cast(ListedInvoice, stripe_invoice(**changes) | page)


def as_bulk_gives(value: Any) -> str:
    """A value that was written, as Bulk's CSV has it afterwards."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str() if value.endswith(".000+0000"):
            return value.replace("+0000", "Z")
        case _:
            return str(value)


def texts_of(invoice: ListedInvoice, day: date, zone: ZoneInfo) -> dict[str, str]:
    """The record that mirrors an invoice, as Bulk gives it."""
    seen = project(invoice, today=day, zone=zone)
    written = record.projected_fields(seen, "acct_1", whole=True)
    own = {"Id": "a01", "Name": "INV-1", record.LOCAL_KEY: seen.stripe_id, "Account__c": "001"}
    return {n: as_bulk_gives((written | own).get(n)) for n in QUERIED_FIELDS}


def staged(texts: Mapping[str, str], comparison: RecordComparison = EVERYTHING) -> Row:
    """A record, staged."""
    [row] = salesforce_rows([[texts[name] for name in QUERIED_FIELDS]], comparison)
    return row


@given(invoices(), st.dates(date(2010, 1, 1), date(2033, 1, 1)), ZONES)
def test_a_record_that_mirrors_its_invoice_is_staged_as_the_same(
    invoice: ListedInvoice, day: date, zone_name: str
) -> None:
    """For any invoice, on any day, in any time zone."""
    zone = ZoneInfo(zone_name)
    there = stripe_rows(day, zone, ORG, "acct_1", EVERYTHING)(invoice)
    here = staged(texts_of(invoice, day, zone))
    for name in (here.keys() & there.keys()) - {"record_id", "account_id"}:
        assert (here[name] or "") == (there[name] or ""), name
    whole = project(invoice, today=day, zone=zone)
    assert (there["record_id"], there["customer_id"]) == (whole.record_id, whole.customer_id)
    ours = (whole.org_id or "").startswith(ORG[:15])
    assert there["account_id"] == (whole.account_id if ours else None)
    currency, rows = whole.currency, []
    for number, line in enumerate(invoice["lines"]["data"]):
        mirrored = mirror_of(line, currency, ours=whole.record_id is not None, kept=Kept())
        fields = mirrored_line(mirrored, 1, currency) | {"Id": f"a02{number}", "Invoice__c": "a01"}
        fields[f"Invoice__r.{record.CURRENCY}"] = currency
        rows.append([as_bulk_gives(fields.get(name)) for name in QUERIED_LINE_FIELDS])
    assert sum(row["lines"] for row in lines_rows(rows, Kept())) == there["lines"]


def overwritten(field: Field, text: str) -> str:
    """Another value for a field than it has."""
    match field.kind:
        case "number":
            return str(float(text or 0) + 1)
        case "boolean":
            return "false" if text == "true" else "true"
        case "date":
            return "2031-01-01"
        case "datetime":
            return "2031-01-01T00:00:00.000Z"
        case "picklist":
            return field.values[-1] if text != field.values[-1] else field.values[0]
    return "Other"


@pytest.mark.parametrize("name", record.MIRRORED_FIELDS)
def test_every_field_that_mirrors_stripe_is_compared(name: str) -> None:
    """Overwritten in Salesforce, each makes another row."""
    invoice = listed(hosted_invoice_url="https://a", invoice_pdf="https://b", footer="Thanks")
    texts = texts_of(invoice, DAY, BERLIN)
    other = overwritten(OBJECTS[record.INVOICE].fields[name], texts[name])
    assert staged(texts | {name: other}) != staged(texts)


OWN_FIELDS = {
    *("Name", "Account__c", "Opportunity__c", "Local_Key__c", "Replaces__c", "Replaced_By__c"),
    *("Bill_To__c", "Action_Requested__c", "Send_On__c", "Sync_State__c", "Sync_Message__c"),
    *("Last_Synced_At__c", "Last_Run_URL__c", "Sent_At__c", "Reminders_Sent__c"),
    *("Last_Reminder_At__c", "Approval_Status__c", "Approval_Comment__c", "Approved_Amount__c"),
    *("Approval_Key__c", "Approved_At__c", "Approved_By__c", "Previewed_At__c", "Previewed_Tax__c"),
    *(
        "Previewed_Total__c",
        "Previewed_Amount_Due__c",
        "Payment_Terms__c",
        "Discount_Percent__c",
        "Discount_Amount__c",
    ),
    *("Automatic_Tax__c", "Tax_Rates__c", "Payment_Methods__c", "Rendering_Template__c"),
    *("Draft_Lines__c", "Draft_Subtotal__c"),
}
"""What the record says of itself, of requests and of wishes, and what Salesforce adds up."""


def test_every_field_of_the_record_is_compared_or_our_own() -> None:
    """A new field has to be put onto one of the two lists."""
    known = OBJECTS[record.INVOICE].fields.keys()
    assert known - {*record.MIRRORED_FIELDS} == OWN_FIELDS
    assert {*NOT_ON_THE_PAGE} <= {*record.MIRRORED_FIELDS} <= known


LINE_VALUES = {
    "Local_Key__c": "another",
    "Description__c": "In other words",
    "Quantity__c": "2",
    "Unit_Price__c": "7",
    "Unit_Price_Exact__c": "5.0000001",
    "Amount__c": "7",
}
"""Fields of a line that say what was billed, and another value for each."""

OWN_LINE_FIELDS = {
    *("Invoice__c", "Position__c", "Product__c", "Discount_Amount__c", "Discount_Percent__c"),
    *("Currency__c", "Draft_Amount__c", "Quantity_Text__c", "Unit_Price_Text__c"),
}
"""Where a line belongs, what was asked for, and what Salesforce works out by itself."""


def test_every_field_of_a_line_is_compared_or_our_own() -> None:
    """Overwritten, each that says what was billed makes another sum; a new one needs a list."""
    assert OBJECTS[record.LINE].fields.keys() - LINE_VALUES.keys() == OWN_LINE_FIELDS
    line = {"Id": "a02", "Invoice__c": "a01", f"Invoice__r.{record.CURRENCY}": "USD"}
    line |= {"Local_Key__c": "1", "Description__c": "Work", "Quantity__c": "1"}
    line |= {"Unit_Price__c": "5", "Unit_Price_Exact__c": "5", "Amount__c": "5"}

    def staged_lines(fields: Mapping[str, str]) -> int:
        [row] = lines_rows([[fields.get(name, "") for name in QUERIED_LINE_FIELDS]], Kept())
        return int(row["lines"])

    for name, value in LINE_VALUES.items():
        # The price that is shown is rounded; the exact one, where there is one, counts.
        without = dict(line) if name != "Unit_Price__c" else line | {"Unit_Price_Exact__c": ""}
        assert staged_lines(without | {name: value}) != staged_lines(without), name


def test_what_an_org_does_not_keep_does_not_differ() -> None:
    """Bulk gives an empty text for it, each night."""
    invoice = listed(footer="Thanks", post_payment_credit_notes_amount=5)
    missing = {"Footer__c", "Amount_Credited__c", "Amount_Refunded__c"}
    some = RecordComparison(lambda name: name not in missing, Kept())
    there = stripe_rows(DAY, BERLIN, ORG, "acct_1", some)(invoice)
    here = staged(texts_of(invoice, DAY, BERLIN) | dict.fromkeys(missing, ""), some)
    assert here["digest"] == there["digest"]
    assert (here["credited"], here["refunded"], here["disputed"]) == (None, None, 0)


def test_of_a_draft_made_here_only_what_is_stripes_is_compared() -> None:
    """Its content is the record's own; of one that was made in Stripe it is not."""
    invoice = listed(status="draft")
    there = stripe_rows(DAY, BERLIN, ORG, "acct_1", EVERYTHING)(invoice)
    texts = texts_of(invoice, DAY, BERLIN) | {"Description__c": "Revised"}
    here, made_there = staged(texts | {record.LOCAL_KEY: "form-1"}), staged(texts)
    assert (here["made_here"], made_there["made_here"]) == (True, False)
    assert here["digest"] == there["draft_digest"]
    assert made_there["digest"] != there["digest"]


def test_an_invoice_is_due_until_its_day_ends() -> None:
    """Also on the night on which the clocks change."""
    row = stripe_rows(date(2026, 10, 26), BERLIN, ORG, "acct_1", EVERYTHING)
    due = int(datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC).timestamp())
    assert row(listed(due_date=due))["overdue"]
    assert not row(listed(due_date=due + 1))["overdue"]


def test_amounts_of_a_record_are_read_in_its_currency() -> None:
    """As Bulk writes them; nothing is none."""
    texts = dict.fromkeys(QUERIED_FIELDS, "") | {"Currency__c": "KWD", "Total__c": "1.2345E7"}
    row = staged(texts)
    assert (row["total"], row["amount_paid"], row["account_id"], row["overdue"]) == (
        12_345_000_000,
        None,
        None,
        False,
    )

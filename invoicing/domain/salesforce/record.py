"""The Salesforce record: which field holds what.

Only this module and :mod:`record_reader` beside it spell the API names of the objects in
``deployments/salesforce``, but for requests, which are in
:mod:`invoicing.domain.salesforce.request_record`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from invoicing.domain.model.invoice import Content, Line
from invoicing.domain.model.invoice_details import CustomField, Discount
from invoicing.domain.model.money import Money, plain
from invoicing.domain.model.status import PaymentState, Status
from invoicing.domain.salesforce.queries import (
    Comparison,
    Condition,
    Query,
    all_of,
    any_of,
    equals,
    is_in,
)
from invoicing.domain.salesforce.required_schema import OBJECTS
from invoicing.domain.stripe.canonical_page_links import page_of
from invoicing.domain.stripe.projection import Projection

INVOICE = "Stripe_Invoice__c"
LINE = "Stripe_Invoice_Line__c"
EVENT = "Stripe_Invoice_Event__c"
SETTING, SETTING_NAME = "Invoicing_Setting__mdt", "Default"
"""What the package's dialogues know of how the org bills: a record of custom metadata."""

VERSION, VERSION_NAME = "Version__c", "Package"
"""Which package was deployed: another record of the same type, which each deploy writes."""

PACKAGE_VERSION = 1
"""The package that this release needs. It is raised there and here when something of the package
changes that no describe of an object shows: a rule, a dialogue, a permission set."""

MIRROR = "Mirror_Stripe"
"""The custom permission of whoever may write what Stripe owns; the package keeps others from it."""

STRIPE_ID = "Stripe_Invoice_Id__c"
CUSTOMER_ID = "Stripe_Customer_Id__c"
LOCAL_KEY = "Local_Key__c"
STATUS = "Status__c"
SYNC_STATE = "Sync_State__c"
SYNC_MESSAGE = "Sync_Message__c"
LAST_SYNCED_AT = "Last_Synced_At__c"
LAST_RUN_URL = "Last_Run_URL__c"
SENT_AT = "Sent_At__c"
ACTION = "Action_Requested__c"
STRIPE_ACCOUNT_ID = "Stripe_Account_Id__c"
CURRENCY = "Currency__c"
OVERDUE = "Is_Overdue__c"
AUTOMATIC_TAX = "Automatic_Tax__c"
PAYMENT_STATE = "Payment_State__c"
TOTAL = "Total__c"
DUE_DATE = "Due_Date__c"
REMINDERS_SENT = "Reminders_Sent__c"
LAST_REMINDER_AT = "Last_Reminder_At__c"
REPLACES = "Replaces__c"
REPLACED_BY = "Replaced_By__c"
BILL_TO = "Bill_To__c"
OPPORTUNITY = "Opportunity__c"
APPROVAL_STATUS, APPROVAL_KEY = "Approval_Status__c", "Approval_Key__c"

MESSAGE_LENGTH = 4000

NO_LENGTHS: Mapping[str, int] = {}

PROJECTED_FIELDS: dict[str, str] = {
    STRIPE_ID: "stripe_id",
    CUSTOMER_ID: "customer_id",
    "Livemode__c": "livemode",
    STATUS: "status",
    PAYMENT_STATE: "payment_state",
    "Is_Overdue__c": "overdue",
    "Number__c": "number",
    "Due_Date__c": "due_date",
    "Description__c": "description",
    "Footer__c": "footer",
    "PO_Number__c": "po_number",
    "Custom_Fields__c": "other_custom_fields",
    "Collection_Method__c": "collection",
    CURRENCY: "currency",
    "Hosted_Invoice_URL__c": "hosted_invoice_url",
    "Invoice_PDF__c": "invoice_pdf",
    "Subtotal__c": "subtotal",
    "Amount_Discounted__c": "discounted",
    "Tax__c": "tax",
    "Total__c": "total",
    "Amount_Due__c": "amount_due",
    "Amount_Paid__c": "amount_paid",
    "Amount_Remaining__c": "amount_remaining",
    "Amount_Credited__c": "credited",
    "Amount_Overpaid__c": "overpaid",
    "Amount_Refunded__c": "refunded",
    "Amount_Disputed__c": "disputed",
    "Dispute_Status__c": "dispute_status",
    "Payment_Problem__c": "payment_problem",
    "Finalized_At__c": "finalized_at",
    "Paid_At__c": "paid_at",
    "Voided_At__c": "voided_at",
    "Uncollectible_At__c": "uncollectible_at",
}
"""Fields that Stripe owns once an invoice is finalized, and their source."""

MIRRORED_FIELDS = (*PROJECTED_FIELDS, STRIPE_ACCOUNT_ID)
"""The fields that mirror Stripe: everyone who compares a record compares all of them."""

CONTENT_MIRRORED = (
    *("Description__c", "Due_Date__c", "Footer__c", "PO_Number__c", "Custom_Fields__c"),
    *("Collection_Method__c", "Currency__c", "Subtotal__c", "Amount_Discounted__c", "Tax__c"),
    TOTAL,
)
"""Those of them that people look at before they send what was made in Stripe."""

ORG_MAY_CHANGE = frozenset(
    [
        *("Number__c", "Description__c", "Footer__c", "PO_Number__c", "Custom_Fields__c"),
        "Payment_Problem__c",
    ]
)
"""Texts for people, of invoices and of lines: an org may save them as it likes them. An amount, a
state, an id or a date that it changes is wrong."""

DRAFT_MIRRORED_FIELDS = (STRIPE_ID, STRIPE_ACCOUNT_ID, CUSTOMER_ID, "Livemode__c", STATUS)
"""Those that Stripe decides even while Salesforce still owns the content."""

ACCOUNT_FIELDS = (
    "Id",
    "Name",
    "Invoice_Email__c",
    "Stripe_Customer_Id__c",
    "BillingStreet",
    "BillingCity",
    "BillingState",
    "BillingPostalCode",
    "BillingCountry",
)
ADDRESS_CODES = ("BillingCountryCode", "BillingStateCode")
"""The codes beside the names, in an org that offers countries and states to pick.

Source: Salesforce Help, "Integration Values for State and Country Picklists"
"""


@dataclass(frozen=True, slots=True)
class OrgCurrency:
    """The currencies of an org's records.

    Attributes:
        several: Whether each record has one of its own. In an org of one, no object has the field.
        own: The org's only one; of several, the one that new records have.
    """

    several: bool
    own: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that say a record's currency."""
        return ("CurrencyIsoCode",) if self.several else ()

    def of(self, record: Mapping[str, Any]) -> str:
        """The currency of a record that was read with these fields."""
        return str(record["CurrencyIsoCode"]) if self.several else self.own


DISCOUNT_FIELDS = ("Discount_Percent__c", "Discount_Amount__c")
EXACT_PRICE = "Unit_Price_Exact__c"
SHOWN_DECIMALS = 6
"""Decimals of Unit_Price__c; a price that needs more stands in full in Unit_Price_Exact__c."""
SMALLEST_PRICE = Decimal(1).scaleb(-SHOWN_DECIMALS)
DRAFT_SUBTOTAL, DRAFT_LINES = "Draft_Subtotal__c", "Draft_Lines__c"
"""What Salesforce itself makes of a draft's lines, where the org has it: sum before tax, number."""

LINE_NUMBERS = ("Quantity__c", "Unit_Price__c")
"""What Salesforce can add up of lines; plain numbers, which no org converts."""

LINES = "Lines__r"
LINE_FIELDS = (
    "Id",
    LOCAL_KEY,
    "Position__c",
    "Description__c",
    "Quantity__c",
    "Unit_Price__c",
    EXACT_PRICE,
    *DISCOUNT_FIELDS,
    "Amount__c",
    "Product__c",
    "Product__r.Name",
)
LINES_QUERY = Query(LINES, LINE_FIELDS, order="Position__c, Id")
"""The part of a query of invoices that reads their lines."""


def lines_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The lines of a record that was read with :data:`LINES_QUERY`."""
    return list((record.get(LINES) or {}).get("records", []))


SEND_ON = "Send_On__c"
DRAFT_FIELDS: Mapping[str, str] = {
    "Description__c": "description",
    DUE_DATE: "due_date",
    CURRENCY: "currency",
    "Subtotal__c": "subtotal",
    TOTAL: "total",
}
DETAIL_FIELDS: Mapping[str, str] = {
    "Payment_Terms__c": "terms",
    "PO_Number__c": "po_number",
    "Footer__c": "footer",
    "Custom_Fields__c": "custom_fields",
    AUTOMATIC_TAX: "automatic_tax",
    "Tax_Rates__c": "tax_rates",
    "Collection_Method__c": "collection",
    SEND_ON: "send_on",
    "Payment_Methods__c": "payment_methods",
    "Rendering_Template__c": "template",
}
"""Fields that say what a draft bills, and its details, by the attributes that they hold."""

PREVIEW_FIELDS = (
    "Previewed_Total__c",
    "Previewed_Tax__c",
    "Previewed_Amount_Due__c",
    "Previewed_At__c",
)
CONTENT_FIELDS = (
    "Id",
    "Name",
    "Currency__c",
    "Description__c",
    "Due_Date__c",
    TOTAL,
    STATUS,
    STRIPE_ID,
    LOCAL_KEY,
    SYNC_MESSAGE,
    APPROVAL_STATUS,
    BILL_TO,
    "Bill_To__r.Email",
    f"Replaces__r.{STRIPE_ID}",
    *DETAIL_FIELDS,
    *DISCOUNT_FIELDS,
)
STATE_FIELDS = (
    "Id",
    "Name",
    "Account__c",
    "Account__r.Name",
    f"Account__r.{CUSTOMER_ID}",
    SENT_AT,
    SYNC_STATE,
    SYNC_MESSAGE,
    LOCAL_KEY,
    *MIRRORED_FIELDS,
)


CUSTOMER_FIELDS = (
    *("Id", "Name", "Invoice_Email__c", "Stripe_Customer_Id__c"),
    *("Stripe_Customer_Name__c", "Stripe_Customer_Email__c"),
)
CUSTOMER_DELETED = "(deleted in Stripe)"


def customer_fields(*, name: str | None, email: str | None) -> dict[str, str | None]:
    """The fields of an Account that show what Stripe has of its customer, where it differs."""
    return {"Stripe_Customer_Name__c": name, "Stripe_Customer_Email__c": email}


def unmarked_overdue(today: date) -> Condition:
    """Condition: open past the due date, no bank debit under way, and not marked as overdue."""
    late = Comparison(DUE_DATE, "<", today)
    unpaid = Comparison(PAYMENT_STATE, "!=", PaymentState.PROCESSING)
    return all_of(equals(STATUS, Status.OPEN), late, unpaid, equals(OVERDUE, False))


def wrongly_marked_overdue(today: date) -> Condition:
    """Condition: marked as overdue, and no longer open, not yet due, or being paid by debit."""
    in_time = any_of(
        Comparison(STATUS, "!=", Status.OPEN),
        Comparison(DUE_DATE, ">=", today),
        equals(DUE_DATE, None),
        equals(PAYMENT_STATE, PaymentState.PROCESSING),
    )
    return all_of(equals(OVERDUE, True), in_time)


REMINDER_FIELDS = (
    *("Id", "Name", "Account__r.Name", STRIPE_ID, DUE_DATE, SENT_AT),
    *(REMINDERS_SENT, LAST_REMINDER_AT),
)


def reminder_condition(due: Iterable[date]) -> Condition:
    """Condition: sent from here, waiting for money, due on one of some days."""
    return all_of(
        equals(STATUS, Status.OPEN),
        Comparison(SENT_AT, "!=", None),
        Comparison("Amount_Remaining__c", ">", 0),
        is_in(DUE_DATE, sorted(set(due))),
    )


EVENT_KEY = "Key__c"
KEY_LENGTH = 64
TEXT_LENGTH = 255


class Entry(NamedTuple):
    """What Salesforce gets of an entry of a record's timeline; its changes are JSON."""

    key: str
    record_id: str | None
    happened_at: datetime
    side: str
    what: str
    changes: str
    amount: float | None
    currency: str | None
    run_url: str | None


def event_fields(entry: Entry, changes: str) -> dict[str, Any]:
    """The Salesforce fields of an entry, with its changes in words."""
    return {
        EVENT_KEY: entry.key,
        "Invoice__c": entry.record_id,
        "Happened_At__c": stamp(entry.happened_at),
        "Side__c": entry.side,
        "What__c": entry.what[:TEXT_LENGTH],
        "Changes__c": changes[:MESSAGE_LENGTH] or None,
        "Amount__c": entry.amount,
        "Currency__c": entry.currency,
        "Run_URL__c": entry.run_url,
    }


def subrequest(method: str, path: str, reference: str, body: Any = None) -> dict[str, Any]:
    """A part of a graph: one record that is written with others, or not at all."""
    node = {"method": method, "path": f"sobjects/{path}", "referenceId": reference}
    return node if body is None else node | {"body": body}


def invoice_query(where: Condition, *, account: Iterable[str], also: Iterable[str] = ()) -> Query:
    """The query that reads an invoice with its account and lines in one call.

    Args:
        where: The condition.
        account: The fields of its Account.
        also: More fields of the invoice, by their paths.
    """
    fields = [*CONTENT_FIELDS, *(f"Account__r.{f}" for f in account)]
    fields += [path for path in dict.fromkeys(also) if path not in fields]
    return Query(INVOICE, [*fields, LINES_QUERY], where=where)


def text(value: str | None) -> str:
    """A text of several lines, as everybody but Salesforce ends them."""
    return (value or "").replace("\r\n", "\n")


def exact_price(value: Decimal | float | str, exact: str | None) -> Decimal:
    """The exact price while it agrees with the number; a number changed by hand counts."""
    shown = number(value)
    try:
        price = Decimal(exact or "")
    except InvalidOperation:
        return shown
    return price if _shown(price) == _shown(shown) else shown


def _shown(price: Decimal) -> float:
    return float(round(price, SHOWN_DECIMALS))


def number(value: Decimal | float | str) -> Decimal:
    """The exact decimal behind a Salesforce number, which travels as a JSON double."""
    return Decimal(plain(Decimal(str(value))))


def line_fields(line: Line, currency: str) -> dict[str, Any]:
    """The Salesforce fields of a line.

    A Salesforce number has 18 digits, travels as a JSON double of 15, and would leave a price of
    12 decimals 6 digits for whole units, too few for yen. So the number is for people and
    reports, and a price that it cannot hold stands beside it as text.
    """
    exact = number(_shown(line.unit_price)) == line.unit_price
    return {
        "Position__c": line.position,
        CURRENCY: currency.upper(),
        "Product__c": line.product_id,
        "Description__c": line.description or None,
        "Quantity__c": float(line.quantity),
        "Unit_Price__c": _shown(line.unit_price),
        EXACT_PRICE: None if exact else plain(line.unit_price),
        "Amount__c": float(line.amount(currency).decimal),
        **_discount_fields(line.discount),
    }


def _discount_fields(discount: Discount | None) -> dict[str, Any]:
    values = (discount.percent, discount.amount) if discount else (None, None)
    return {
        field: None if value is None else float(value)
        for field, value in zip(DISCOUNT_FIELDS, values, strict=True)
    }


def header_fields(content: Content) -> dict[str, Any]:
    """The Salesforce fields of a draft's header, and that no preview is of this content."""
    details = content.details
    return {
        **{name: _field(getattr(content, held)) for name, held in DRAFT_FIELDS.items()},
        **{name: _field(getattr(details, held)) for name, held in DETAIL_FIELDS.items()},
        **_discount_fields(details.discount),
        SYNC_MESSAGE: None,
        **dict.fromkeys(PREVIEW_FIELDS),
    }


def preview_fields(total: Money, tax: Money, due: Money, at: str) -> dict[str, Any]:
    """The Salesforce fields that say what would be billed and asked for; ``at`` is a stamp."""
    values = (*(float(money.decimal) for money in (total, tax, due)), at)
    return dict(zip(PREVIEW_FIELDS, values, strict=True))


NO_APPROVAL: Mapping[str, None] = dict.fromkeys(
    [
        *(APPROVAL_KEY, APPROVAL_STATUS, "Approved_By__c", "Approved_At__c"),
        *("Approved_Amount__c", "Approval_Comment__c"),
    ]
)
"""The Salesforce fields of what nobody was asked about."""


def approval_fields(
    *,
    status: str,
    by: str = "",
    at: datetime | None = None,
    due: Money,
    comment: str = "",
    key: str = "",
) -> dict[str, Any]:
    """The Salesforce fields of an approver's decision, or of waiting for it.

    Args:
        status: What became of it.
        by: Who decided.
        at: When.
        due: What about.
        comment: What they said.
        key: What their request has to name, where it waits for one.
    """
    return {
        APPROVAL_KEY: key or None,
        APPROVAL_STATUS: status,
        "Approved_By__c": by[:120] or None,
        "Approved_At__c": stamp(at) if at else None,
        "Approved_Amount__c": float(due.decimal),
        "Approval_Comment__c": comment[:255] or None,
    }


def stamp(instant: datetime) -> str:
    """A UTC instant as Salesforce writes it."""
    return f"{instant.astimezone(UTC).isoformat(timespec='seconds')[:19]}.000+0000"


def _field(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):  # most are, of a million invoices
        return None if value == "" else value
    match value:
        case Money():
            return float(value.decimal)
        case datetime():
            return stamp(value)
        case date():
            return value.isoformat()
        case (CustomField(), *_):
            return "\n".join(f"{entry.name}: {entry.value}" for entry in value)
        case tuple():
            return ", ".join(value) or None
        case _:
            return value


def projected_fields(
    projection: Projection,
    stripe_account: str,
    *,
    whole: bool = False,
    lengths: Mapping[str, int] = NO_LENGTHS,
) -> dict[str, Any]:
    """The Salesforce fields that a projection decides.

    A draft's content belongs to Salesforce, so for drafts and deleted drafts only the
    link and the status are Stripe's to say.

    Args:
        projection: The invoice.
        stripe_account: The account that it is in.
        whole: All of them also of a draft: it was made in Stripe, or has no record yet.
        lengths: Characters that the org's fields hold, where that is less than ours.
    """
    names: Iterable[str] = MIRRORED_FIELDS
    if projection.status is Status.DELETED:
        names = (STATUS, STRIPE_ACCOUNT_ID)
    elif projection.status is Status.DRAFT and not whole:
        names = DRAFT_MIRRORED_FIELDS
    fields = {
        name: stripe_account
        if name == STRIPE_ACCOUNT_ID
        else _field(getattr(projection, PROJECTED_FIELDS[name]))
        for name in names
    }
    return cut(fields, lengths)


def cut(fields: dict[str, Any], lengths: Mapping[str, int]) -> dict[str, Any]:
    """Fields of which texts are cut to what the org's fields hold."""
    for name in lengths.keys() & fields.keys():
        if isinstance(fields[name], str):
            fields[name] = fields[name][: lengths[name]]
    return fields


def differences(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields of the record that are not as wanted: ``{field: (is, should be)}``.

    What the record lacks, because the org does not keep it, does not differ.
    """
    return {
        name: (record[name], value)
        for name, value in wanted.items()
        if name in record
        and record[name] != value
        and comparable(name, record[name]) != comparable(name, value)
    }


def as_written(row: Mapping[str, Any], changes: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """A record as it was written, where it has what the org is known to make of that.

    Args:
        row: The record.
        changes: By field, what was written and what was saved of it.
    """
    return {
        name: changes[name][0]
        if name in changes and comparable(name, value) == changes[name][1]
        else value
        for name, value in row.items()
    }


_FIELDS = [field for kept in (LINE, INVOICE) for field in OBJECTS[kept].fields.items()]
KINDS = {name: field.kind for name, field in _FIELDS}
SCALES = {name: field.scale for name, field in _FIELDS}
"""Of a field of invoices or lines; those that both have are of one kind."""

DEFAULTS = {n: f.values[0] for n, f in OBJECTS[INVOICE].fields.items() if f.asked and f.values}
"""By field of the invoice: what an empty choice means."""


def comparable(name: str, value: Any) -> Any:
    """A field's value in a form in which what means the same is the same.

    Args:
        name: The field of the invoice or the line.
        value: As it is written, as it is read, or as the text that Bulk gives.
    """
    if value is None or value == "" or value is False or value == DEFAULTS.get(name):
        return None
    match KINDS.get(name):
        case "number":
            return float(value)
        case "boolean":
            return value in (True, "true") or None
        case "datetime":
            return value[:19]
        case "text":
            said = str(value)
            return page_of(said) if said.startswith("http") else text(said).strip() or None
    return str(value)

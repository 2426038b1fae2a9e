"""How records are laid out and printed on pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sandbox.salesforce.schema import NUMERIC, Field, SObject

_DECIMALS = {"JPY": 0, "ISK": 0, "KWD": 3}
_BADGES = {
    "good": {"Paid", "Clean", "Closed Won"},
    "info": {"Open", "Pending", "Processing"},
    "warn": {"Partly Paid", "Overpaid", "Partly Refunded", "Uncollectible", "Disputed"},
    "bad": {"Failed", "Conflict", "Closed Lost"},
}
_SYSTEM = {"Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate"} | {
    "LastModifiedById", "SystemModstamp", "OwnerId", "CurrencyIsoCode", "MasterRecordId",
}  # fmt: skip
_INVOICE_GROUPS = {
    "Invoice": (
        "Account__c", "Bill_To__c", "Description__c", "Number__c", "Due_Date__c", "Currency__c",
        "Hosted_Invoice_URL__c", "Invoice_PDF__c", "Replaces__c", "Replaced_By__c",
    ),
    "Amounts": (
        "Subtotal__c", "Tax__c", "Total__c", "Amount_Due__c", "Amount_Paid__c",
        "Amount_Remaining__c", "Amount_Credited__c", "Amount_Refunded__c", "Amount_Overpaid__c",
        "Amount_Disputed__c",
    ),
    "Progress": (
        "Status__c", "Payment_State__c", "Is_Overdue__c", "Sent_At__c", "Finalized_At__c",
        "Paid_At__c", "Voided_At__c", "Uncollectible_At__c", "Dispute_Status__c",
        "Payment_Problem__c", "Reminders_Sent__c", "Last_Reminder_At__c",
    ),
    "Synchronisation": (
        "Sync_State__c", "Sync_Message__c", "Action_Requested__c", "Last_Synced_At__c",
        "Last_Run_URL__c",
        "Stripe_Invoice_Id__c", "Stripe_Customer_Id__c", "Stripe_Account_Id__c", "Livemode__c",
        "Local_Key__c",
    ),
}  # fmt: skip
_LISTS = {
    "Account": ("Name", "CurrencyIsoCode", "BillingCity", "BillingCountry", "Invoice_Email__c"),
    "Stripe_Invoice__c": (
        "Name", "Account__c", "Status__c", "Payment_State__c", "Total__c", "Due_Date__c",
        "Sync_State__c",
    ),
    "Product2": ("Name", "ProductCode", "Family", "IsActive"),
    "PricebookEntry": ("Name", "ProductCode", "CurrencyIsoCode", "UnitPrice", "IsActive"),
    "Contact": ("Name", "AccountId", "Title", "Email"),
}  # fmt: skip


def groups(sobject: SObject) -> dict[str, list[Field]]:
    """The fields of a record page by heading; fields nobody placed come under Details."""
    placed = _INVOICE_GROUPS if sobject.name == "Stripe_Invoice__c" else {}
    sections = {
        heading: [sobject.fields[name] for name in names if name in sobject.fields]
        for heading, names in placed.items()
    }
    known = {name for names in placed.values() for name in names}
    rest = [
        f for f in sobject.fields.values() if f.name not in known | _SYSTEM and f.name != "Name"
    ]
    system = [f for f in sobject.fields.values() if f.name in _SYSTEM - {"IsDeleted"}]
    sections["Details"] = rest
    sections["System"] = system
    return {heading: fields for heading, fields in sections.items() if fields}


def list_columns(sobject: SObject) -> list[Field]:
    """The fields a list shows."""
    names = _LISTS.get(sobject.name) or tuple(sobject.fields)[:6]
    return [sobject.fields[name] for name in names if name in sobject.fields]


def amount(value: float | None, currency: str | None) -> str:
    """A number with its currency, at least in the currency's decimals: 0.0045 USD."""
    if value is None:
        return ""
    decimals = _DECIMALS.get(currency or "", 2)
    whole = f"{value:,.{decimals}f}"
    exact = f"{value:,.6f}".rstrip("0").rstrip(".")
    text = exact if len(exact.partition(".")[2]) > decimals else whole
    return f"{text} {currency or ''}".strip()


def plain(value: Any, field: Field) -> str:
    """A value as text: dates as people write them, numbers without needless zeros."""
    if value is None:
        return ""
    if field.type == "boolean":
        return "Yes" if value else "No"
    if field.type == "datetime":
        return str(value)[:16].replace("T", " ") + " UTC"
    if field.type == "date":
        day = datetime.fromisoformat(value)
        return f"{day.day} {day:%b %Y}"
    if field.type in NUMERIC:
        return f"{value:,.6f}".rstrip("0").rstrip(".")
    return str(value)


def badge(value: str | None) -> str:
    """The colour class of a state."""
    return next((name for name, states in _BADGES.items() if value in states), "")


def is_money(field: Field) -> bool:
    """Whether a number is an amount of money, by the package's or the platform's fields."""
    return field.type == "currency" or (
        field.type == "double"
        and field.name not in {"Quantity__c", "Position__c", "Reminders_Sent__c"}
    )


FILTERS: dict[str, Callable[..., Any]] = {
    "amount": amount,
    "plain": plain,
    "badge": badge,
    "is_money": is_money,
}

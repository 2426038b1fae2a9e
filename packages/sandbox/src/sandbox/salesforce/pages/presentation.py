"""How records are printed on pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.salesforce.pages.rich_text import cleaned
from sandbox.salesforce.schema import NUMERIC, Field, SObject
from sandbox.salesforce.values import as_text, typed

_DECIMALS = {"JPY": 0, "ISK": 0, "KWD": 3}
_BADGES = {
    "good": {"Paid", "Clean", "Closed Won"},
    "info": {"Open", "Pending", "Processing"},
    "warn": {"Partly Paid", "Overpaid", "Partly Refunded", "Uncollectible", "Disputed"},
    "bad": {"Failed", "Conflict", "Closed Lost"},
}
_LISTS = {
    "Account": ("Name", "CurrencyIsoCode", "BillingCity", "BillingCountry", "Phone"),
    "Product2": ("Name", "ProductCode", "Family", "IsActive"),
    "PricebookEntry": ("Name", "ProductCode", "CurrencyIsoCode", "UnitPrice", "IsActive"),
    "Contact": ("Name", "AccountId", "Title", "Email"),
    "Opportunity": ("Name", "AccountId", "StageName", "Amount", "CloseDate"),
}
"""Columns of lists of standard objects, as this org has them."""


def list_columns(sobject: SObject) -> list[Field]:
    """The fields that a list shows where no list view says."""
    names = _LISTS.get(sobject.name)
    if names is None:
        own = [name for name in sobject.fields if sobject.custom == name.endswith("__c")]
        names = ("Name", *(name for name in own if name not in {"Id", "IsDeleted", "Name"}))[:6]
    return [sobject.fields[name] for name in names if name in sobject.fields]


def called(field: Field) -> str:
    """What pages call a field: one that leads to a record goes by that, Created By, not its id."""
    return field.label.removesuffix(" ID") if field.to and not field.custom else field.label


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
    """A value as text: dates as people write them, numbers with all decimals of their field.

    Source: https://help.salesforce.com/s/articleView?id=000387302&type=1 (displayed as the field is
    defined).
    """
    if value is None:
        return ""
    if field.type == "boolean":
        return "Yes" if value else "No"
    if field.type in NUMERIC:
        return f"{value:,.{field.scale}f}"
    return as_text(typed(field, value))


def badge(value: str | None) -> str:
    """The colour class of a state."""
    return next((name for name, states in _BADGES.items() if value in states), "")


FILTERS: dict[str, Callable[..., Any]] = {
    "amount": amount,
    "called": called,
    "plain": plain,
    "badge": badge,
    "in_words": as_text,
    "cleaned": cleaned,
}

"""A record's timeline: how a change is said to people, and where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from invoicing.domain.model.dates import written, written_moment
from invoicing.domain.model.money import Money, shown
from invoicing.domain.model.wording import label
from invoicing.domain.salesforce import record


class Side(StrEnum):
    """Origin of a change. Values are Salesforce's picklist labels."""

    SALESFORCE = "Salesforce"
    STRIPE = "Stripe"
    FULL_SYNC = "Full Sync"
    CALENDAR = "Calendar"


SIDE_BY_FLOW: Mapping[str, Side] = {
    "handle-events": Side.STRIPE,
    "poll-events": Side.STRIPE,
    "replay-events": Side.STRIPE,
    "sync-invoice": Side.STRIPE,
    "full-sync": Side.FULL_SYNC,
    "mark-overdue": Side.CALENDAR,
}
"""Origin of what these flows change; all others do what people asked for in Salesforce."""

Changes = Mapping[str, tuple[Any, Any]]
"""Field to what it was and what it is."""

AMOUNTS: Mapping[str, str] = {
    "Amount_Disputed__c": "disputed",
    "Amount_Refunded__c": "refunded",
    "Amount_Credited__c": "credited",
    "Amount_Overpaid__c": "overpaid",
    "Amount_Paid__c": "paid",
}
"""Amounts that tell what happened, the most telling first."""

LINK = frozenset(
    ["Stripe_Invoice_Id__c", "Stripe_Account_Id__c", "Stripe_Customer_Id__c", "Livemode__c"]
)
"""What says which invoice of Stripe's it is, and tells people nothing more."""

DISPUTE = "Dispute_Status__c"
PROBLEM = "Payment_Problem__c"


@dataclass(frozen=True, slots=True)
class ChangeText:
    """A change in words, and the amount that it is about."""

    what: str
    amount: Money | None = None


def describe_change(changed: Changes, currency: str, total: Any = None) -> ChangeText:
    """Say what changed: status, money, disputes, lateness; else which fields.

    Args:
        changed: What changed.
        currency: The invoice's, in which amounts are said.
        total: What the invoice is over now, in major units.
    """
    sums = {name: _sums(changed[name], currency) for name in AMOUNTS if name in changed}
    sums = {name: pair for name, pair in sums.items() if pair[0] != pair[1]}
    over = _money(total, currency) if total and currency and record.STATUS in changed else None
    parts = _status(changed, over)
    parts += [_amount(AMOUNTS[name], was, now) for name, (was, now) in sums.items()]
    if DISPUTE in changed and changed[DISPUTE][1]:
        parts.append(f"dispute: {str(changed[DISPUTE][1]).lower()}")
    if record.PAYMENT_STATE in changed and not parts:
        parts.append("payment state: {} → {}".format(*changed[record.PAYMENT_STATE]))
    if PROBLEM in changed:
        parts.append(str(changed[PROBLEM][1] or "the payment problem is gone"))
    if record.OVERDUE in changed:
        parts.append("overdue" if changed[record.OVERDUE][1] else "no longer overdue")
    parts = parts or _other(changed)
    text = "; ".join(parts)
    moved = next((now - was for was, now in sums.values()), over)
    return ChangeText(text[:1].upper() + text[1:], moved)


def _other(changed: Changes) -> list[str]:
    parts = ["linked to its invoice in Stripe"] if record.STRIPE_ID in changed else []
    fields = [label(name) for name in changed if not (parts and name in LINK)]
    return [*parts, "brought up to date: " + ", ".join(fields)] if fields else parts


def has_news(changed: Changes) -> bool:
    """Whether a change says what nothing else tells.

    A mail that went out has an entry of its own, which says to whom; the date of the last one,
    which moves with it, is no news beside that.
    """
    if changed.keys() != {record.SENT_AT}:
        return bool(changed)
    was, now = (record.comparable(record.SENT_AT, each) or "" for each in changed[record.SENT_AT])
    return was > now


def _status(changed: Changes, over: Money | None) -> list[str]:
    if record.STATUS not in changed:
        return []
    was, now = changed[record.STATUS]
    return [f"{was or 'new'} → {now}{f' over {over}' if over and was == 'Draft' else ''}"]


def _sums(pair: tuple[Any, Any], currency: str) -> tuple[Money, Money]:
    was, now = pair
    return _money(was, currency), _money(now, currency)


def _money(value: Any, currency: str) -> Money:
    return Money.of(Decimal(str(value or 0)), currency or "USD")


def _amount(verb: str, was: Money, now: Money) -> str:
    if not was.minor:
        return f"{verb} {now}"
    more = now - was
    return f"{verb} {more} more, {now} in all" if more.minor > 0 else f"{verb} {now}, was {was}"


def listed(changed: Changes) -> str:
    """All fields that changed, a line for each."""
    return "\n".join(
        f"{label(name)}: {_said(name, was)} → {_said(name, now)}"
        for name, (was, now) in changed.items()
    )


def _said(name: str, value: Any) -> str:
    """A field's value, as it was read or is written, for people."""
    if value is None or value == "":
        return "nothing"
    match record.KINDS.get(name):
        case "number":
            return shown(record.number(value), min(record.SCALES[name], 2))
        case "boolean":
            return "yes" if value in (True, "true") else "no"
        case "date":
            return written(date.fromisoformat(str(value)))
        case "datetime":
            return f"{written_moment(datetime.fromisoformat(str(value)[:19]))} UTC"
    return str(value)

"""Show on Accounts what somebody changed about their customers in Stripe."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from invoicing.connectors import salesforce, stripe
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.event_parsing import (
    is_of_customer,
)
from invoicing.domain.stripe.resources import Customer
from invoicing.errors import InvoicingError, may_pass
from invoicing.ledger import inbox
from invoicing.ledger.models import Event
from tasks.records.org_facts import text_lengths
from tasks.records.soql_lists import select_in

SHOWN_ATTRIBUTES = frozenset(["name", "email"])
"""Attributes of a Stripe customer that are shown on the Account."""


def update_accounts(events: Sequence[Event]) -> list[Event]:
    """Show on Accounts what somebody changed about their customers in Stripe.

    Returns:
        The events that are about something else.
    """
    about = [event for event in events if is_of_customer(event.type)]
    if not about:
        return list(events)
    changed = {e.object_id for e in about if e.object_id and e.body and _changes_what_is_shown(e)}
    owner = about[0].owner or ""
    try:
        failed = _write_accounts(sorted(changed))
    except InvoicingError as error:
        failed = dict.fromkeys(changed, error)
    for event in about:
        if wrong := failed.get(event.object_id or ""):
            inbox.fail([event.id or 0], owner, str(wrong), for_good=not may_pass(wrong))
    inbox.finish([e.id for e in about if e.id is not None and e.object_id not in failed], owner)
    return [event for event in events if not is_of_customer(event.type)]


def _changes_what_is_shown(event: Event) -> bool:
    body = orjson.loads(event.body)
    if body["object"] != "event" or event.type == "customer.deleted":
        return True
    return bool(SHOWN_ATTRIBUTES & set(body["data"].get("previous_attributes") or ()))


def _write_accounts(customer_ids: Sequence[str]) -> dict[str, InvoicingError]:
    """Show customers on their Accounts; returns what failed, by customer."""
    if not customer_ids:
        return {}
    accounts = select_in(
        "Account", "Stripe_Customer_Id__c", customer_ids, list(record.CUSTOMER_FIELDS)
    )
    updates = {}
    failed: dict[str, InvoicingError] = {}
    for account in accounts:
        customer_id = account["Stripe_Customer_Id__c"]
        try:
            customer = stripe.client().customer(customer_id)
        except InvoicingError as error:
            failed[customer_id] = error
            continue
        changed = record.differences(account, _customer_fields(account, customer))
        if changed:
            written = {name: now for name, (_, now) in changed.items()}
            updates[customer_id] = {"Id": account["Id"]} | written
    ids = list(updates)
    for row in salesforce.client().update_many("Account", list(updates.values())):
        failed[ids[row.index]] = row.error
    return failed


def _customer_fields(
    account: Mapping[str, Any], customer: Customer | None
) -> dict[str, str | None]:
    if customer is None:
        return record.customer_fields(name=record.CUSTOMER_DELETED, email=None)
    name, email = customer.get("name"), customer["email"]
    fields = record.customer_fields(
        name=None if name == account["Name"] else name,
        email=None if email == account["Invoice_Email__c"] else email,
    )
    return record.cut(fields, text_lengths("Account"))

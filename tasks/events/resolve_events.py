"""Find what events are about that do not name an invoice: a payment of one, or a customer."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.event_parsing import (
    invoice_of,
    is_of_customer,
    names_a_payment,
    payment_of,
)
from invoicing.domain.stripe.payment_facts import PaymentName
from invoicing.domain.stripe.resources import Customer
from invoicing.errors import InvoicingError, may_pass
from invoicing.ledger import inbox
from invoicing.ledger.models import Event
from tasks.records.environment_check import text_lengths
from tasks.records.soql_lists import select_in
from tasks.runtime.step import step

SHOWN_ATTRIBUTES = frozenset(["name", "email"])
"""Attributes of a Stripe customer that are shown on the Account."""

INVOICE_OBJECT_TYPES = ("v1.invoice_payment.", "v1.credit_note.")
"""Thin events name their object only, and these objects name their invoice."""


def needs_its_invoice(event: Event) -> bool:
    """Whether an event is about an invoice that it does not name itself."""
    about = names_a_payment(event.type) or event.type.startswith(INVOICE_OBJECT_TYPES)
    return bool(about and not event.invoice_id and event.body)


@step("find the invoices of payments")
def resolve_invoices(events: Sequence[Event]) -> list[Event]:
    """Find the invoices of events that name them by a payment, each payment once.

    Money that was paid for other things than invoices is nothing to us.

    Returns:
        The events to go on with; the others were put back, or failed for good.
    """
    found: dict[PaymentName, str | None] = {}
    able = []
    for event in events:
        try:
            event.invoice_id = _resolve(event, found)
            if event.invoice_id and event.id is not None:
                inbox.name_invoice(event.id, event.invoice_id)
        except InvoicingError as error:
            lasting = not may_pass(error)
            inbox.fail([event.id or 0], event.owner or "", str(error), for_good=lasting)
            continue
        able.append(event)
    return able


def _resolve(event: Event, found: dict[PaymentName, str | None]) -> str | None:
    body = orjson.loads(event.body)
    thin = body["object"] != "event"
    thing = stripe.client().read(body["related_object"]["url"]) if thin else body["data"]["object"]
    if thing is None:
        return None
    payment = payment_of(thing)
    named = invoice_of(thing)
    if named or payment is None:
        return named
    if payment not in found:
        found[payment] = stripe.client().invoice_of_payment(payment)
    if found[payment] is None:
        get_run_logger().info("%s is passed over: %s", event.type, payment.of_no_invoice)
    return found[payment]


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
        wrong = failed.get(event.object_id or "")
        if wrong:
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

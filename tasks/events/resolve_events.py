"""Find what events are about that do not name an invoice, but a payment of one."""

from collections.abc import Sequence

import orjson
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.stripe.event_parsing import (
    invoice_of,
    names_a_payment,
    payment_of,
)
from invoicing.domain.stripe.payment_facts import PaymentName
from invoicing.errors import InvoicingError, may_pass
from invoicing.ledger import inbox
from invoicing.ledger.models import Event
from tasks.runtime.step import step

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

"""Find the refunds, disputes and failed debits that no event reported; no page shows them."""

from datetime import UTC, datetime, timedelta

from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.wording import counted
from invoicing.domain.stripe.payment_facts import FAILED_REFUNDS, PaymentName, named_payment
from invoicing.domain.stripe.resources import Dispute, Refund
from invoicing.errors import Rejected
from invoicing.ledger import inbox, payment_facts, stream_positions
from invoicing.settings import settings
from tasks.runtime.step import step
from tasks.sync.refresh import refresh

OVERLAP = timedelta(days=1)

RETURNED_WITHIN = timedelta(days=31)
"""Banks return refunds for so long: https://docs.stripe.com/refunds#failed-refunds"""

EVENT_TYPES = ("refund.created", "charge.dispute.created")
"""The events that tell of money that goes back, in both of Stripe's shapes."""

RETURNED_TYPE = "refund.failed"
"""The event that tells that it came back again."""


@step("look for refunds, disputes and debits that no event reported")
def find_missed_refunds() -> None:
    """Look into the payments of which money went back since the last look without an event.

    The first time, all that the account ever had are looked at. Stripe keeps events for 30
    days, so this is what finds a refund that was made, or returned by a bank, while no event was
    received. Bank debits and disputes that were not over are looked at each time: nothing on an
    invoice's page says how they ended.
    """
    name = f"money-back:{settings().stripe.account_id}"
    began = datetime.now(UTC)
    told, returned = _told(*EVENT_TYPES), _told(RETURNED_TYPE)
    last = stream_positions.cursor(name)

    def is_missed(thing: Refund | Dispute) -> bool:
        if thing["status"] in FAILED_REFUNDS:
            return thing["id"] not in returned
        new = last is None or thing["created"] >= last.timestamp()
        return new and thing["id"] not in told

    listed = stripe.client().refunds_and_disputes(last and last - RETURNED_WITHIN)
    missed = {named_payment(thing): thing["id"] for thing in listed if is_missed(thing)}
    found = {_invoice_of(payment, missed[payment]) for payment in sorted(missed)}
    invoices = sorted(id_ for id_ in found | set(payment_facts.undecided()) if id_)
    changes = refresh(invoices, reread_payments=invoices) if invoices else []
    if not any(change.transient for change in changes):
        stream_positions.move_cursor(name, began - OVERLAP)
    changed = sum(bool(change.changed) for change in changes)
    get_run_logger().info(
        "%s looked into for refunds, disputes and debits, %s changed.",
        counted(len(invoices), "invoice"),
        f"{changed:,}",
    )


def _told(*types: str) -> set[str]:
    """Refunds and disputes that events of some types were about."""
    return inbox.objects_of([*types, *(f"v1.{kind}" for kind in types)])


def _invoice_of(payment: PaymentName, thing: str) -> str | None:
    """The invoice of a payment of which money went back; None, and a note, if it has none.

    Raises:
        TransientError: Stripe was away.
    """
    try:
        found = stripe.client().invoice_of_payment(payment)
    except Rejected as error:
        get_run_logger().warning("%s is passed over: %s", thing, error)
        return None
    if found is None:
        get_run_logger().info("%s is passed over: %s", thing, payment.of_no_invoice)
    return found

"""Find the refunds and disputes that no event reported; no invoice's page shows them."""

from datetime import UTC, datetime, timedelta

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.wording import counted
from invoicing.domain.stripe.events import payment_of
from invoicing.ledger import inbox
from invoicing.settings import settings
from tasks.runtime.retries import STEP
from tasks.sync.refresh import refresh

OVERLAP = timedelta(days=1)

EVENT_TYPES = ("refund.created", "charge.dispute.created")
"""The events that tell of money that goes back, in both of Stripe's shapes."""


@task(task_run_name="look for refunds and disputes that no event reported", **STEP)
def find_missed_refunds() -> None:
    """Look into the payments of which money went back since the last look without an event.

    The first time, all that the account ever had are looked at. Stripe keeps events for 30
    days, so this is what finds a refund that was made while no event was received.
    """
    name = f"money-back:{settings().stripe.account_id}"
    began = datetime.now(UTC)
    reported = inbox.objects_of([*EVENT_TYPES, *(f"v1.{kind}" for kind in EVENT_TYPES)])
    missed = {
        payment
        for thing in stripe.client().refunds_and_disputes(inbox.cursor(name))
        if thing["id"] not in reported and (payment := payment_of(thing))
    }
    found = {stripe.client().invoice_of_payment(payment) for payment in sorted(missed)}
    invoices = sorted(id_ for id_ in found if id_)
    changes = refresh(invoices, reread_payments=invoices) if invoices else []
    if not any(change.transient for change in changes):
        inbox.move_cursor(name, began - OVERLAP)
    changed = sum(bool(change.changed) for change in changes)
    get_run_logger().info(
        "%s looked into for refunds and disputes, %s changed.",
        counted(len(invoices), "invoice"),
        f"{changed:,}",
    )

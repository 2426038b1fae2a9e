"""Close the dead letters of invoices that are in step by now."""

from collections.abc import Collection
from datetime import datetime

from prefect.logging import get_run_logger

from invoicing.domain.model.wording import counted
from invoicing.ledger import inbox
from invoicing.settings import settings


def close_dead_letters(
    stripe_ids: Collection[str], read_at: datetime, reread_payments: Collection[str] = ()
) -> None:
    """Close the dead letters of invoices that are in step by now.

    Args:
        stripe_ids: The invoices.
        read_at: Before this instant (UTC) their state in Stripe was not read yet.
        reread_payments: Those whose refunds and disputes were read, too.
    """
    if not stripe_ids:
        return
    account, reread = settings().stripe.account_id, set(reread_payments)
    closed = inbox.close_dead_letters(account, stripe_ids, before=read_at, reread_payments=reread)
    if closed:
        get_run_logger().info("%s closed: it is in step.", counted(closed, "dead letter"))

"""Rebuild what the ledger must know, after it was restored from a copy, or lost."""

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.forms.parameters import OptionalDate
from invoicing.domain.model.wording import counted
from tasks.rebuild.from_salesforce import (
    restore_customers,
    restore_record_links,
    restore_timelines,
)
from tasks.rebuild.from_stripe import (
    compare_all,
    name_half_sent,
    restore_acts,
    restore_credits,
    restore_invoice_links,
    restore_lent_emails,
    restore_payments,
)
from tasks.records.environment_check import verify_environment
from tasks.runtime.clock import day_before
from tasks.runtime.flow import invoicing_flow


@invoicing_flow("rebuild the ledger")
def rebuild_ledger(saved_on: OptionalDate = None) -> Outcome:
    """Read again in Stripe and Salesforce what the ledger must know, so that nothing is done twice.

    For a ledger that was restored from a copy, or is new because the old one was lost. Run it
    before anything else; what the ledger knows stays. It starts a full sync, which does the rest.

    Args:
        saved_on: The day on which the copy was made that was restored. Empty if all was lost: then
            everything is read.
    """
    verify_environment()
    since = day_before(saved_on) if saved_on else None
    linked = restore_invoice_links(since) + restore_record_links(since)
    customers = restore_customers(since)
    acts = restore_acts(since) + restore_credits(since)
    payments = restore_payments(since)
    lent = restore_lent_emails(since)
    entries = restore_timelines(since)
    unsure = name_half_sent()
    compare_all()
    return Outcome(
        sentence=(
            f"Found again: {counted(linked, 'link')} of invoices, "
            f"{counted(customers, 'customer')}, "
            f"{counted(acts, 'act')} such as mails and credit notes, "
            f"{counted(payments, 'payment')} from outside Stripe, "
            f"{counted(lent, 'customer')} with a lent address, "
            f"{entries:,} entries of timelines. A full sync was started, which "
            f"does the rest. {unsure}"
        )
    )

"""What differs between the two sides, by what was staged of them."""

from prefect.logging import get_run_logger

from invoicing.domain.model.wording import counted
from invoicing.domain.sync.drift_kinds import Kind
from invoicing.ledger import drift, staging, sync_history
from invoicing.ledger.models import SyncRun
from tasks.full_sync.create_missing import CREATE_CHUNK
from tasks.runtime.step import step
from tasks.sync.new_record_fields import BilledTo, accounts_of


@step("compare both sides")
def find_drift(sync: SyncRun) -> tuple[int, int]:
    """Compare both sides in the ledger.

    Returns:
        How many invoices Stripe has, and on how many the two sides differ.
    """
    kinds = drift.find(sync.id)
    if Kind.MISSING_IN_SALESFORCE in kinds:
        _name_accounts(sync)
        kinds = drift.kinds(sync.id)
    in_stripe, in_salesforce = staging.counts()
    sync_history.record_totals(sync.id, in_stripe=in_stripe, in_salesforce=in_salesforce)
    differ = sum(kinds.values())
    get_run_logger().info(
        "%s in Stripe, %s in Salesforce, %s differ.",
        counted(in_stripe, "invoice"),
        f"{in_salesforce:,}",
        f"{differ:,}",
    )
    return in_stripe, differ


def _name_accounts(sync: SyncRun) -> None:
    """Tell invoices whose customer belongs to no Account from those that can be made."""
    for rows in drift.in_stripe_order(sync.id, [Kind.MISSING_IN_SALESFORCE], size=CREATE_CHUNK):
        billed = [BilledTo(row.subject, row.named_account, row.customer_id) for row in rows]
        accounts = accounts_of(billed)
        drift.note(sync.id, "account_id", accounts)
        unlinked = [one.stripe_id for one in billed if one.stripe_id not in accounts]
        drift.note(sync.id, "kind", dict.fromkeys(unlinked, Kind.UNLINKED_CUSTOMER))

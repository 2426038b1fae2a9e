"""Put every invoice right, and say what was wrong."""

from prefect import flow
from prefect.futures import wait

from invoicing.domain.forms import Outcome
from invoicing.domain.words import counted
from tasks.ledger import check_world
from tasks.policy import SIDE_BY_SIDE, answering
from tasks.reconciliation import (
    close_sync,
    find_drift,
    plan_windows,
    publish_drift,
    repair,
    stage_salesforce,
    stage_stripe,
)


@flow(
    name="full-sync",
    flow_run_name="full sync",
    task_runner=SIDE_BY_SIDE,
    persist_result=True,
)
@answering
def full_sync(
    dry_run: bool = False,
) -> Outcome:
    """Compare every invoice in Stripe and Salesforce, repair what differs, and report it.

    Killed anywhere, it goes on with what it has not read yet when it is run again.

    Args:
        dry_run: Only report what differs; write nothing.
    """
    check_world()
    reading = stage_stripe.map(plan_windows(dry_run))
    in_salesforce = stage_salesforce.submit()
    wait([*reading, in_salesforce])
    in_stripe = sum(reading.result())
    in_salesforce.result()
    drift = find_drift()
    if not dry_run:
        repair(drift)
    outcomes = publish_drift()
    close_sync()
    came_of_it = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    return Outcome(
        sentence=f"{counted(in_stripe, 'invoice')} compared, {len(drift):,} differed"
        + (f": {came_of_it}." if drift else ".")
    )

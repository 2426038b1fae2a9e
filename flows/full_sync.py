"""Put every invoice right, and say what was wrong."""

from typing import Annotated

from prefect.futures import PrefectFuture, wait
from pydantic import Field

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.model.wording import counted
from invoicing.domain.sync.drift_kinds import KINDS_FOR_PEOPLE, Kind
from tasks.events.refresh_dead_letters import retry_dead_letters
from tasks.full_sync.approval import await_approval
from tasks.full_sync.drift_report import publish_drift
from tasks.full_sync.find_drift import find_drift
from tasks.full_sync.missed_refunds import find_missed_refunds
from tasks.full_sync.missing_customer_ids import (
    SilentAccount,
    find_silent_accounts,
    show_missing_customers,
    silent_accounts_message,
)
from tasks.full_sync.repair import SIDE_BY_SIDE, make_missing, repair
from tasks.full_sync.staging import read_salesforce, read_stripe
from tasks.full_sync.sync_changed import sync_changed
from tasks.full_sync.sync_run import begin_sync, finish_sync, lock_sync
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.sending.one_off_email import give_back_all_emails


@invoicing_flow("full sync", task_runner=SIDE_BY_SIDE)
def full_sync(
    dry_run: bool = False,
    only: list[Kind] = [],  # noqa: B006
    approve_above: Annotated[float, Field(ge=0, le=1)] = 0.2,
    incremental: bool = False,
    workers: Annotated[int, Field(ge=1, le=64, title="No longer used")] = 1,  # noqa: ARG001
) -> Outcome:
    """Compare every invoice in Stripe and Salesforce, repair what differs, and report it.

    Killed anywhere, it goes on with what it has not read yet when it is run again, within
    twelve hours. While another one is at work, it is refused.

    Args:
        dry_run: Only report what differs; write nothing.
        only: The kinds of drift to repair; all that need no person to decide, unless given.
        approve_above: Ask a person before more than this share of all invoices is changed.
        incremental: Between nights: refresh only what events and Salesforce name as changed.
        workers: Leave it as it is: it changes nothing. Schedules that still give it go on.
    """
    verify_environment()
    give_back_all_emails()
    with lock_sync():
        if incremental:
            return Outcome(sentence=sync_changed())
        sync = begin_sync(dry_run)
        reading = [read_stripe.submit(), read_salesforce.submit(sync)]
        wait(reading)
        for side in reading:
            side.result()
        compared, differ = find_drift(sync)
        silent: list[SilentAccount] = []
        telling: list[PrefectFuture[None]] = []
        wanted = [kind for kind in only or Kind if kind not in KINDS_FOR_PEOPLE]
        if not dry_run:
            declined = await_approval(sync, wanted, approve_above)
            if declined:
                finish_sync(sync)
                return Outcome(sentence=declined)
            make_missing(sync, wanted)
            found = find_silent_accounts.submit()
            telling = repair(sync, wanted)
            find_missed_refunds()
            retry_dead_letters()
            silent = show_missing_customers(found.result())
        outcomes = publish_drift(sync, silent)
        wait(telling)
        finish_sync(sync)
    ending = f": {outcomes}." if differ else "."
    return Outcome(
        sentence=f"{counted(compared, 'invoice')} compared, {differ:,} differed{ending}"
        f"{silent_accounts_message(silent)}"
    )

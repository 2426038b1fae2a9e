"""Steps of scheduled sending: which drafts' day has come, and a run for each."""

from prefect import task

from invoicing.connectors import salesforce
from invoicing.connectors.prefect import Prefect
from invoicing.domain import record
from invoicing.domain.status import Status, SyncState
from invoicing.settings import settings
from tasks.policy import STEP
from tasks.salesforce import today


@task(task_run_name="find drafts whose day has come", **STEP)
def find_scheduled() -> dict[str, str]:
    """Drafts to be sent by today, the business's date, each with the name of its attempt.

    A draft has one attempt. Once that failed, it has one more each day, because what was wrong
    may have been put right, and a run that waits for somebody's approval is not doubled.
    """
    found = salesforce.client().query(
        f"SELECT Id, {record.SEND_ON}, {record.SYNC_STATE} FROM {record.INVOICE} "  # noqa: S608
        f"WHERE {record.STATUS} = '{Status.DRAFT}' AND {record.SEND_ON} <= {today()} "
        f"ORDER BY {record.SEND_ON}, Id"
    )
    failed = (SyncState.FAILED, SyncState.CONFLICT)
    return {
        row["Id"]: f"scheduled-{row['Id']}-{row[record.SEND_ON]}"
        + (f"-again-{today()}" if row[record.SYNC_STATE] in failed else "")
        for row in found
    }


@task(task_run_name="start sending", **STEP)
def start_sending(scheduled: dict[str, str]) -> int:
    """Start a run of send-invoice for each draft; returns how many are new.

    The attempt's name is the run's idempotency key: starting it twice is starting it once.
    """
    server = Prefect(settings().prefect_api_url, settings().prefect_api_auth)
    return sum(
        server.start_unless_started("send-invoice", {"invoice": record_id}, attempt)
        for record_id, attempt in scheduled.items()
    )

"""What is deleted because its time is over, in each of our stores."""

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client

from invoicing.domain.model.wording import counted
from invoicing.ledger import personal_data
from invoicing.settings import settings
from tasks.personal_data import report_files, run_history
from tasks.runtime.step import step


@step("clear old texts of the ledger")
def forget_texts() -> str:
    """Clear the ledger's texts whose time is over; returns how many rows had one, in words."""
    kept = settings().retention
    rows = personal_data.forget(
        bodies=_before(settings().ledger.event_body_days),
        texts=_before(kept.text_days),
        reports=_before(kept.report_days),
    )
    return f"{counted(sum(rows.values()), 'row')} of the ledger"


@step("delete old runs")
def delete_old_runs() -> str:
    """Delete runs that ended long ago, with logs, pages and results; returns how many, in words."""
    with get_client(sync_client=True) as client:
        runs = run_history.delete_older(client, _before(settings().retention.run_days))
    return f"{counted(runs, 'run')}, with logs, pages and results"


@step("delete old reports")
def delete_old_reports() -> str:
    """Delete drift lists and exports whose time is over; returns how many, in words."""
    return counted(report_files.delete_older(_before(settings().retention.report_days)), "report")


def _before(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)

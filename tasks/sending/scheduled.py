"""Steps of scheduled sending: which drafts' day has come, and a run for each."""

from functools import partial

from invoicing.connectors import prefect, salesforce
from invoicing.domain.forms.approval import DECLINED
from invoicing.domain.model.dates import written
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of, equals
from invoicing.ledger import intents
from invoicing.ledger.intents import FINALIZE, SEND
from tasks.runtime.clock import today
from tasks.runtime.run_name import has_tag
from tasks.runtime.step import step
from tasks.sending.pending_sends import being_sent, names

SCHEDULED = "scheduled"
"""Tag of the runs that nobody asked for but the sending date."""


def postponed(draft: Invoice) -> str:
    """Say that a draft waits for another day than this run was started for; nothing if not.

    A run may wait for a worker, and the day is changed meanwhile.
    """
    day = draft.details.send_on
    if not has_tag(SCHEDULED) or draft.status is not Status.DRAFT or (day and day <= today()):
        return ""
    if intents.attempted(FINALIZE, draft.record_id):
        return ""
    now = f"is {written(day)} now" if day else "was taken back"
    return f"{draft.name} was not sent: its sending date {now}."


@step("start scheduled sending")
def start_sending() -> tuple[int, int]:
    """Start a run of send-invoice for each draft that is to be sent by today.

    A draft has one attempt. If that has ended and it still is a draft, it has one more each day,
    because what was wrong may have been put right. One whose run is under way, or waits for
    somebody's approval, is left to that run. An attempt's name is its run's idempotency key:
    starting it twice is starting it once.

    Returns:
        How many drafts' day has come, and how many runs are new.
    """
    under_way = being_sent()
    due = _due()  # read after the runs, so that what has ended meanwhile shows here
    left = [row for row in due if not under_way & names(row)]
    return len(due), sum(_start(row["Id"], row[record.SEND_ON]) for row in left)


def _due() -> list[salesforce.Record]:
    """The drafts to be sent by today, the business's date; what was declined waits for a person.

    In SOQL, ``!=`` finds empty fields, too.
    """
    org = salesforce.client()
    declines = org.keeps(record.INVOICE, record.APPROVAL_STATUS)
    return org.query(
        Query(
            record.INVOICE,
            ["Id", "Name", record.STRIPE_ID, record.SEND_ON],
            where=all_of(
                equals(record.STATUS, Status.DRAFT),
                Comparison(record.SEND_ON, "<=", today()),
                Comparison(record.APPROVAL_STATUS, "!=", DECLINED) if declines else None,
            ),
            order=f"{record.SEND_ON}, Id",
        )
    )


def _start(record_id: str, day: str) -> bool:
    """Start the first attempt, or today's if there was one before; False if both were started."""
    given = {"invoice": record_id}
    start = partial(prefect.client().start_unless_started, SEND, given, tags=[SCHEDULED])
    first = f"scheduled-{record_id}-{day}"
    return start(first) or start(f"{first}-again-{today()}")

"""Remind customers through Stripe, each planned reminder once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

from more_itertools import chunked
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.dates import local_date, written
from invoicing.domain.model.reminder_dates import due_dates, planned_day
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query
from invoicing.domain.stripe.payment_facts import payments_of, under_way
from invoicing.errors import InvoicingError, TransientError
from invoicing.ledger import intents, links
from invoicing.ledger.intents import REMIND
from invoicing.ledger.models import Intent, TimelineEntry
from invoicing.settings import settings
from tasks.records.locks import INVOICE
from tasks.records.soql_lists import select_in
from tasks.records.timeline import add_entries, make_entry
from tasks.runtime.artifacts import publish_table
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_url
from tasks.runtime.step import step
from tasks.sending.mail_once import is_mail_of, mail_once, mailed

CHUNK = 50

UNREPORTED_AGE = (timedelta(days=60), timedelta(days=1))
"""How old reminders are, at most and at least, that a dead run may have begun and not reported."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """A reminder that is planned for a day, and its outcome."""

    record_id: str
    name: str
    account: str
    stripe_id: str
    due: date
    planned: date
    noted: int
    """Number of reminders on the record."""
    late: bool = False
    """Whether it was begun on its day, and that is over."""
    sent: bool = False
    outcome: str = ""

    @property
    def subject(self) -> str:
        """The intent's subject: record and planned day."""
        return f"{self.record_id}:{self.planned.isoformat()}"


@step("plan the reminders")
def plan_reminders() -> list[Reminder]:
    """The reminders that are due by the policy, and those begun earlier that are on no timeline.

    None while the policy is off.
    """
    policy, day = settings().reminders, today()
    if not policy.offsets:
        return []
    where = record.reminder_condition(due_dates(day, policy.offsets))
    found = salesforce.client().query(
        Query(record.INVOICE, record.REMINDER_FIELDS, where=where, order="Name")
    )
    planned = [_planned(row, day, policy.offsets) for row in found]
    due = [reminder for reminder in planned if reminder]
    return due + _unreported({reminder.subject for reminder in due})


def _unreported(due: Collection[str]) -> list[Reminder]:
    """Reminders of other days that were begun, and are not on their records' timelines."""
    since, until = (datetime.now(UTC) - age for age in UNREPORTED_AGE)
    left = [i for i in intents.unreported(REMIND, since, until) if i.subject not in due]
    ids = (intent.subject.partition(":")[0] for intent in left)
    rows = {row["Id"]: row for row in select_in(record.INVOICE, "Id", ids, record.REMINDER_FIELDS)}
    planned = [(rows.get(id_), day) for id_, _, day in (i.subject.partition(":") for i in left)]
    return [_reminder(row, date.fromisoformat(day), late=True) for row, day in planned if row]


def _planned(row: salesforce.Record, day: date, offsets: Sequence[int]) -> Reminder | None:
    due = date.fromisoformat(row[record.DUE_DATE])
    planned = planned_day(due, day, offsets)
    mailed = datetime.fromisoformat(row[record.SENT_AT])
    if planned is None or planned <= mailed.astimezone(settings().business.zone).date():
        return None
    return _reminder(row, planned)


def _reminder(row: salesforce.Record, planned: date, *, late: bool = False) -> Reminder:
    return Reminder(
        record_id=row["Id"],
        name=row["Name"],
        account=row["Account__r"]["Name"],
        stripe_id=row[record.STRIPE_ID],
        due=date.fromisoformat(row[record.DUE_DATE]),
        planned=planned,
        noted=int(row.get(record.REMINDERS_SENT) or 0),
        late=late,
    )


def remind_all(reminders: Sequence[Reminder]) -> list[Reminder]:
    """Send what is to be sent, and write it down, some at a time.

    Raises:
        TransientError: some could not be sent, after all others were; run it again.
    """
    results: list[Reminder] = []
    failure: TransientError | None = None
    for some in chunked(reminders, CHUNK):
        try:
            results += remind(some)
        except TransientError as error:
            failure = error
    if failure:
        raise failure
    return results


@step("send some reminders")
def remind(reminders: Sequence[Reminder]) -> list[Reminder]:
    """Send some reminders, each once; one that cannot be sent keeps no other from it.

    Raises:
        TransientError: a service was away for some of them.
    """
    results, failure = [], None
    for reminder in reminders:
        try:
            results.append(_remind(reminder))
        except InvoicingError as error:
            failure = error if isinstance(error, TransientError) else failure
            results.append(replace(reminder, outcome=str(error)))
    _write_down(results)
    if failure:
        raise failure
    return results


def _remind(reminder: Reminder) -> Reminder:
    """Remind of an invoice, unless it is paid, disputed or was reminded of often enough."""
    before = intents.find(REMIND, reminder.subject)
    if before and before.outcome:
        return replace(reminder, outcome="was sent before")
    with INVOICE.held(reminder.record_id):
        reason = _why_not(reminder)
        if reason and not (before and _find_mail(reminder, before.intended_at)):
            if reminder.late:
                intents.withdraw(REMIND, reminder.subject)
            return replace(reminder, outcome=reason)
        mail_once(
            REMIND,
            reminder.subject,
            reminder.stripe_id,
            digest=reminder.planned.isoformat(),
            evidence=partial(_find_mail, reminder),
        )
        return replace(reminder, sent=True, outcome="sent")


def _why_not(reminder: Reminder) -> str | None:
    if reminder.late:
        return "was not mailed, and its day is over"
    if links.stripe_id(reminder.record_id) not in (None, reminder.stripe_id):
        return "has the Stripe id of another invoice; sync it"
    invoice = stripe.client().invoice_with_payments(reminder.stripe_id)
    if invoice is None or invoice["status"] != "open" or not invoice["amount_remaining"]:
        return f"is {invoice['status'] if invoice else 'gone'} in Stripe by now"
    due = invoice["due_date"]
    if due is None or local_date(due, settings().business.zone) != reminder.due:
        return "is due on another day in Stripe; sync it"
    if under_way(payments_of(invoice)):
        return "a bank debit is under way"
    if stripe.client().money_back(invoice).disputed:
        return "a payment on it is disputed"
    most = settings().reminders.at_most
    if len(intents.concluded(REMIND, reminder.record_id)) >= most:
        return f"was reminded of {most} times already"
    return None


def _find_mail(reminder: Reminder, since: datetime) -> str | None:
    """Unix time at which this very reminder was mailed, if Stripe knows of it."""
    forgotten = f"Stripe no longer tells whether {reminder.name} was reminded of."
    return mailed(since, is_mail_of(REMIND, reminder.subject), forgotten)


def _write_down(reminders: Sequence[Reminder]) -> None:
    """Note on records and timelines what the ledger knows to be sent, and they do not.

    The timeline comes last: what is not on it is written down again.
    """
    updates, entries = [], []
    for reminder in reminders:
        done = intents.concluded(REMIND, reminder.record_id)
        entries += [_entry(reminder, intent, number) for number, intent in enumerate(done, 1)]
        if len(done) > reminder.noted:
            updates.append(
                {
                    "Id": reminder.record_id,
                    record.REMINDERS_SENT: len(done),
                    record.LAST_REMINDER_AT: record.stamp(_when(done[-1])),
                    record.LAST_RUN_URL: run_url(),
                }
            )
    failed = set()
    for row in salesforce.client().update_many(record.INVOICE, updates):
        if isinstance(row.error, TransientError):
            raise row.error
        failed.add(updates[row.index]["Id"])
        get_run_logger().warning("%s: %s", updates[row.index]["Id"], row.error)
    add_entries([entry for entry in entries if entry.record_id not in failed])


def _when(intent: Intent) -> datetime:
    return datetime.fromtimestamp(int(intent.outcome or 0), UTC)


def _entry(reminder: Reminder, intent: Intent, number: int) -> TimelineEntry:
    planned = written(date.fromisoformat(intent.subject.partition(":")[2]))
    return make_entry(
        intent.subject,
        f"Reminder {number} mailed, planned for {planned}",
        record_id=reminder.record_id,
        stripe_id=reminder.stripe_id,
        happened_at=_when(intent),
    )


def publish_reminders(reminders: Sequence[Reminder]) -> str:
    """Attach the outcome of each reminder; returns it in one sentence."""
    if not settings().reminders.offsets:
        return "Reminders are off: the settings name no days before or after the due date."
    if reminders:
        publish_table(
            "reminders",
            [
                {
                    "Invoice": reminder.name,
                    "Account": reminder.account,
                    "Due": written(reminder.due),
                    "Planned for": written(reminder.planned),
                    "Outcome": reminder.outcome,
                }
                for reminder in reminders
            ],
            "Reminders that were due, and the outcome of each.",
        )
    sent = sum(reminder.sent for reminder in reminders)
    return f"{counted(len(reminders), 'reminder')} planned, {sent:,} sent."

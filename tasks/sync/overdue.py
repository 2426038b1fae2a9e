"""Overdue by the business's local date, from what Salesforce holds; Stripe is not read."""

from collections import Counter
from collections.abc import Sequence

from more_itertools import chunked

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Record
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Condition, Query, all_of, any_of, is_in
from tasks.records.locks import INVOICE
from tasks.records.record_writer import Update, read_states, write_changes
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_url
from tasks.runtime.step import step


@step("find wrong overdue marks")
def find_wrong_overdue_marks() -> list[str]:
    """Ids of records whose overdue mark is wrong by today's date."""
    found = salesforce.client().query(Query(record.INVOICE, ["Id"], where=_wrong()))
    return [row["Id"] for row in found]


def _wrong() -> Condition:
    day = today()
    return any_of(record.unmarked_overdue(day), record.wrongly_marked_overdue(day))


def mark_all(record_ids: Sequence[str]) -> str:
    """Put the marks right, as many records at a time as one call takes.

    Returns:
        The outcome, in one sentence.
    """
    chunks = chunked(record_ids, salesforce.COLLECTION)
    records = sum(map(mark, chunks), Counter[str]())
    became = f"{counted(records['overdue'], 'invoice')} became overdue"
    left = f"; {counted(records['left'], 'record')} could not be written and will be next time"
    return f"{became}, {records['in time']:,} no longer are{left if records['left'] else ''}."


@step("mark overdue invoices")
def mark(record_ids: Sequence[str]) -> Counter[str]:
    """Put the marks of some records right, unless somebody works on them or did it meanwhile.

    Returns:
        How many are overdue now, are in time again, or were left as they were.
    """
    with INVOICE.held_if_free(record_ids) as busy:
        free = [id_ for id_ in record_ids if id_ not in busy]
        rows = read_states(all_of(is_in("Id", free), _wrong())) if free else []
        failed = write_changes([_update(row) for row in rows]).failed
    done = [row for row in rows if row["Id"] not in failed]
    ceased = sum(bool(row[record.OVERDUE]) for row in done)
    left = len(failed) + len(busy)
    return Counter({"overdue": len(done) - ceased, "in time": ceased, "left": left})


def _update(row: Record) -> Update:
    was = bool(row[record.OVERDUE])
    fields = {record.OVERDUE: not was, record.LAST_RUN_URL: run_url()}
    changed = {record.OVERDUE: (was, not was)}
    return Update(row, fields, changed, row[record.STRIPE_ID])

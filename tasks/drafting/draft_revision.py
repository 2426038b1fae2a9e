"""Revising drafts: changes are checked as a whole, then written in one call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from invoicing.connectors import salesforce
from invoicing.domain.forms.draft_lines import (
    changed_lines,
    chosen_details,
    chosen_due_date,
    new_lines,
)
from invoicing.domain.forms.parameters import Clearable, LineChange, LineItem, Options
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice, draft_problems
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.errors import Rejected
from invoicing.ledger import intents
from tasks.drafting.draft_record import line_subrequest, options_problems
from tasks.records.invoices import read_invoice
from tasks.records.locks import INVOICE
from tasks.records.price_books import read_price_book
from tasks.records.timeline import add_entry
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_id, run_url
from tasks.runtime.step import step


@dataclass(frozen=True, slots=True)
class Revision:
    """A revised draft that is right, and not yet written."""

    before: Invoice
    after: Invoice
    key: str


@step("check the changes")
def prepare_revision(
    invoice: Invoice,
    *,
    description: str,
    due_date: date | None,
    add: Sequence[LineItem],
    change: Sequence[LineChange],
    remove: Sequence[int],
    key: str,
    options: Options,
    clear: Sequence[Clearable],
) -> Revision:
    """Apply changes to a draft, and check the whole.

    Raises:
        Rejected: with every mistake; nothing was written.
    """
    earlier = intents.find(intents.REVISE, key)
    if earlier and (earlier.outcome or earlier.digest == invoice.content_digest):
        return Revision(invoice, invoice, key)
    if invoice.status is not Status.DRAFT:
        raise Rejected(
            f"{invoice.name} is {invoice.status}, and only a draft can be revised; "
            "Stripe keeps what was sent."
        )
    if invoice.made_in_stripe:
        raise Rejected(
            f"{invoice.name} was made in Stripe and is changed there; Salesforce follows. To have "
            "one that is changed here, clone it and delete this one."
        )
    check_not_being_sent(invoice)
    named = [item.product for item in add] + [item.product for item in change]
    book = read_price_book(invoice.currency, named, invoice.account)
    kept, problems = changed_lines(invoice.lines, change, remove, book)
    start = max((line.position for line in invoice.lines), default=0) + 1
    added, wrong = new_lines(add, book, key=key, start=start)
    due, details = chosen_due_date(
        due_date,
        chosen_details(options, invoice.details, clear),
        (invoice.due_date, invoice.details),
        clear,
    )
    memo = "" if "description" in clear else invoice.description
    after = replace(
        invoice,
        description=description.strip() if description else memo,
        due_date=due,
        lines=tuple(replace(line, position=n) for n, line in enumerate([*kept, *added], 1)),
        details=details,
    )
    problems += [*wrong, *draft_problems(after, today())]
    problems += options_problems(after.details, invoice.details)
    if problems:
        raise Rejected(problems)
    return Revision(invoice, after, key)


def check_not_being_sent(invoice: Invoice) -> None:
    """Refuse a draft whose sending has begun.

    Raises:
        Rejected: it is being sent.
    """
    if intents.attempted(intents.FINALIZE, invoice.record_id):
        raise Rejected(
            f"{invoice.name} is being sent; press Send To Customer again to finish that."
        )


@step("write the changes")
def write_revision(revision: Revision) -> Invoice:
    """Write a revised draft in one all-or-nothing call, once for its key.

    Lines are named by position, so revising twice would not be the same as revising once.
    """
    after = revision.after

    def written(_since: datetime) -> str | None:
        now = read_invoice.fn(after.record_id).content_digest
        return "revised" if now == after.content_digest else None

    def write(_key: str) -> str:
        INVOICE.keep(after.record_id)
        check_not_being_sent(after)
        salesforce.client().write_graph(_revision_nodes(revision))
        return "revised"

    if revision.before != after:
        intents.once(
            intents.REVISE,
            revision.key,
            digest=after.content_digest,
            actor=run_id(),
            evidence=written,
            act=write,
        )
    if intents.attempted(intents.REVISE, revision.key):
        act = fingerprint(revision.key)[:16]
        what = f"Revised: {after.total} on {counted(len(after.lines), 'line')}"
        key = f"{after.record_id}-revised-{act}"
        add_entry(key, after.record_id, what, amount=after.total)
    return read_invoice.fn(after.record_id)


def _revision_nodes(revision: Revision) -> list[dict[str, Any]]:
    after = revision.after
    header = record.header_fields(after)
    header[record.SYNC_STATE] = SyncState.PENDING if after.stripe_id else SyncState.CLEAN
    header[record.LAST_RUN_URL] = run_url()
    nodes = [record.subrequest("PATCH", f"{record.INVOICE}/{after.record_id}", "invoice", header)]
    before = {line.record_id: line for line in revision.before.lines}
    for line in after.lines:
        if line.record_id is None:
            nodes.append(line_subrequest(line, after.currency, after.record_id))
        elif line != before[line.record_id]:
            fields = record.line_fields(line, after.currency)
            path = f"{record.LINE}/{line.record_id}"
            nodes.append(record.subrequest("PATCH", path, f"line{line.position}", fields))
    stay = {line.record_id for line in after.lines}
    nodes += [
        record.subrequest("DELETE", f"{record.LINE}/{gone}", f"gone{number}")
        for number, gone in enumerate(before, 1)
        if gone not in stay
    ]
    return nodes

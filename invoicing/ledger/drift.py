"""Drift between the two sides of a full sync: found by one query, kept with its outcome."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from more_itertools import chunked
from sqlalchemy import delete, func, literal, text, true, tuple_
from sqlmodel import col, select

from invoicing.domain.sync.drift_kinds import Kind
from invoicing.ledger.database import read_all, session, update_each
from invoicing.ledger.models import DriftRow, Event, StagedStripe

CHUNK = 1_000
ROWS_PER_SORT = 30_000
"""Drift that is read at a time in Stripe's order, for which the database sorts all that is left."""


class DriftedInvoice(NamedTuple):
    """An invoice on which both sides differ, with what was staged of it."""

    subject: str
    kind: Kind
    record_id: str | None
    account_id: str
    salesforce_says: str
    created: int
    customer_id: str | None
    named_account: str | None


class Difference(NamedTuple):
    """A difference as the report lists it, with the columns of :class:`DriftRow`."""

    subject: str
    kind: str
    name: str | None
    record_id: str | None
    account_id: str
    stripe_says: str
    salesforce_says: str
    lines: bool
    outcome: str


FIND_DRIFT = """
INSERT INTO drift (run_id, subject, kind, name, record_id, account_id,
                   stripe_says, salesforce_says, lines, outcome)
SELECT :run_id, stripe_id, COALESCE(kind, 'lines'), name, record_id, COALESCE(account_id, ''),
       theirs, TRIM(ours), other_lines, 'found'
  FROM (
    SELECT s.stripe_id, f.record_id, f.account_id, f.name,
           f.status || ' ' || COALESCE(f.payment_state, '') AS ours,
           s.status || ' ' || COALESCE(k.payment_state, s.payment_state) AS theirs,
           CASE
             WHEN f.sync_state = 'Conflict' THEN 'conflict'
             WHEN s.status <> f.status THEN 'status'
             WHEN s.status = 'Draft' AND f.made_here
             THEN CASE WHEN s.draft_digest <> f.digest THEN 'details' END
             WHEN s.total <> COALESCE(f.total, -1)
               OR s.amount_paid <> COALESCE(f.amount_paid, -1)
               OR s.amount_remaining <> COALESCE(f.amount_remaining, -1)
               OR s.credited <> f.credited THEN 'amount'
             WHEN COALESCE(k.payment_state, s.payment_state) <> COALESCE(f.payment_state, '')
             THEN 'payment state'
             WHEN COALESCE(s.number, '') <> COALESCE(f.number, '') THEN 'number'
             WHEN (s.overdue AND COALESCE(k.payment_state, '') <> 'Processing') <> f.overdue
             THEN 'overdue'
             WHEN s.digest <> f.digest
               OR COALESCE(k.refunded, 0) <> f.refunded
               OR COALESCE(k.disputed, 0) <> f.disputed
               OR COALESCE(k.dispute_status, '') <> f.dispute_status
               OR COALESCE(k.shown_problem, '') <> f.payment_problem
               OR (l.sent_at IS NOT NULL AND NOT f.sent) THEN 'details'
             WHEN f.sync_state = 'Failed' THEN 'failed write'
           END AS kind,
           NOT (s.status = 'Draft' AND f.made_here) AND
           CASE
             WHEN COALESCE(s.lines, l.lines) IS NULL THEN s.lines_amount <> COALESCE(x.amount, 0)
             ELSE COALESCE(s.lines, l.lines) <> COALESCE(x.lines, 0)
           END AS other_lines
      FROM staged_stripe s JOIN staged_salesforce f ON f.stripe_id = s.stripe_id
      LEFT JOIN known_payments k ON k.stripe_id = s.stripe_id
      LEFT JOIN invoice_link l ON l.stripe_id = s.stripe_id
      LEFT JOIN (SELECT record_id, SUM(lines) AS lines, SUM(amount) AS amount
                   FROM staged_lines GROUP BY record_id) x ON x.record_id = f.record_id
  ) AS compared
  WHERE kind IS NOT NULL OR other_lines
UNION ALL
SELECT :run_id, s.stripe_id,
       CASE WHEN other.record_id IS NULL THEN 'missing in Salesforce' ELSE 'duplicate' END,
       other.name, s.record_id, '', s.status || ' ' || s.payment_state,
       COALESCE('has ' || other.stripe_id, 'nothing'), :no, 'found'
  FROM staged_stripe s
  LEFT JOIN staged_salesforce f ON f.stripe_id = s.stripe_id
  LEFT JOIN staged_salesforce other ON other.record_id = s.record_id
  WHERE f.record_id IS NULL
UNION ALL
SELECT :run_id, f.stripe_id,
       CASE f.status WHEN 'Draft' THEN 'deleted' ELSE 'missing in Stripe' END,
       f.name, f.record_id, COALESCE(f.account_id, ''), 'nothing',
       TRIM(f.status || ' ' || COALESCE(f.payment_state, '')), :no, 'found'
  FROM staged_salesforce f LEFT JOIN staged_stripe s ON f.stripe_id = s.stripe_id
  WHERE s.stripe_id IS NULL AND f.status <> 'Deleted'
"""
"""Query of the drift. The content of a draft that was made here is Salesforce's own, so little of
it is compared; what was deleted in Stripe and is known as such is no difference. Refunds, disputes
and bank debits are not on an invoice's page: what was read of them last is compared. Nor are the
lines after the tenth: of these invoices the lines are compared with what Stripe said when they were
read last, and until they were read, their sum with what the page says."""


def find(run_id: str) -> dict[Kind, int]:
    """Compare both sides by one set-based statement; returns how many differ in which way."""
    with session() as ledger:
        ledger.execute(delete(DriftRow).where(col(DriftRow.run_id) == run_id))
        ledger.execute(text(FIND_DRIFT), {"run_id": run_id, "no": False})
    return kinds(run_id)


def kinds(run_id: str) -> dict[Kind, int]:
    """Number of invoices by kind of drift, the most frequent first."""
    number = func.count()
    query = (
        select(DriftRow.kind, number)
        .where(DriftRow.run_id == run_id)
        .group_by(col(DriftRow.kind))
        .order_by(number.desc(), col(DriftRow.kind))
    )
    with session() as ledger:
        return {Kind(kind): count for kind, count in ledger.exec(query)}


def chunks(
    run_id: str, only: Sequence[Kind] | None = None, *, untouched: bool = False, size: int = CHUNK
) -> Iterator[list[Difference]]:
    """The drift of a full sync in chunks, sorted by Account, so that its rows lie together.

    Args:
        run_id: The full sync.
        only: The kinds wanted.
        untouched: Only what nothing was done about yet.
        size: Rows in a chunk.
    """
    place = ("", "")
    order = (col(DriftRow.account_id), col(DriftRow.subject))
    columns = [getattr(DriftRow, name) for name in Difference._fields]
    query = select(*columns).where(DriftRow.run_id == run_id).order_by(*order).limit(size)
    if only is not None:
        query = query.where(col(DriftRow.kind).in_(list(only)))
    if untouched:
        query = query.where(DriftRow.outcome == "found")
    while found := read_all(query.where(tuple_(*order) > tuple_(*map(literal, place)))):
        rows = [Difference(*row) for row in found]
        yield rows
        place = (rows[-1].account_id, rows[-1].subject)


def in_stripe_order(
    run_id: str, only: Sequence[Kind], *, size: int, lines: bool = True
) -> Iterator[list[DriftedInvoice]]:
    """Drift without an outcome yet, in chunks.

    In the order of Stripe's list, the newest first, so that those of a chunk stand on few of its
    pages.

    Args:
        run_id: The full sync.
        only: The kinds wanted; of each, the invoice is in Stripe.
        size: Rows in a chunk.
        lines: Also those whose lines differ.
    """
    order = (col(StagedStripe.created), col(StagedStripe.stripe_id))
    query = (
        select(  # type: ignore[call-overload]
            DriftRow.subject,
            DriftRow.kind,
            DriftRow.record_id,
            DriftRow.account_id,
            DriftRow.salesforce_says,
            StagedStripe.created,
            StagedStripe.customer_id,
            StagedStripe.account_id,
        )
        .join(StagedStripe, col(StagedStripe.stripe_id) == col(DriftRow.subject))
        .where(
            DriftRow.run_id == run_id,
            col(DriftRow.kind).in_(list(only)),
            DriftRow.outcome == "found",
            true() if lines else ~col(DriftRow.lines),
        )
        .order_by(order[0].desc(), order[1].desc())
        .limit(max(size, ROWS_PER_SORT))
    )
    rest = query
    while rows := [DriftedInvoice(*row) for row in read_all(rest)]:
        yield from chunked(rows, size)
        last = rows[-1]
        earlier = (order[0] == last.created) & (order[1] < last.subject)
        rest = query.where((order[0] < last.created) | earlier)


def note(
    run_id: str,
    column: Literal["account_id", "record_id", "kind", "outcome"],
    values: Mapping[str, str],
) -> None:
    """Write down what is known of differences by now, or what was done about them.

    Args:
        run_id: The full sync.
        column: Where; an invoice that lacks a record gets its Account and the record.
        values: What, by Stripe id.
    """
    rows: Mapping[str, Mapping[str, str]] = {id_: {column: value} for id_, value in values.items()}
    with session() as ledger:
        update_each(ledger, DriftRow, "subject", rows, col(DriftRow.run_id) == run_id)


def invoices_with_events(since: datetime, *, size: int = CHUNK) -> Iterator[list[str]]:
    """The invoices that events received since a UTC instant are about, each once, in chunks."""
    name = col(Event.invoice_id)
    query = select(name).where(col(Event.received_at) >= since).distinct().order_by(name)
    last = ""
    while names := [each for each in read_all(query.where(name > last).limit(size)) if each]:
        yield names
        last = names[-1]


def invoices_without_events(names: Sequence[str], since: datetime, until: datetime) -> list[str]:
    """Those of some invoices that no event named in a span of time, UTC."""
    came = col(Event.received_at)
    query = select(col(Event.invoice_id)).where(
        col(Event.invoice_id).in_(list(names)), came >= since, came < until
    )
    named = set(read_all(query))
    return [name for name in names if name not in named]


def outcomes(run_id: str) -> dict[str, int]:
    """Number of differences by outcome, in the words before the colon."""
    query = select(DriftRow.outcome, func.count()).where(DriftRow.run_id == run_id)
    counted: dict[str, int] = {}
    with session() as ledger:
        for outcome, count in ledger.exec(query.group_by(col(DriftRow.outcome))):
            word = outcome.partition(":")[0]
            counted[word] = counted.get(word, 0) + count
    return counted

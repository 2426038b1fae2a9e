"""What the ledger holds of people: in which columns, for how long, and how it is found and erased.

What exactly-once rests on are ids, fingerprints, states and instants, and these stay. Texts are
what names somebody: they are cleared, once Salesforce has them and their time is over, or when one
customer is erased. A column that is added to a table is added here, too.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from more_itertools import chunked
from sqlalchemy import ColumnElement, CursorResult, Update, case, delete, func, or_, true, update
from sqlalchemy import select as rows_of
from sqlmodel import Session, SQLModel, col, select

from invoicing.domain.model.record_ids import same_id
from invoicing.ledger import inbox, intents, payment_facts
from invoicing.ledger.database import execute, read_all, session, table_of
from invoicing.ledger.models import (
    Binding,
    Cursor,
    Customer,
    DriftRow,
    EntryState,
    Event,
    EventState,
    Intent,
    InvoiceLink,
    KnownPayments,
    Lease,
    LentEmail,
    OrgChange,
    ProcessingTime,
    RememberedLayout,
    Request,
    RequestRecord,
    RunTime,
    SharedLogin,
    StagedLines,
    StagedSalesforce,
    StagedStripe,
    Subscription,
    SyncRun,
    SyncWindow,
    TimelineEntry,
)

GONE = "no longer kept here"
"""What stands in place of a text that was cleared."""

NAMING = (intents.LEND, intents.GIVE_BACK, intents.DECIDE, intents.APPROVED_BY)
"""Operations whose intents may have a person as their outcome: an approver's name or, of earlier
releases, an e-mail address."""

IN_DOUBT = (
    *(intents.MAIL, intents.CHARGE, intents.RESEND, intents.REMIND, intents.FINALIZE),
    *(intents.CREDIT, intents.REPORT_PAYMENT, intents.ATTACH_PAYMENT),
    *(intents.VOID, intents.WRITE_OFF),
)
"""Operations of which Stripe's own record is the evidence that they happened."""

IDS_PER_STATEMENT = 100
"""Ids that one statement looks for, in several columns each."""


@dataclass(frozen=True)
class Holding:
    """What a table holds.

    Attributes:
        stays: Columns of ids, fingerprints, amounts, states and instants.
        texts: Columns that may name a customer or a colleague, and what takes their place.
        found_by: Columns by whose ids the rows of a customer are found.
        deleted: Whether a customer's rows are deleted as a whole when it is erased.
    """

    stays: Collection[str]
    texts: Mapping[str, str] = field(default_factory=dict)
    found_by: Collection[str] = ()
    deleted: bool = False


def _columns(names: str) -> frozenset[str]:
    return frozenset(names.split())


HOLDINGS: Mapping[type[SQLModel], Holding] = {
    Binding: Holding(
        _columns(
            "stripe_account_id livemode org_id mapping access multi_currency currency "
            "country_codes invoice_prefix lengths verified_at"
        )
    ),
    SharedLogin: Holding(_columns("subject sealed opened_at")),
    Lease: Holding(_columns("subject owner expires_at")),
    Intent: Holding(
        _columns(
            "operation subject generation digest actor intended_at keyed_at answered refused "
            "concluded_at"
        ),
        {"outcome": GONE},
        ["subject"],
    ),
    Customer: Holding(
        _columns("stripe_id account_id is_primary merged"), found_by=["stripe_id", "account_id"]
    ),
    LentEmail: Holding(
        _columns("customer_id account_id"),
        {"own": GONE, "lent": GONE},
        ["customer_id", "account_id"],
        deleted=True,
    ),
    RememberedLayout: Holding(_columns("name shown_name layout")),
    InvoiceLink: Holding(
        _columns("stripe_id record_id sent_at status digest lines"),
        found_by=["stripe_id", "record_id"],
    ),
    KnownPayments: Holding(
        _columns(
            "stripe_id refunded disputed dispute_status problem credited unnoted lost on_balance "
            "out_of_band under_way failed_refunds payment_state shown_problem"
        ),
        found_by=["stripe_id"],
    ),
    OrgChange: Holding(
        _columns("record_id field invoice_id"),
        {"written": GONE, "saved": GONE},
        ["invoice_id"],
        deleted=True,
    ),
    TimelineEntry: Holding(
        _columns(
            "key record_id stripe_id number happened_at side amount currency run_id run_url state"
        ),
        {"what": GONE, "changes": "{}"},
        ["record_id", "stripe_id"],
    ),
    Event: Holding(
        _columns(
            "id account_id event_id type object_id invoice_id lane livemode occurred_at "
            "received_at source digest state attempts failures replayed owner lease_expires_at "
            "done_at"
        ),
        {"body": "", "reason": GONE},
        ["lane", "invoice_id", "object_id"],
    ),
    ProcessingTime: Holding(_columns("within events seconds")),
    RunTime: Holding(_columns("flow state within runs seconds")),
    Request: Holding(
        _columns("id record_id action asked_at cleared run_id"), {"ended": GONE}, ["record_id"]
    ),
    RequestRecord: Holding(
        _columns("id action invoice_id open_key asked_at run_id answered"),
        {"parameters": "", "asked_by": ""},
        ["invoice_id"],
    ),
    Cursor: Holding(_columns("name position moved_at")),
    Subscription: Holding(_columns("name replay_id moved_at")),
    SyncRun: Holding(
        _columns(
            "id started_at finished_at dry_run salesforce_read in_stripe in_salesforce differed "
            "settled"
        )
    ),
    SyncWindow: Holding(_columns("number since until cursor reached pages done owner")),
    StagedStripe: Holding(
        _columns(
            "stripe_id created record_id customer_id status number total amount_paid "
            "amount_remaining payment_state overdue account_id credited digest draft_digest lines "
            "lines_amount"
        ),
        found_by=["stripe_id", "record_id", "customer_id", "account_id"],
    ),
    StagedSalesforce: Holding(
        _columns(
            "record_id stripe_id account_id name status number total amount_paid amount_remaining "
            "payment_state overdue sync_state credited made_here digest refunded disputed "
            "dispute_status payment_problem sent"
        ),
        found_by=["record_id", "stripe_id", "account_id"],
    ),
    StagedLines: Holding(_columns("line_id record_id lines amount"), found_by=["record_id"]),
    DriftRow: Holding(
        _columns("run_id subject kind name record_id account_id stripe_says salesforce_says lines"),
        {"outcome": GONE},
        ["subject", "record_id", "account_id"],
        deleted=True,
    ),
}
"""Every table. Staged tables are emptied by the next full sync; a remembered layout has titles of
columns; a payment's problem is Stripe's reason, and is compared each night."""

OVER: Mapping[type[SQLModel], ColumnElement[bool]] = {
    Event: col(Event.state) == EventState.DONE,
    TimelineEntry: col(TimelineEntry.state) == EntryState.PUBLISHED,
    Request: col(Request.ended).is_not(None),
    RequestRecord: col(RequestRecord.answered).is_(True),
    Intent: col(Intent.operation).in_(NAMING),
}
"""Of rows whose texts somebody may still act on: when nobody does."""


def customers_of(account_id: str) -> dict[str, str]:
    """The Stripe customers that are known of an Account, and its whole id for each.

    Args:
        account_id: Its id, of 15 characters or 18.
    """
    like = col(Customer.account_id).startswith(account_id[:15], autoescape=True)
    return {
        one.stripe_id: one.account_id
        for one in read_all(select(Customer).where(like))
        if same_id(one.account_id, account_id)
    }


def related(ids: Collection[str]) -> set[str]:
    """All ids by which a customer is known here: those given, and of its invoices on either side.

    Differences are not asked: one may be that a record names somebody else's invoice.

    Args:
        ids: Of its Account, its Stripe customers, and of invoices and records that are known.
    """
    known, new = set[str](), set(ids)
    while new:
        known |= new
        found: set[str | None] = set()
        with session() as ledger:
            for some in chunked(sorted(new), IDS_PER_STATEMENT):
                for query in (
                    select(Event.invoice_id).where(col(Event.lane).in_(some)),
                    select(InvoiceLink.record_id).where(col(InvoiceLink.stripe_id).in_(some)),
                    select(InvoiceLink.stripe_id).where(col(InvoiceLink.record_id).in_(some)),
                    select(StagedSalesforce.record_id).where(
                        col(StagedSalesforce.account_id).in_(some)
                    ),
                    select(StagedStripe.stripe_id).where(col(StagedStripe.customer_id).in_(some)),
                ):
                    found |= set(ledger.exec(query))
        new = {id_ for id_ in found if id_} - known
    return known


def rows(ids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Everything that the ledger holds of a customer, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    with session() as ledger:
        for model, its in _of_customer(ids):
            table = table_of(model)
            for row in ledger.execute(rows_of(table).where(its)).mappings():
                if dict(row) not in found.setdefault(table.name, []):
                    found[table.name].append(dict(row))
    return {table: some for table, some in found.items() if some}


def flow_runs(held: Mapping[str, Iterable[Mapping[str, Any]]]) -> set[str]:
    """The flow runs that rows name: those that wrote them, or work on them."""
    named = (
        str(row.get(column) or "").partition("#")[0]
        for some in held.values()
        for row in some
        for column in ("run_id", "actor", "owner")
    )
    return {run for run in named if run}


def erase(ids: Collection[str]) -> dict[str, int]:
    """Clear or delete all texts of a customer, and keep what exactly-once rests on.

    Returns:
        Number of rows that were changed, by table; none the second time.
    """
    done = Counter[str]()
    with session() as ledger:
        for model, its in _of_customer(ids):
            table, holding = table_of(model), HOLDINGS[model]
            if holding.texts:
                change = delete(table) if holding.deleted else _cleared(model)
                over = change.where(its, OVER.get(model, true()))
                done[table.name] += cast(CursorResult[Any], ledger.execute(over)).rowcount
    return {table: rows for table, rows in done.items() if rows}


def _of_customer(
    ids: Collection[str],
) -> Iterator[tuple[type[SQLModel], ColumnElement[bool]]]:
    """Each table with a condition for rows of a customer; several for one where ids are many."""
    for model, holding in HOLDINGS.items():
        table = table_of(model)
        for some in chunked(sorted(ids), IDS_PER_STATEMENT) if holding.found_by else ():
            its: list[ColumnElement[bool]] = [table.c[name].in_(some) for name in holding.found_by]
            if model is Intent:
                its += [table.c.subject.startswith(f"{id_}:", autoescape=True) for id_ in some]
            yield model, or_(*its)


def _cleared(model: type[SQLModel]) -> Update:
    """An update that clears the texts of rows which have any."""
    table, texts = table_of(model), HOLDINGS[model].texts
    left = (table.c[name].is_not(None) & (table.c[name] != text) for name, text in texts.items())
    values = {name: case((table.c[name].is_not(None), text)) for name, text in texts.items()}
    return update(table).where(or_(*left)).values(values)


def forget(*, bodies: datetime, texts: datetime, reports: datetime) -> dict[str, int]:
    """Clear what is older than its time, wherever nobody waits for it any more.

    Args:
        bodies: Bodies of events that were processed and came in before this UTC instant.
        texts: Texts that Salesforce has too, or has had answered, from before this one.
        reports: Differences of full syncs that began before this one.

    Returns:
        Number of rows that were changed, by table.
    """
    old: Mapping[type[SQLModel], ColumnElement[bool]] = {
        TimelineEntry: col(TimelineEntry.happened_at) < texts,
        Request: col(Request.asked_at) < texts,
        RequestRecord: col(RequestRecord.asked_at) < texts,
        Intent: col(Intent.concluded_at) < texts,
    }
    done = {"event": inbox.delete_bodies(bodies)}
    for model, is_old in old.items():
        change = _cleared(model).where(OVER[model], is_old)
        done[table_of(model).name] = execute(change)
    syncs = select(SyncRun.id).where(col(SyncRun.started_at) < reports)
    done["drift"] = execute(delete(DriftRow).where(col(DriftRow.run_id).in_(syncs)))
    return {table: rows for table, rows in done.items() if rows}


def open_matters(ids: Collection[str]) -> list[str]:
    """What is not over yet of a customer, and has to be before it is erased; each a sentence."""
    with session() as ledger:
        return [
            matter
            for some in chunked(sorted(ids), IDS_PER_STATEMENT)
            for matter in _open_matters(ledger, some)
        ]


def _open_matters(ledger: Session, some: Collection[str]) -> Iterator[str]:
    its_event = or_(col(Event.lane).in_(some), col(Event.invoice_id).in_(some))
    waiting = select(Event).where(its_event, col(Event.state) != EventState.DONE)
    for event in ledger.exec(waiting):
        yield (
            f"The event {event.event_id} ({event.type}) is not processed; see the dead letters, "
            "or wait a minute."
        )
    lent = or_(col(LentEmail.customer_id).in_(some), col(LentEmail.account_id).in_(some))
    for loan in ledger.exec(select(LentEmail).where(lent)):
        yield (
            f"The customer {loan.customer_id} has another e-mail address for one invoice; "
            "full-sync gives it its own back."
        )
    disputed = select(KnownPayments.stripe_id).where(
        col(KnownPayments.stripe_id).in_(some),
        payment_facts.is_disputed(),
    )
    for stripe_id in ledger.exec(disputed):
        yield f"A payment of {stripe_id} is under dispute."
    unwritten = select(func.count()).where(
        or_(col(TimelineEntry.record_id).in_(some), col(TimelineEntry.stripe_id).in_(some)),
        col(TimelineEntry.state).in_([EntryState.PROPOSED, EntryState.HAPPENED]),
    )
    if ledger.exec(unwritten).one():
        yield "Salesforce does not have the whole timeline yet; poll-events writes it."
    asked = select(RequestRecord).where(
        col(RequestRecord.invoice_id).in_(some), ~col(RequestRecord.answered)
    )
    for request in ledger.exec(asked):
        yield f"The request {request.id} ({request.action}) is not answered."
    acting = select(Request).where(
        col(Request.record_id).in_(some),
        col(Request.ended).is_(None),
        or_(~col(Request.cleared), col(Request.run_id).is_(None)),
    )
    for wanted in ledger.exec(acting):
        yield f"{wanted.action} is asked for on {wanted.record_id}."
    subject = col(Intent.subject)
    doubtful = select(Intent).where(
        or_(subject.in_(some), *(subject.startswith(f"{i}:", autoescape=True) for i in some)),
        col(Intent.operation).in_(IN_DOUBT),
        col(Intent.outcome).is_(None),
        ~col(Intent.refused),
    )
    for intent in ledger.exec(doubtful):
        yield (
            f"Nobody knows yet whether {intent.operation} happened on {intent.subject}; run that "
            "flow again."
        )

"""The ledger's tables: what was intended, what was done, what came in, what differed.

Instants are aware UTC datetimes.
"""

from datetime import UTC, datetime
from enum import StrEnum

from pydantic.alias_generators import to_snake
from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Index,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import configure_mappers, declared_attr
from sqlmodel import Field, SQLModel


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, on databases that forget the zone as well."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Read UTC."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class LedgerTable(SQLModel):
    """A table that is named as its class, with underscores, unless it says otherwise."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805
        """The name of the table."""
        return to_snake(cls.__name__)


class Binding(LedgerTable, table=True):
    """The Salesforce org that a Stripe account and mode belong to; decided once."""

    stripe_account_id: str = Field(primary_key=True)
    livemode: bool = Field(primary_key=True)
    org_id: str
    mapping: str = Field(
        default="", description="Fingerprint of what is needed of it, and of its own names."
    )
    access: str = Field(default="", description="Fingerprint of keys, logins and addresses.")
    multi_currency: bool = False
    currency: str = Field(default="", description="The org's own, which new records have.")
    country_codes: bool = Field(default=False, description="Its Accounts have codes of countries.")
    invoice_prefix: str = Field(default="", description="How the ids of its invoices begin.")
    lengths: str = Field(
        default="", sa_type=Text, description="Of texts that hold less than ours, as JSON."
    )
    verified_at: datetime = Field(sa_type=Instant)


class SharedLogin(LedgerTable, table=True):
    """A login that processes share, sealed by the credential that it was opened with."""

    subject: str = Field(primary_key=True, description="Fingerprint of whose login where it is.")
    sealed: str = Field(sa_type=Text)
    opened_at: datetime = Field(sa_type=Instant)


class Lease(LedgerTable, table=True):
    """One run's exclusive right to work on a subject, until it is released or expires."""

    subject: str = Field(primary_key=True)
    owner: str
    expires_at: datetime = Field(sa_type=Instant)


class Intent(LedgerTable, table=True):
    """A side effect that was decided on, and its outcome.

    Written before the call and completed after it, so that whoever comes after a lost
    answer knows that the effect may have happened, and under which idempotency key.
    """

    operation: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    generation: int = Field(default=1, description="Grows when a new idempotency key is due.")
    digest: str = Field(description="Fingerprint of the parameters.")
    actor: str = Field(description="The flow run that decided.")
    intended_at: datetime = Field(sa_type=Instant)
    keyed_at: datetime = Field(sa_type=Instant, description="Birth of the idempotency key.")
    answered: bool = Field(default=False, description="The last call is known to be over.")
    refused: bool = Field(default=False, description="The last call was refused: no effect.")
    outcome: str | None = None
    concluded_at: datetime | None = Field(default=None, sa_type=Instant)


class Customer(LedgerTable, table=True):
    """A Stripe customer of a Salesforce Account."""

    stripe_id: str = Field(primary_key=True)
    account_id: str = Field(index=True)
    is_primary: bool = True
    merged: bool = Field(
        default=False,
        description="It came with a merge of Accounts, and nobody has said yet which is billed.",
    )


class LentEmail(LedgerTable, table=True):
    """An e-mail address that a Stripe customer has for one invoice, until that has frozen it."""

    customer_id: str = Field(primary_key=True)
    account_id: str
    own: str | None = Field(default=None, description="What the customer had, and gets back.")
    lent: str


class RememberedLayout(LedgerTable, table=True):
    """What somebody said of a kind of table, for the next of its kind."""

    __tablename__ = "table_layout"

    name: str = Field(primary_key=True, description="Without its case.")
    shown_name: str
    layout: str = Field(sa_type=Text, description="JSON of the form's choices.")


class InvoiceLink(LedgerTable, table=True):
    """A Salesforce record and its Stripe invoice."""

    stripe_id: str = Field(primary_key=True)
    record_id: str = Field(unique=True)
    sent_at: datetime | None = Field(default=None, sa_type=Instant)
    status: str | None = Field(default=None, description="As last written to Salesforce.")
    digest: str | None = Field(default=None, description="Of what was last written.")
    lines: int | None = Field(
        default=None,
        description="Sum of the checksums of Stripe's lines, frozen and as the record has them.",
        sa_type=BigInteger,
    )


class KnownPayments(LedgerTable, table=True):
    """Facts last read of an invoice's payments; its page in a list does not have them.

    Only of invoices where there is something to say. Amounts are minor units.
    """

    stripe_id: str = Field(primary_key=True)
    refunded: int = Field(default=0, sa_type=BigInteger)
    disputed: int = Field(default=0, sa_type=BigInteger)
    dispute_status: str = ""
    problem: str = ""
    credited: int = Field(
        default=0, description="After payment, when they were read.", sa_type=BigInteger
    )
    unnoted: int = Field(
        default=0, description="Refunded, and named by no credit note.", sa_type=BigInteger
    )
    lost: int = Field(
        default=0, description="By disputes, and booked by no credit note.", sa_type=BigInteger
    )
    on_balance: int = Field(default=0, description="By credit notes.", sa_type=BigInteger)
    out_of_band: int = Field(default=0, description="By credit notes.", sa_type=BigInteger)
    under_way: int = Field(default=0, description="By bank debits.", sa_type=BigInteger)
    failed_refunds: int = Field(
        default=0, description="Of refunds that failed, by credit notes.", sa_type=BigInteger
    )
    payment_state: str | None = Field(
        default=None, description="Where the money stands, if the invoice alone does not say it."
    )
    shown_problem: str | None = Field(
        default=None, description="What is wrong with the payments, as the record says it."
    )


class OrgChange(LedgerTable, table=True):
    """A text that the org changes before it saves it; in the form in which texts are compared."""

    record_id: str = Field(primary_key=True, description="The invoice's, or its line's.")
    field: str = Field(primary_key=True, description="Ours; of a line with Lines__r before it.")
    invoice_id: str = Field(index=True)
    written: str | None = Field(default=None, sa_type=Text)
    saved: str | None = Field(default=None, sa_type=Text)


class EntryState(StrEnum):
    """State of a timeline entry: its change first, then Salesforce's copy of it."""

    PROPOSED = "proposed"
    HAPPENED = "happened"
    PUBLISHED = "published"
    REFUSED = "refused"


class TimelineEntry(LedgerTable, table=True):
    """One change of an invoice: when, what, from which side, by which run.

    Proposed before the record is changed and confirmed afterwards, so that whoever comes after
    a killed run sees from the record whether it happened.
    """

    __tablename__ = "timeline"

    key: str = Field(primary_key=True, description="The same change has the same key, always.")
    record_id: str | None = Field(default=None, index=True)
    stripe_id: str | None = None
    number: int | None = Field(default=None, description="Counts a record's own changes.")
    happened_at: datetime = Field(sa_type=Instant)
    side: str = Field(description="Where the change came from.")
    what: str = Field(sa_type=Text)
    changes: str = Field(default="{}", sa_type=Text, description="Field to was and is, as JSON.")
    amount: float | None = Field(default=None, description="What moved, in major units.")
    currency: str | None = None
    run_id: str
    run_url: str | None = None
    state: EntryState = Field(default=EntryState.PROPOSED, index=True, sa_type=Text)


class EventState(StrEnum):
    """State of an inbox event. Only ``done`` is skipped when it arrives again."""

    RECEIVED = "received"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"


UNPROCESSED = "state <> 'done'"
PROCESSING = "state = 'processing'"
PROCESSED_WITH_BODY = "state = 'done' AND body <> ''"
"""Parts of the inbox that are small however many events are done, and have an index each. A
database uses it only for a query that has the very same words."""


def _index_where(name: str, columns: list[str], condition: str) -> Index:
    where = text(condition)
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


class Event(LedgerTable, table=True):
    """An event of Stripe in the inbox: the notification that an object changed."""

    __table_args__ = (
        UniqueConstraint("account_id", "event_id"),
        _index_where("ix_event_unsettled", ["account_id", "id"], UNPROCESSED),
        _index_where("ix_event_processing", ["account_id", "lane"], PROCESSING),
        _index_where("ix_event_body", ["received_at"], PROCESSED_WITH_BODY),
    )

    id: int | None = Field(default=None, primary_key=True)
    account_id: str
    event_id: str
    type: str
    object_id: str | None = None
    invoice_id: str | None = Field(default=None, index=True)
    lane: str = Field(description="Ordering key: the customer, or what else keeps events in order.")
    livemode: bool
    occurred_at: datetime = Field(sa_type=Instant)
    received_at: datetime = Field(sa_type=Instant)
    source: str = Field(description="webhook or poll")
    body: str = Field(sa_type=Text, description="As it came; empty once its time is over.")
    digest: str = Field(description="SHA-256 of the body, which outlives it.")
    state: EventState = Field(default=EventState.RECEIVED, sa_type=Text)
    attempts: int = Field(default=0, description="Handlers that took it since it failed last.")
    failures: int = Field(default=0, description="Tries that came to nothing.")
    replayed: bool = Field(default=False, description="Somebody asked for it to be handled again.")
    owner: str | None = None
    lease_expires_at: datetime | None = Field(default=None, sa_type=Instant)
    reason: str | None = Field(default=None, sa_type=Text)
    done_at: datetime | None = Field(
        default=None, sa_type=Instant, description="When it was processed, or given up."
    )


class ProcessingTime(LedgerTable, table=True):
    """Number of events that were processed within so many seconds of coming in, and in no fewer.

    One row for each bucket of a histogram, counted in the transaction that marks events as done.
    """

    __tablename__ = "settling_time"

    within: str = Field(primary_key=True, description="Upper bound in seconds.")
    events: int = 0
    seconds: float = Field(default=0, description="What they took, added up.")


class RunTime(LedgerTable, table=True):
    """Number of runs of a flow that ended in a state after so many seconds of work, and no fewer.

    One row for each bucket of a histogram, counted from Prefect's runs by ``overview``.
    """

    flow: str = Field(primary_key=True)
    state: str = Field(primary_key=True, description="The type of its last state.")
    within: str = Field(primary_key=True, description="Upper bound in seconds.")
    runs: int = 0
    seconds: float = Field(default=0, description="What they took, added up.")


class Request(LedgerTable, table=True):
    """A request made in a Salesforce record's action field, started once."""

    id: int | None = Field(default=None, primary_key=True)
    record_id: str = Field(index=True)
    action: str
    asked_at: datetime = Field(sa_type=Instant)
    cleared: bool = Field(default=False, description="The field no longer asks for it.")
    run_id: str | None = Field(default=None, description="The flow run that does it.")
    ended: str | None = Field(default=None, sa_type=Text, description="Why nothing does it.")


UNANSWERED = "NOT answered"
"""The requests that are open, in the words of their index."""


class RequestRecord(LedgerTable, table=True):
    """A request that is a record of its own in Salesforce; started and answered once."""

    __table_args__ = (_index_where("ix_request_record_open", ["run_id"], UNANSWERED),)

    id: str = Field(primary_key=True, description="The record's id.")
    action: str
    invoice_id: str | None = Field(default=None, description="The invoice's record.")
    open_key: str | None = None
    parameters: str = Field(default="", sa_type=Text)
    asked_by: str = Field(description="The user who created it.")
    asked_at: datetime = Field(sa_type=Instant)
    run_id: str | None = Field(default=None, description="The flow run that does it.")
    answered: bool = Field(default=False, description="The record says what came of it.")


class Cursor(LedgerTable, table=True):
    """Position of a reader in a stream."""

    name: str = Field(primary_key=True)
    position: datetime = Field(sa_type=Instant)
    moved_at: datetime = Field(sa_type=Instant)


class Subscription(LedgerTable, table=True):
    """Place in a stream whose places have no order: what its owner gave us, and nothing else."""

    name: str = Field(primary_key=True)
    replay_id: str = Field(description="Hexadecimal; empty: what comes from now on.")
    moved_at: datetime = Field(sa_type=Instant)


class SyncRun(LedgerTable, table=True):
    """One full sync: begun, and perhaps finished. At most one is unfinished."""

    id: str = Field(primary_key=True, description="The flow run that began it.")
    started_at: datetime = Field(sa_type=Instant)
    finished_at: datetime | None = Field(default=None, sa_type=Instant)
    dry_run: bool = False
    salesforce_read: bool = Field(default=False, description="All of it is staged.")
    in_stripe: int = 0
    in_salesforce: int = 0
    differed: int = 0
    settled: int = Field(default=0, description="Not counted any more.")


class SyncWindow(LedgerTable, table=True):
    """A stretch of creation times in Stripe, read from its end towards its beginning.

    Unix seconds; ``until`` is excluded. Windows are split, so ``since`` moves.
    """

    number: int | None = Field(default=None, primary_key=True)
    since: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    cursor: str | None = Field(default=None, description="The last invoice that is staged.")
    reached: int | None = Field(
        default=None, description="When that one was created.", sa_type=BigInteger
    )
    pages: int = 0
    done: bool = False
    owner: str | None = Field(default=None, description="Who reads it.")


class StagedStripe(LedgerTable, table=True):
    """An invoice as the full sync read it in Stripe. Amounts are minor units."""

    stripe_id: str = Field(primary_key=True)
    created: int = Field(sa_type=BigInteger)
    record_id: str | None = None
    customer_id: str | None = None
    status: str
    number: str | None = None
    total: int = Field(sa_type=BigInteger)
    amount_paid: int = Field(sa_type=BigInteger)
    amount_remaining: int = Field(sa_type=BigInteger)
    payment_state: str
    overdue: bool
    account_id: str | None = Field(default=None, description="The Account that it names itself.")
    credited: int = Field(default=0, sa_type=BigInteger)
    digest: str = Field(default="", description="Of the fields that a page tells.")
    draft_digest: str | None = Field(
        default=None, description="Of those that are Stripe's while it is a draft of ours."
    )
    lines: int | None = Field(
        default=None, description="Sum of the lines' checksums.", sa_type=BigInteger
    )
    lines_amount: int = Field(default=0, sa_type=BigInteger)


class StagedSalesforce(LedgerTable, table=True):
    """An invoice record as the full sync read it in Salesforce. Amounts are minor units."""

    record_id: str = Field(primary_key=True)
    stripe_id: str = Field(index=True)
    account_id: str | None = None
    name: str
    status: str
    number: str | None = None
    total: int | None = Field(default=None, sa_type=BigInteger)
    amount_paid: int | None = Field(default=None, sa_type=BigInteger)
    amount_remaining: int | None = Field(default=None, sa_type=BigInteger)
    payment_state: str | None = None
    overdue: bool = False
    sync_state: str | None = None
    credited: int | None = Field(default=None, sa_type=BigInteger)
    made_here: bool = Field(default=False, description="A draft, and its content is the record's.")
    digest: str = ""
    refunded: int | None = Field(default=None, sa_type=BigInteger)
    disputed: int | None = Field(default=None, sa_type=BigInteger)
    dispute_status: str | None = None
    payment_problem: str | None = None
    sent: bool | None = None


class StagedLines(LedgerTable, table=True):
    """Lines of one invoice record, as the full sync read them one after another."""

    line_id: str = Field(primary_key=True, description="The first of them.")
    record_id: str = Field(index=True)
    lines: int = Field(description="Sum of their checksums.", sa_type=BigInteger)
    amount: int = Field(sa_type=BigInteger)


class DriftRow(LedgerTable, table=True):
    """One difference that a full sync found, and what was done about it."""

    __tablename__ = "drift"
    __table_args__ = (Index("ix_drift_by_account", "run_id", "account_id", "subject"),)

    run_id: str = Field(primary_key=True)
    subject: str = Field(primary_key=True, description="The Stripe id.")
    kind: str
    name: str | None = None
    record_id: str | None = None
    account_id: str = Field(default="", description="What repairs are sorted by.")
    stripe_says: str
    salesforce_says: str
    lines: bool = Field(default=False, description="The lines differ, too.")
    outcome: str = Field(default="found", sa_type=Text)


configure_mappers()  # once, where it is imported, or each forked run would do it again

"""What Stripe tells of the ledger: whose invoices there are, and what was done, for which request.

The event of a call carries the idempotency key that it was made under, and ours name what was done,
to what, and the content: https://docs.stripe.com/api/events/object (``request``). Credit notes and
reported payments carry the request in their metadata, for good.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile

from more_itertools import chunked

from invoicing.connectors import prefect, salesforce, stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.projection import record_in_org
from invoicing.domain.stripe.resources import CreditNote, Event, PaymentRecord
from invoicing.ledger import intents, lent_emails, links, stream_positions
from invoicing.ledger.intents import (
    ATTACH_PAYMENT,
    CHARGE,
    CREATE,
    CREDIT,
    FINALIZE,
    GIVE_BACK,
    LEND,
    MAIL,
    REMIND,
    REPORT_PAYMENT,
    RESEND,
    SEND,
    UNKNOWN,
)
from invoicing.ledger.models import Intent, InvoiceLink, LentEmail
from invoicing.settings import settings
from tasks.corrections.duplicate_requests import CONTENT_KEY, REQUEST_KEY
from tasks.records.accounts import accounts_of_customers
from tasks.records.soql_lists import select_in
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step
from tasks.sending.mail_once import EVENTS_KEPT

ROWS = 200
"""Intents that one transaction writes."""

EVENT_TYPES = ("invoice.finalized", "invoice.sent", "invoice.paid", "credit_note.created")

MAX_NAMED = 5
"""Invoices that the outcome names; more than that are counted."""

SAYS_WHY = (SyncState.FAILED, SyncState.CONFLICT)
"""States of records that say why their sending did not go on."""

POLLED_AGAIN = EVENTS_KEPT * 0.8
"""How far back events are fetched again: what is older than 25 days counts as a gap."""


@step("read the links of invoices in Stripe")
def restore_invoice_links(since: datetime | None) -> int:
    """Link all invoices that name a record of ours; returns how many links are new.

    Args:
        since: Only invoices that were made since that UTC instant.
    """
    new, until, after = 0, int(datetime.now(UTC).timestamp()) + 1, None
    oldest = int(since.timestamp()) if since else 0
    while page := stripe.client().facts_page(until, after):
        after = page[-1]["id"]
        named = [
            (invoice, record_id)
            for invoice in takewhile(lambda one: one["created"] >= oldest, page)
            if (record_id := record_in_org(invoice, settings().salesforce.org_id))
        ]
        new += links.restore(
            [InvoiceLink(stripe_id=one["id"], record_id=record_id) for one, record_id in named]
        )
        intents.restore(
            [
                _known(CREATE, record_id, UNKNOWN, one["created"], one["id"])
                for one, record_id in named
            ]
        )
        if page[-1]["created"] < oldest:
            break
    return new


@step("read in Stripe's events what was done")
def restore_acts(since: datetime | None) -> int:
    """Write down what was finalized, mailed and credited, as far back as Stripe has events.

    What was finalized and not mailed, as far as events say, is in doubt: whoever sends the invoice
    looks in Stripe for the mail, or the charge, before either is repeated.

    Args:
        since: Only what was done since that UTC instant.

    Returns:
        The number of acts that the ledger had not known.
    """
    told = (intent for event in _events(since, EVENT_TYPES) for intent in _told_by(event))
    return sum(intents.restore(some) for some in chunked(told, ROWS))


def _events(since: datetime | None, types: Sequence[str]) -> Iterator[Event]:
    kept = datetime.now(UTC) - EVENTS_KEPT
    return stripe.client().events(since=max(since or kept, kept), types=types)


def _told_by(event: Event) -> Iterator[Intent]:
    """The intents that an event tells of, if it is of a call of ours."""
    request, about = event["request"], event["data"]["object"]
    key, at = request and request["idempotency_key"], datetime.fromtimestamp(event["created"], UTC)
    intent = intents.of_key(key, at, run_id())
    if intent is None:
        return
    record_id = intent.subject
    outcome = {
        ("invoice.finalized", FINALIZE): about.get("status"),
        ("invoice.sent", MAIL): str(event["created"]),
        ("invoice.sent", RESEND): str(event["created"]),
        ("invoice.sent", REMIND): str(event["created"]),
        ("invoice.paid", CHARGE): about.get("status"),
        ("credit_note.created", CREDIT): about["id"],
    }.get((event["type"], intent.operation))
    if outcome is None:
        return
    intent.outcome, intent.concluded_at = outcome, at
    yield intent
    if intent.operation in (MAIL, CHARGE):
        yield _known(SEND, record_id, UNKNOWN, event["created"], about["id"])
    elif intent.operation == FINALIZE:
        charged = about.get("collection_method") == "charge_automatically"
        follows, digest = CHARGE if charged else MAIL, fingerprint(about["id"])
        yield _known(SEND, record_id, UNKNOWN, event["created"], None)
        yield _known(follows, record_id, digest, event["created"], None)


def _known(operation: str, subject: str, digest: str, created: int, outcome: str | None) -> Intent:
    at = datetime.fromtimestamp(created, UTC)
    return intents.new_intent(
        operation, subject, digest=digest, at=at, actor=run_id(), outcome=outcome
    )


@step("read in Stripe's events whose addresses are lent")
def restore_lent_emails(since: datetime | None) -> int:
    """Write down which customers have another address than their own, as far back as Stripe tells.

    Whoever next looks after lent addresses gives their own back. Comes after the customers.

    Args:
        since: Only what was lent since that UTC instant.

    Returns:
        The number of loans that the ledger had not known.
    """
    newest: dict[str, tuple[str, Event]] = {}
    for event in _events(since, ["customer.updated"]):
        request, at = event["request"], datetime.fromtimestamp(event["created"], UTC)
        intent = intents.of_key(request and request["idempotency_key"], at, run_id())
        if intent and intent.operation in (LEND, GIVE_BACK):
            intent.outcome, intent.concluded_at = event["data"]["object"]["email"] or "", at
            newest.setdefault(intent.subject, (intent.operation, event))
            known = intents.find(intent.operation, intent.subject)
            if known is None or known.generation <= intent.generation:  # each loan has its own key
                intents.restore([intent])
    lent = {id_: event for id_, (operation, event) in newest.items() if operation == LEND}
    accounts, new = accounts_of_customers(lent), 0
    for customer_id, account_id in accounts.items():
        loan = _loan(customer_id, account_id, lent[customer_id])
        if not lent_emails.is_known(loan):
            intents.reopen(GIVE_BACK, customer_id, run_id())
            lent_emails.restore(loan)
            new += 1
    return new


def _loan(customer_id: str, account_id: str, lending: Event) -> LentEmail:
    own = (lending["data"].get("previous_attributes") or {}).get("email")
    lent = lending["data"]["object"]["email"] or ""
    return LentEmail(customer_id=customer_id, account_id=account_id, own=own, lent=lent)


@step("read the credit notes in Stripe")
def restore_credits(since: datetime | None) -> int:
    """Write down which requests have their credit notes; returns how many were not known.

    Args:
        since: Only credit notes that were issued since that UTC instant.
    """
    known = (
        _known(CREDIT, subject, _content(note), note["created"], note["id"])
        for note in stripe.client().all_credit_notes(since)
        if (subject := _request(note))
    )
    return sum(intents.restore(some) for some in chunked(known, ROWS))


@step("read the payments from outside in Stripe")
def restore_payments(since: datetime | None) -> int:
    """Write down which requests have their payments noted; returns how many were not known.

    Args:
        since: Only payments that were noted since that UTC instant.
    """
    known = (
        intent
        for payment in stripe.client().payment_records(since)
        if (subject := _request(payment))
        for intent in _noted(subject, payment)
    )
    return sum(intents.restore(some) for some in chunked(known, ROWS))


def _noted(subject: str, payment: PaymentRecord) -> Iterator[Intent]:
    """What is known of a reported payment; whether its invoice counts it is seen when asked."""
    id_, made = payment["id"], payment["created"]
    yield _known(REPORT_PAYMENT, subject, _content(payment), made, id_)
    yield _known(ATTACH_PAYMENT, subject, fingerprint(id_), made, None)


def _request(made: CreditNote | PaymentRecord) -> str | None:
    return (made["metadata"] or {}).get(REQUEST_KEY)


def _content(made: CreditNote | PaymentRecord) -> str:
    return (made["metadata"] or {}).get(CONTENT_KEY, UNKNOWN)


@step("have all compared")
def compare_all() -> None:
    """Have events fetched from as far back as Stripe keeps them, and everything compared."""
    cursor = f"events:{settings().stripe.account_id}"
    if stream_positions.cursor(cursor) is None:
        stream_positions.move_cursor(cursor, datetime.now(UTC) - POLLED_AGAIN)
    prefect.client().start("full-sync", {}, f"rebuild-{run_id()}")


@step("name what was sent in part")
def name_half_sent() -> str:
    """What was begun to be sent, and is not known to have gone out; and what to do."""
    ids = intents.unfinished(SEND, begun_by=FINALIZE)
    final, said = _named(_records(ids)), []
    begun = _named(
        row
        for row in _records(set(intents.unfinished(SEND, begun_by=CREATE)) - {*ids})
        if row[record.STATUS] == Status.DRAFT and row[record.SYNC_STATE] not in SAYS_WHY
    )
    if final:
        said.append(
            f"It is not known whether the customer has got {final}. Run send-invoice for it: what "
            "Stripe has mailed or charged is seen, and not done again."
        )
    if begun:
        said.append(
            f"Sending {begun} was begun, and it is still a draft. If no run is at it, run "
            "send-invoice for it."
        )
    return " ".join(said) or "No invoice was sent in part only."


def _records(ids: Collection[str]) -> list[salesforce.Record]:
    fields = ("Id", "Name", record.STATUS, record.SYNC_STATE)
    return select_in(record.INVOICE, "Id", sorted(ids), fields, order="Name")


def _named(rows: Iterable[salesforce.Record]) -> str:
    """The names of some records, the first few of them; nothing for none."""
    names = [str(row["Name"]) for row in rows]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more

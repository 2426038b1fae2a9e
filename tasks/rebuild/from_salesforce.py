"""What Salesforce tells of the ledger: links, when invoices were mailed, customers, timelines."""

import re
from datetime import UTC, datetime

from more_itertools import chunked

from invoicing.connectors import salesforce
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of
from invoicing.ledger import intents, links, timeline
from invoicing.ledger.intents import REMIND
from invoicing.ledger.models import EntryState, InvoiceLink, TimelineEntry
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step

ROWS = 500
"""Rows that one transaction writes."""

TIMELINE_FIELDS = (
    record.EVENT_KEY,
    "Invoice__c",
    "Happened_At__c",
    "Side__c",
    "What__c",
    "Amount__c",
    "Currency__c",
    "Run_URL__c",
)

REMINDER = re.compile(r"\w{15,18}:\d{4}-\d\d-\d\d")
"""The key of a reminder's entry, which is the subject of its intent."""


def _since(since: datetime | None) -> Comparison | None:
    return Comparison("SystemModstamp", ">=", since) if since else None


@step("read the links of invoices in Salesforce")
def restore_record_links(since: datetime | None) -> int:
    """Link invoices to the records that have their Stripe ids, and note when they were mailed.

    Runs after the links that Stripe tells of: the field on the record is a copy that anybody can
    write into, and counts only where nothing else is known.

    Args:
        since: Only of records that were changed since that UTC instant.

    Returns:
        The number of links that are new.
    """
    query = Query(
        record.INVOICE,
        ["Id", record.STRIPE_ID, record.SENT_AT],
        where=all_of(Comparison(record.STRIPE_ID, "!=", None), _since(since)),
    )
    rows = salesforce.client().bulk_query(query)
    return sum(
        links.restore(
            [
                InvoiceLink(
                    stripe_id=stripe_id,
                    record_id=id_,
                    sent_at=datetime.fromisoformat(sent) if sent else None,
                )
                for id_, stripe_id, sent in some
            ]
        )
        for some in chunked(rows, ROWS)
    )


@step("read the customers of Accounts in Salesforce")
def restore_customers(since: datetime | None) -> int:
    """Link Accounts to the Stripe customers that they name; returns how many were not known.

    Where the ledger knows another, it stays: whoever sends an invoice is told of it.

    Args:
        since: Only of Accounts that were changed since that UTC instant.
    """
    named = Comparison("Stripe_Customer_Id__c", "!=", None)
    query = Query("Account", ["Id", "Stripe_Customer_Id__c"], where=all_of(named, _since(since)))
    rows = salesforce.client().bulk_query(query)
    return sum(links.restore_customers(dict(some)) for some in chunked(rows, ROWS))


@step("read the timelines in Salesforce")
def restore_timelines(since: datetime | None) -> int:
    """Take the entries of timelines back, and the reminders that are told there.

    What came of a reminder is known by Stripe for 30 days, and how many there were counts longer.

    Args:
        since: Only entries since that UTC instant.

    Returns:
        The number of entries that are new.
    """
    client, new = salesforce.client(), 0
    if not client.keeps(record.EVENT, record.EVENT_KEY):
        return 0
    rows = client.bulk_query(Query(record.EVENT, TIMELINE_FIELDS, where=_since(since)))
    for some in chunked(rows, ROWS):
        entries = [_entry(row) for row in some]
        new += timeline.add(entries)
        intents.restore(
            [
                intents.new_intent(
                    REMIND,
                    entry.key,
                    digest=entry.key.partition(":")[2],
                    at=entry.happened_at,
                    actor=run_id(),
                    outcome=str(int(entry.happened_at.timestamp())),
                )
                for entry in entries
                if REMINDER.fullmatch(entry.key)
            ]
        )
    return new


def _entry(row: list[str]) -> TimelineEntry:
    key, record_id, happened_at, side, what, amount, currency, url = row
    number = key.removeprefix(f"{record_id}-")
    return TimelineEntry(
        key=key,
        record_id=record_id,
        number=int(number) if number.isdecimal() else None,
        happened_at=datetime.fromisoformat(happened_at).astimezone(UTC),
        side=side,
        what=what,
        amount=float(amount) if amount else None,
        currency=currency or None,
        run_id="",
        run_url=url or None,
        state=EntryState.PUBLISHED,
    )

"""Links between Salesforce records and Stripe objects."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, update
from sqlmodel import Session, col, delete, select

from invoicing.domain.stripe.projection import Projection
from invoicing.ledger.database import (
    execute,
    insert_missing,
    insert_values,
    read_all,
    session,
    update_each,
)
from invoicing.ledger.models import Customer, Intent, InvoiceLink

RECORD_ID_LENGTH = 18
"""Subjects of intents begin with a record's id, or are one."""


def mark_sent(stripe_id: str, sent_at: datetime) -> None:
    """Remember when an invoice was mailed, as a UTC instant."""
    with session() as ledger:
        link = ledger.get_one(InvoiceLink, stripe_id, with_for_update=True)
        link.sent_at = sent_at


def remember_written(written: Sequence[InvoiceLink]) -> None:
    """Remember what was written, to recognise its echo in events, and whose record it is.

    What a link does not say of an invoice stays as it is known.
    """
    by_record = {one.record_id: one for one in written}
    mine = col(InvoiceLink.record_id).in_(list(by_record))
    with session() as ledger:
        links = {link.record_id: link for link in ledger.exec(select(InvoiceLink).where(mine))}
        for record_id, link in links.items():
            if link.stripe_id != by_record[record_id].stripe_id:
                ledger.delete(link)
        ledger.flush()
        for one in written:
            link = ledger.get(InvoiceLink, one.stripe_id) or one
            link.record_id = one.record_id
            link.status = one.status or link.status
            link.digest = one.digest or link.digest
            link.lines = link.lines if one.lines is None else one.lines
            ledger.add(link)


def link_invoice(stripe_id: str, record_id: str) -> None:
    """Remember that a Stripe invoice belongs to a record."""
    remember_written([InvoiceLink(stripe_id=stripe_id, record_id=record_id)])


def remember_written_in_bulk(written: Mapping[str, Projection]) -> None:
    """Remember what was written of thousands of invoices, by record, with two statements.

    A link that names a record of before names from now on the one that was made in its place, and
    what was done to the invoice is known of that one.
    """
    if not written:
        return
    rows = {
        one.stripe_id: {"record_id": record_id, "status": one.status, "digest": one.digest}
        for record_id, one in written.items()
    }
    of_these = col(InvoiceLink.stripe_id).in_(list(rows))
    with session() as ledger:
        known = ledger.exec(select(InvoiceLink.stripe_id, InvoiceLink.record_id).where(of_these))
        _move_acts(ledger, {before: str(rows[id_]["record_id"]) for id_, before in known})
        insert_values(ledger, InvoiceLink, [{"stripe_id": id_} | row for id_, row in rows.items()])
        update_each(ledger, InvoiceLink, "stripe_id", rows)


def _move_acts(ledger: Session, records: Mapping[str, str]) -> None:
    """Let what was done to invoices be known of the records that were made in place of others.

    Somebody has deleted those. Reminders, mails, payments and credit notes were the invoice's.

    Args:
        ledger: The transaction.
        records: The record that an invoice has now, by the one that it had.
    """
    of, begins = col(Intent.operation), func.substr(col(Intent.subject), 1, RECORD_ID_LENGTH)
    moved = [before for before, now in records.items() if before != now]
    if not moved:
        return
    key = (Intent.operation, Intent.subject)
    for operation, subject in ledger.exec(select(*key).where(begins.in_(moved))).all():
        to = records[subject[:RECORD_ID_LENGTH]] + subject[RECORD_ID_LENGTH:]
        if ledger.get(Intent, (operation, to)) is None:
            its = (of == operation, col(Intent.subject) == subject)
            ledger.execute(update(Intent).where(*its).values(subject=to))


def invoice_links(stripe_ids: Iterable[str]) -> dict[str, InvoiceLink]:
    """The links of Stripe invoices, as far as they are known, by Stripe id."""
    query = select(InvoiceLink).where(col(InvoiceLink.stripe_id).in_(list(stripe_ids)))
    return {link.stripe_id: link for link in read_all(query)}


def restore(found: Sequence[InvoiceLink]) -> int:
    """Write down links that services tell of, and when invoices were mailed; what is known stays.

    Returns:
        The number of links that are new.
    """
    with session() as ledger:
        new = insert_missing(ledger, found)
        mailed = {one.stripe_id: {"sent_at": one.sent_at} for one in found if one.sent_at}
        unknown = col(InvoiceLink.sent_at).is_(None)
        update_each(ledger, InvoiceLink, "stripe_id", mailed, unknown)
    return len(new)


def stripe_id(record_id: str) -> str | None:
    """The Stripe invoice of a record, if one was made."""
    return stripe_ids([record_id]).get(record_id)


def stripe_ids(record_ids: Iterable[str]) -> dict[str, str]:
    """The Stripe invoices of records, as far as they were made, by record."""
    query = select(InvoiceLink).where(col(InvoiceLink.record_id).in_(list(record_ids)))
    return {link.record_id: link.stripe_id for link in read_all(query)}


def customer_of(account_id: str) -> str | None:
    """The Stripe customer that an Account is billed as, if known."""
    return customers_of([account_id]).get(account_id)


def customers_of(account_ids: Iterable[str]) -> dict[str, str]:
    """The Stripe customers that Accounts are billed as, as far as they are known, by Account."""
    query = select(Customer).where(
        col(Customer.account_id).in_(list(account_ids)), col(Customer.is_primary)
    )
    return {customer.account_id: customer.stripe_id for customer in read_all(query)}


def accounts_of(customer_ids: Iterable[str]) -> dict[str, str]:
    """The Accounts of Stripe customers, as far as they are known, by customer."""
    query = select(Customer).where(col(Customer.stripe_id).in_(list(customer_ids)))
    return {customer.stripe_id: customer.account_id for customer in read_all(query)}


def link_customer(customer_id: str, account_id: str) -> None:
    """Remember a Stripe customer as the primary one of an Account."""
    with session() as ledger:
        for other in ledger.exec(select(Customer).where(Customer.account_id == account_id)):
            other.is_primary = other.merged = False
        ledger.flush()
        ledger.merge(Customer(stripe_id=customer_id, account_id=account_id, is_primary=True))


def move_customers(merged: Mapping[str, str], customers: Mapping[str, str]) -> None:
    """Let the customers of Accounts that were merged away be those of the Accounts that stayed.

    Where that Account has one already, it stays the one that is billed until somebody decides.

    Args:
        merged: The Account that stayed, by the one that is gone.
        customers: The customers that Accounts that are gone name themselves, by Account.
    """
    with session() as ledger:
        for gone, customer_id in customers.items():
            if ledger.get(Customer, customer_id) is None:
                ledger.add(Customer(stripe_id=customer_id, account_id=gone))
        ledger.flush()
        mine = col(Customer.account_id)
        for moved in ledger.exec(select(Customer).where(mine.in_(list(merged)))).all():
            stays = merged[moved.account_id]
            billed = select(Customer).where(mine == stays, col(Customer.is_primary))
            moved.merged = moved.is_primary and ledger.exec(billed).first() is not None
            moved.is_primary = moved.is_primary and not moved.merged
            moved.account_id = stays
            ledger.flush()


def undecided_customers(account_id: str) -> list[str]:
    """Customers that came to an Account by a merge, beside the one that it had."""
    query = select(Customer.stripe_id).where(
        Customer.account_id == account_id, col(Customer.merged)
    )
    return read_all(query.order_by(Customer.stripe_id))


def restore_customers(customers: Mapping[str, str]) -> int:
    """Link customers of Accounts, by Account, of whom none is known; returns how many."""
    with session() as ledger:
        known = select(Customer.account_id).where(
            col(Customer.account_id).in_(list(customers)), col(Customer.is_primary)
        )
        missing = customers.keys() - ledger.exec(known).all()
        rows = [Customer(stripe_id=customers[id_], account_id=id_) for id_ in sorted(missing)]
        return len(insert_missing(ledger, rows))


def unlink_customer(customer_id: str) -> None:
    """Forget a customer that no longer exists in Stripe."""
    execute(delete(Customer).where(col(Customer.stripe_id) == customer_id))

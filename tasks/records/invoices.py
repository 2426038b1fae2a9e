"""Invoice records: found as people name them, read with their lines, noted on."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.money import Money
from invoicing.domain.model.record_ids import looks_like_id
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.salesforce import record, record_reader
from invoicing.domain.salesforce.queries import Aggregate, Query, equals
from invoicing.errors import Conflict, NotFound, Rejected, TransientError
from invoicing.mapping import org_field_reader
from tasks.records.org_facts import account_fields, invoice_prefix, org_currency, text_lengths
from tasks.runtime.clock import stamp_now
from tasks.runtime.run_name import run_url
from tasks.runtime.step import step


@step("find {reference}")
def find_record(reference: str) -> str:
    """The 18-character id of the record that people name by id, name or Stripe id.

    Raises:
        NotFound: there is no such invoice.
        Rejected: several are called so, where the org's invoices are not numbered by themselves.
    """
    word = reference.strip()
    if word.startswith("in_"):
        field = record.STRIPE_ID
    elif looks_like_id(word, invoice_prefix()):
        field = "Id"
    else:
        field = "Name"
    found = salesforce.client().query(Query(record.INVOICE, ["Id"], where=equals(field, word)))
    if not found:
        raise NotFound(f"There is no invoice {word!r} in Salesforce.")
    if len(found) > 1:
        raise Rejected(f"{len(found)} invoices are called {word!r}; use the record's id.")
    return str(found[0]["Id"])


@step("read the invoice")
def read_invoice(record_id: str) -> Invoice:
    """The invoice record with its account and lines, in one call."""
    reader, currency = org_field_reader(), org_currency()
    query = record.invoice_query(
        equals("Id", record_id), account=account_fields(), also=reader.paths
    )
    found = salesforce.client().query(query)
    if not found:
        raise NotFound(f"The invoice {record_id} was deleted from Salesforce.")
    invoice = record_reader.read_invoice(found[0], currency)
    return _with_contact(reader.with_org_fields(invoice, found[0]))


def check_lines(invoice: Invoice) -> None:
    """Hold the lines that were read to what Salesforce itself counts and adds up now.

    Queries of their own, so that whatever may be wrong with the reading of lines is noticed: one
    of the lines, and one of the record's roll-ups, where the org has them.

    Raises:
        Conflict: other lines were read, or somebody has changed them since.
    """
    counted, quantity, price = salesforce.client().aggregate(
        Query(
            record.LINE,
            [Aggregate("COUNT", "Id"), *(Aggregate("SUM", name) for name in record.LINE_NUMBERS)],
            where=equals("Invoice__c", invoice.record_id),
        )
    )
    lines = invoice.lines
    read = sum(line.quantity for line in lines), sum(line.unit_price for line in lines)
    rounding = record.SMALLEST_PRICE * (len(lines) + 1)
    differs = max(abs(quantity - read[0]), abs(price - read[1])) > rounding
    if counted != len(lines) or differs:
        raise Conflict(
            f"{invoice.name} was not sent: {len(lines)} lines with quantities of {read[0]} in all "
            f"were read, and Salesforce counts {counted} lines and {quantity}. Somebody may just "
            "have changed them: look at the lines and send it again."
        )
    _check_subtotal(invoice)


def _check_subtotal(invoice: Invoice) -> None:
    """Hold lines and subtotal to the record's roll-ups, to a smallest unit for each line.

    A line that somebody made by hand in an older package says no currency, and has two decimals.
    """
    [found] = salesforce.client().query(
        Query(
            record.INVOICE,
            [record.DRAFT_LINES, record.DRAFT_SUBTOTAL],
            where=equals("Id", invoice.record_id),
        )
    ) or [{record.DRAFT_SUBTOTAL: None}]
    if found[record.DRAFT_SUBTOTAL] is None:
        return
    counted, subtotal = record.number(found[record.DRAFT_LINES]), found[record.DRAFT_SUBTOTAL]
    unit = max(Money(invoice.currency, 1).decimal, Decimal("0.01"))
    off = abs(record.number(subtotal) - invoice.subtotal.decimal)
    if counted != len(invoice.lines) or off > unit * len(invoice.lines):
        raise Conflict(
            f"{invoice.name} was not sent: its {len(invoice.lines)} lines come to "
            f"{invoice.subtotal} before tax, and Salesforce's own Draft Subtotal is {subtotal} on "
            f"{counted} lines. Look at the lines and send it again."
        )


def _with_contact(invoice: Invoice) -> Invoice:
    """The invoice with the address of the Account's billing contact, where it has no other."""
    asked = None if invoice.email else org_field_reader().contact_query(invoice.account.id)
    if asked is None:
        return invoice
    found = salesforce.client().query(asked)
    return replace(invoice, email=org_field_reader().contact_email(found[0]) if found else None)


@step("write on the record what went wrong")
def write_sync_message(record_id: str, state: SyncState, message: str) -> None:
    """Write on the record what went wrong.

    A failed request leaves the sync state of what was already sent alone: the record is
    still in step with Stripe, whatever was asked of it in vain. A record that the org does not let
    be written keeps silent: the run's own state has the message.
    """
    found = salesforce.client().query(
        Query(record.INVOICE, [record.STATUS], where=equals("Id", record_id))
    )
    if not found:
        return
    fields: dict[str, Any] = {
        record.SYNC_MESSAGE: message[: record.MESSAGE_LENGTH],
        record.LAST_RUN_URL: run_url(),
    }
    if state is SyncState.CONFLICT or found[0][record.STATUS] == Status.DRAFT:
        fields[record.SYNC_STATE] = state
    say_on_record(record_id, fields)


def say_on_record(record_id: str, fields: Mapping[str, Any]) -> None:
    """Write on a record what is said elsewhere too, if it can be written."""
    try:
        _say(record_id, fields)
    except (Rejected, TransientError) as error:
        get_run_logger().warning("The record does not say so itself. %s", error)


@step("write on the record what came of it")
def _say(record_id: str, fields: Mapping[str, Any]) -> None:
    fitting = record.cut(dict(fields), text_lengths(record.INVOICE))
    salesforce.client().update(record.INVOICE, record_id, fitting)


def synced_fields(status: str) -> dict[str, Any]:
    """The fields that say that a record was brought in step just now."""
    fields: dict[str, Any] = {
        record.LAST_SYNCED_AT: stamp_now(),
        record.LAST_RUN_URL: run_url(),
    }
    if status != Status.DRAFT:
        fields |= {record.SYNC_STATE: SyncState.CLEAN, record.SYNC_MESSAGE: None}
    return fields

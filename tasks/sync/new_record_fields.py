"""New records for invoices that exist in Stripe only, with their fields."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.line_mirror import (
    mirrored_line,
)
from invoicing.domain.salesforce.record import subrequest
from invoicing.domain.stripe.payment_facts import NO_PAYMENT_FACTS
from invoicing.domain.stripe.projection import Projection, is_same_org, project
from invoicing.domain.stripe.resources import StripeInvoice, StripeLine
from invoicing.ledger import links, payment_facts, timeline
from invoicing.ledger.models import EntryState, InvoiceLink, TimelineEntry
from invoicing.settings import settings
from tasks.records.accounts import accounts_of_customers, surviving_accounts
from tasks.records.timeline import make_entry
from tasks.runtime.clock import today
from tasks.sync.deleted_products import without_products
from tasks.sync.mirrored_fields import mirrored_fields, mirrored_lines


def is_ours(invoice: Projection) -> bool:
    """Whether the records that an invoice names are records of this org."""
    return is_same_org(invoice.org_id, settings().salesforce.org_id)


def named_record(invoice: Projection) -> str | None:
    """The record of ours that an invoice says it is of."""
    return invoice.record_id if is_ours(invoice) else None


class BilledTo(NamedTuple):
    """The Account and customer that an invoice names."""

    stripe_id: str
    account_id: str | None
    customer_id: str | None


def billed_to(invoice: Projection) -> BilledTo:
    """The Account and customer that an invoice names; Accounts of other orgs do not count."""
    account_id = invoice.account_id if is_ours(invoice) else None
    return BilledTo(invoice.stripe_id, account_id, invoice.customer_id)


def accounts_of(invoices: Collection[BilledTo]) -> dict[str, str]:
    """The Accounts of invoices, by Stripe id: named by the invoice itself, or by its customer.

    Of Accounts that were merged, it is the one that stayed.
    """
    named = {i.stripe_id: i.account_id for i in invoices if i.account_id}
    by_customer = {
        i.stripe_id: i.customer_id for i in invoices if i.customer_id and not i.account_id
    }
    accounts = accounts_of_customers(by_customer.values())
    of = named | {
        stripe_id: accounts[customer]
        for stripe_id, customer in by_customer.items()
        if customer in accounts
    }
    stayed = surviving_accounts(of.values()) if of else {}
    return {stripe_id: stayed.get(account, account) for stripe_id, account in of.items()}


def project_all(invoices: Sequence[StripeInvoice]) -> list[Projection]:
    """Invoices from pages of Stripe's list, with what the ledger knows of their payments."""
    known = payment_facts.known(invoice["id"] for invoice in invoices)
    day, zone = today(), settings().business.zone
    return [
        project(i, today=day, zone=zone, known=known.get(i["id"], NO_PAYMENT_FACTS))
        for i in invoices
    ]


def whole_nodes(
    invoice: Projection,
    link: InvoiceLink | None,
    lines: Iterable[StripeLine],
    account: str,
    more: Mapping[str, Any],
    gone: Collection[str] = (),
) -> list[dict[str, Any]]:
    """The subrequests that write an invoice's record, as ``invoice``, with its lines.

    Args:
        invoice: The invoice.
        link: What the ledger knows of it.
        lines: Its lines in Stripe, all of them.
        account: Whom it bills.
        more: Further fields of its record.
        gone: Products that Salesforce no longer has.
    """
    own = {"Account__c": account, record.LOCAL_KEY: invoice.stripe_id}
    header = mirrored_fields(invoice, link, whole=True) | own | dict(more)
    nodes = [subrequest("POST", record.INVOICE, "invoice", header)]
    mirrored = without_products(mirrored_lines(invoice, lines), gone)
    for position, line in enumerate(mirrored, 1):
        fields = mirrored_line(line, position, invoice.currency)
        fields |= {"Invoice__c": "@{invoice.id}"}
        nodes.append(subrequest("POST", record.LINE, f"line{position}", fields))
    return nodes


def creation_entry(invoice: Projection) -> TimelineEntry:
    """The beginning of the timeline of an invoice that was made in Stripe."""
    number = f" as {invoice.number}" if invoice.number else ""
    return make_entry(
        _creation_key(invoice),
        f"Made in Stripe{number}, {invoice.status} over {invoice.total}.",
        record_id=None,
        stripe_id=invoice.stripe_id,
        amount=invoice.total,
        changed={record.LOCAL_KEY: (None, invoice.stripe_id)},
        state=EntryState.PROPOSED,
    )


def _creation_key(invoice: Projection) -> str:
    return f"made-{invoice.stripe_id}"[: record.KEY_LENGTH]


def note_created(made: Mapping[str, Projection]) -> list[str]:
    """Note in the ledger that invoices have records now, by record.

    Returns:
        The keys of their timelines' first entries, which can be published.
    """
    links.remember_written_in_bulk(made)
    entries = {_creation_key(invoice): record_id for record_id, invoice in made.items()}
    timeline.assign_records(entries)
    timeline.confirm(entries)
    return list(entries)

"""Which Stripe invoice is a record's own: by the ledger and the invoice, not by the field alone."""

from datetime import datetime

from more_itertools import first_true

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.record_ids import same_id
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.stripe import projection
from invoicing.domain.stripe.resources import PaidInvoice, WholeInvoice
from invoicing.errors import Conflict
from invoicing.ledger import links
from invoicing.settings import settings
from tasks.records.invoices import find_record
from tasks.runtime.clock import CLOCK_SKEW
from tasks.runtime.step import step


def stripe_invoice(invoice: Invoice) -> PaidInvoice | None:
    """A record's own invoice in Stripe, with its payments; None where there is none (any more).

    Raises:
        Conflict: the record names the invoice of another.
    """
    stripe_id = own_stripe_id(invoice)
    there = stripe.client().invoice_with_payments(stripe_id) if stripe_id else None
    if there and not links.invoice_links([there["id"]]):
        named = projection.record_in_org(there, settings().salesforce.org_id)
        _check_owner(invoice, there["id"], named)
    return there


def own_stripe_id(invoice: Invoice) -> str | None:
    """The Stripe id of a record's own invoice, if it has one.

    The ledger knows it, from when the invoice was made or first seen. The record's field is a copy
    that anybody can write into, and counts only where the ledger knows nothing.

    Raises:
        Conflict: the field says something else, or names the invoice of another record.
    """
    own, said = links.stripe_id(invoice.record_id), invoice.stripe_id
    if own and said and own != said:
        raise Conflict(other_invoice(invoice.name, own, said))
    if said and not own:
        link = links.invoice_links([said]).get(said)
        _check_owner(invoice, said, link.record_id if link else None)
    return own or said


def lost_draft(record_id: str, customer_id: str, since: datetime) -> WholeInvoice | None:
    """The invoice of a record that was made in Stripe, though nobody heard the answer.

    Args:
        record_id: The record that it has to name.
        customer_id: Whom it was made for.
        since: When it was about to be made (UTC).
    """
    return first_true(
        stripe.client().invoices_of(customer_id, since - CLOCK_SKEW),
        pred=lambda made: (made["metadata"] or {}).get(projection.RECORD_KEY) == record_id,
    )


def other_invoice(name: str, own: str, said: str) -> str:
    """What to do about a record that names another invoice than its own."""
    return (
        f"{name} is Stripe's invoice {own}, but its field Stripe Invoice Id was changed to {said}. "
        f"Nothing was done to either. Write {own} back into the field, then try again."
    )


def _check_owner(invoice: Invoice, stripe_id: str, owner: str | None) -> None:
    if owner is None or same_id(owner, invoice.record_id):
        return
    found = salesforce.client().query(
        Query(record.INVOICE, ["Id", "Name"], where=equals("Id", owner))
    )
    if found:
        raise Conflict(
            f"{invoice.name} has the Stripe id of another record's invoice: {stripe_id} is of "
            f"{found[0]['Name']}. Nothing was done to it. Put the field Stripe Invoice Id right on "
            "both records, then try again."
        )


@step("find it in Stripe")
def find_in_stripe(reference: str) -> str | None:
    """The Stripe id of an invoice as people name it; None when it is in Salesforce only.

    Raises:
        NotFound: there is no such invoice.
    """
    word = reference.strip()
    if word.startswith("in_"):
        return word
    record_id = find_record(word)
    found = salesforce.client().query(
        Query(record.INVOICE, [record.STRIPE_ID], where=equals("Id", record_id))
    )
    return links.stripe_id(record_id) or (found[0][record.STRIPE_ID] if found else None)

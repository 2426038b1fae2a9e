"""The record of an invoice that exists in Stripe only, made by one call."""

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.status import Status
from invoicing.domain.stripe.projection import Projection
from invoicing.errors import InvoicingError
from invoicing.ledger import links, timeline
from tasks.corrections.replacement_draft import replacement_links
from tasks.records.invoices import synced_fields
from tasks.records.record_writer import written_fields
from tasks.records.rewritten_values import check_saved
from tasks.records.timeline import publish
from tasks.runtime.run_name import this_attempt
from tasks.sync.deleted_products import deleted_products_of
from tasks.sync.mirrored_fields import cut_texts, mirrored_lines
from tasks.sync.new_record_fields import (
    accounts_of,
    billed_to,
    creation_entry,
    note_created,
    whole_nodes,
)
from tasks.sync.refresh_result import RefreshResult, failure, problem_of


def create_record(invoice: Projection) -> RefreshResult:
    """Make the record of an invoice that exists in Stripe only, with its lines, by one call."""
    account = accounts_of([billed_to(invoice)]).get(invoice.stripe_id)
    if account is None:
        return RefreshResult(
            invoice.stripe_id,
            problem=f"its Stripe customer {invoice.customer_id} belongs to no Account; run "
            "link-customer to say which Account it is, then sync again.",
        )
    link, link_back = replacement_links(invoice.replaces)
    known = links.invoice_links([invoice.stripe_id]).get(invoice.stripe_id)
    timeline.propose([creation_entry(invoice)], this_attempt())
    try:
        lines = stripe.client().invoice_lines(invoice.stripe_id)
        more = synced_fields(Status.OPEN) | link
        gone = deleted_products_of(lines)
        nodes = [*whole_nodes(invoice, known, lines, account, more, gone), *link_back]
        answers = salesforce.client().write_graph(nodes)
    except InvoicingError as error:
        return failure(invoice.stripe_id, None, error)
    created = str(answers["invoice"]["id"])
    publish(note_created({created: invoice}))
    written = written_fields(nodes, answers)
    saved = check_saved({created: written})
    cut = cut_texts(written[created], mirrored_lines(invoice, lines))
    notes = (cut, saved.notes.get(created, ""))
    return RefreshResult(
        invoice.stripe_id,
        created,
        saved.rows[created]["Name"] if created in saved.rows else "",
        created=True,
        note=" ".join(filter(None, notes)),
        **problem_of(saved.errors.get(created)),
    )

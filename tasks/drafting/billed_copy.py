"""Copies of what Stripe bills: read when an invoice is cloned or replaced."""

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce.draft_from_billed import billed_copy, copy_problem
from invoicing.domain.salesforce.record import INVOICE
from invoicing.domain.stripe.projection import project
from invoicing.mapping import org_field_reader
from invoicing.settings import settings
from tasks.records.linked_invoice import own_stripe_id
from tasks.records.record_writer import kept_of_lines
from tasks.records.tax_rate_names import rate_ids, rate_problems
from tasks.runtime.clock import today


def read_billed(original: Invoice, act: str, instead: str) -> tuple[Invoice, list[str]]:
    """An invoice as Stripe bills it, to be copied, and why it cannot be.

    What is a draft of ours in Stripe, too, is in Salesforce whole; so is what Stripe no longer has.

    Args:
        original: The record.
        act: What is to be done with it; ends "it cannot be …".
        instead: What to do where it cannot be.

    Raises:
        Conflict: the record names the invoice of another.
    """
    stripe_id = own_stripe_id(original)
    if stripe_id is None or original.status is Status.DELETED:
        return original, []
    client = stripe.client()
    there = client.invoice(stripe_id)
    if there is None or (there["status"] == "draft" and not original.made_in_stripe):
        return original, []
    lines = client.invoice_lines(stripe_id)
    itself = (
        salesforce.client().keeps(INVOICE, "Tax_Rates__c")
        and not org_field_reader().account_has_taxes
    )
    taxes = original.details if itself else original.billed
    discounted = there["discounts"] or any(line["discounts"] for line in lines)
    copy, lacking = billed_copy(
        original,
        there,
        lines,
        client.coupons_of(stripe_id) if discounted else {},
        project(there, today=today(), zone=settings().business.zone),
        taxes=taxes,
        rates=rate_ids(taxes.tax_rates),
        tax_behavior=settings().stripe.tax_behavior,
        exact_prices=kept_of_lines().exact_prices,
    )
    new_rates = [r for r in copy.details.tax_rates if r not in original.details.tax_rates]
    return copy, [
        *copy_problem(original.name, act, lacking, instead),
        *rate_problems(new_rates),
    ]

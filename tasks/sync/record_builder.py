"""Fields of new records, for invoices that exist in Stripe only, one or many."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from invoicing.domain.model.money import Money, line_amount
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.payment_facts import NO_PAYMENT_FACTS
from invoicing.domain.stripe.projection import Projection, is_same_org, project
from invoicing.domain.stripe.resources import StripeInvoice, StripeLine
from invoicing.domain.stripe.transitions import line_key
from invoicing.ledger import payment_facts
from invoicing.settings import settings
from tasks.records.accounts import accounts_of_customers
from tasks.runtime.clock import today


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
    """The Accounts of invoices, by Stripe id: named by the invoice itself, or by its customer."""
    named = {i.stripe_id: i.account_id for i in invoices if i.account_id}
    by_customer = {
        i.stripe_id: i.customer_id for i in invoices if i.customer_id and not i.account_id
    }
    accounts = accounts_of_customers(by_customer.values())
    return named | {
        stripe_id: accounts[customer]
        for stripe_id, customer in by_customer.items()
        if customer in accounts
    }


def project_all(invoices: Sequence[StripeInvoice]) -> list[Projection]:
    """Invoices from pages of Stripe's list, with what the ledger knows of their payments."""
    known = payment_facts.known(invoice["id"] for invoice in invoices)
    day, zone = today(), settings().business.zone
    return [
        project(i, today=day, zone=zone, known=known.get(i["id"], NO_PAYMENT_FACTS))
        for i in invoices
    ]


def record_header(invoice: Projection, account: str) -> dict[str, Any]:
    """The fields of an invoice's record, but for what says that it is in step."""
    content = record.header_fields(
        description=invoice.description or "",
        due_date=invoice.due_date,
        currency=invoice.currency,
        total=invoice.subtotal or Money(invoice.currency, 0),
    )
    return (
        content
        | record.projected_fields(invoice)
        | {
            "Account__c": account,
            record.LOCAL_KEY: invoice.stripe_id,
            record.STRIPE_ACCOUNT_ID: settings().stripe.account_id,
        }
    )


def whole_nodes(
    invoice: Projection, lines: Sequence[StripeLine], header: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The subrequests that write an invoice's record, as ``invoice``, with its lines.

    Args:
        invoice: The invoice.
        lines: Its lines in Stripe, all of them.
        header: The fields of its record.
    """
    nodes: list[dict[str, Any]] = [_new(record.INVOICE, "invoice", header)]
    nodes += [
        _new(
            record.LINE,
            f"line{position}",
            {"Invoice__c": "@{invoice.id}", "Position__c": position, **_line(invoice, line)},
        )
        for position, line in enumerate(lines, 1)
    ]
    return nodes


def _new(sobject: str, reference: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": "POST",
        "path": f"sobjects/{sobject}",
        "referenceId": reference,
        "body": fields,
    }


def _line(invoice: Projection, line: StripeLine) -> dict[str, Any]:
    amount = Money(invoice.currency, line["amount"])
    quantity = record.number(line["quantity_decimal"] or line["quantity"] or 1)
    price = amount.decimal / quantity if quantity else amount.decimal
    exact = line_amount(quantity, round(price, 6), invoice.currency) == amount
    return {
        record.LOCAL_KEY: line["id"] if invoice.replaces else line_key(line),
        "Description__c": (line["description"] or "")[:255] or None,
        "Quantity__c": float(quantity if exact else 1),
        "Unit_Price__c": float(round(price, 6) if exact else amount.decimal),
        "Amount__c": float(amount.decimal),
        record.CURRENCY: invoice.currency.upper(),
    }

"""Steps of a preview: ask Stripe what it would bill, and write that on the record."""

from dataclasses import dataclass
from typing import Any

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model import markdown
from invoicing.domain.model.amount_due import AmountDue, collection_problems, due_rows
from invoicing.domain.model.invoice import Invoice, billing_problems
from invoicing.domain.model.money import Money
from invoicing.domain.model.status import Status
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.domain.stripe import request_params
from invoicing.domain.stripe.balances import amount_due
from invoicing.errors import Conflict, Rejected
from invoicing.ledger import intents
from tasks.records.starting_balance import owed_before, stripe_customer
from tasks.records.tax_rate_names import rate_ids, rate_problems, tax_behavior
from tasks.runtime.artifacts import publish_page
from tasks.runtime.clock import stamp_now, today
from tasks.runtime.run_name import run_id, run_url
from tasks.runtime.step import step


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview of what Stripe would bill.

    Attributes:
        subtotal: The lines after their own discounts.
        discount: What the invoice's discount takes off.
        tax: All taxes, those within the prices too.
        asked: The total, and what the customer would be asked for.
    """

    subtotal: Money
    discount: Money
    tax: Money
    asked: AmountDue

    @property
    def sentence(self) -> str:
        """The total, how it comes about, and what would be due, for people."""
        off = f", {self.discount} discount" if self.discount.minor else ""
        problems = collection_problems(self.asked.due, small_amount_is_meant=False)
        comes = f"{self.asked.total}: {self.subtotal} for the lines{off}, {self.tax} tax."
        return " ".join([f"{comes}{self.asked.note}", *problems])


@step("check that it can be billed")
def check_billable(invoice: Invoice) -> None:
    """Refuse what Stripe could not bill.

    Raises:
        Rejected: with every reason; nothing was written.
    """
    if invoice.status is not Status.DRAFT:
        raise Rejected(f"{invoice.name} is {invoice.status}; what it comes to is on the record.")
    problems = billing_problems(invoice, today()) + rate_problems(invoice.billed.tax_rates)
    if problems and not invoice.made_in_stripe:
        raise Rejected([f"{invoice.name} cannot be billed.", *problems])


@step("ask Stripe what it would bill")
def ask_for_preview(invoice: Invoice) -> Preview:
    """The exact total, taxes and discounts included; Stripe makes no invoice of it.

    Raises:
        Conflict: both sides add up to different sums before tax, so it could not be sent.
    """
    if invoice.made_in_stripe and (made := stripe.client().invoice(invoice.stripe_id or "")):
        subtotal = Money(made["currency"], made["subtotal"])
        off = subtotal - request_params.net_of_exclusive_tax(made)
        return Preview(subtotal, off, request_params.tax_of(made), amount_due(made))
    customer = stripe_customer(invoice.account)
    tax_ids = stripe.client().tax_ids(customer["id"]) if customer else []
    params = request_params.preview_params(
        invoice,
        customer,
        tax_ids,
        rates=rate_ids(invoice.billed.tax_rates),
        tax_behavior=tax_behavior(invoice),
    )
    there = stripe.client().preview(params)
    before_tax = request_params.net_of_exclusive_tax(there)
    if before_tax != invoice.total:
        raise Conflict(
            f"{invoice.name} comes to {invoice.total} before tax in Salesforce, and to "
            f"{before_tax} in Stripe; it could not be sent."
        )
    return Preview(
        subtotal=invoice.subtotal,
        discount=invoice.subtotal - invoice.total,
        tax=request_params.tax_of(there),
        asked=AmountDue.expected(
            Money(there["currency"], there["total"]), owed_before(invoice, customer)
        ),
    )


@step("write the preview on the record")
def write_preview(invoice: Invoice, preview: Preview) -> None:
    """Note on the record what would be billed; changing the draft takes the note away.

    From now on that is what was agreed: sending it for more asks a person.
    """
    asked = preview.asked
    fields: dict[str, Any] = record.preview_fields(asked.total, preview.tax, asked.due, stamp_now())
    fields[record.LAST_RUN_URL] = run_url()
    salesforce.client().update(record.INVOICE, invoice.record_id, fields)
    intents.set_decision(
        intents.AGREE,
        invoice.record_id,
        digest=invoice.content_digest,
        actor=run_id(),
        outcome=str(asked.due.minor),
    )


def publish_preview(invoice: Invoice, preview: Preview) -> None:
    """Attach the preview to the run."""
    rows = [(line.label, str(line.net(invoice.currency))) for line in invoice.lines]
    rows += [("Discount", f"-{preview.discount}")] if preview.discount.minor else []
    rows += [("Tax", str(preview.tax)), *due_rows(preview.asked)]
    publish_page(
        "preview-invoice",
        f"# {invoice.name} for {invoice.account.name}\n\n{markdown.table(('', '>'), rows)}\n",
        f"{counted(len(invoice.lines), 'line')}, {preview.asked.due} due",
    )

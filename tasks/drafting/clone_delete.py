"""Steps on drafts as a whole: delete them on both sides, clone invoices into new ones."""

from datetime import date

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice, draft_problems
from invoicing.domain.model.invoice_details import Terms
from invoicing.domain.model.record_ids import short
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.resources import WholeInvoice
from invoicing.errors import Conflict, NotFound, Rejected
from invoicing.ledger import intents, links
from tasks.drafting.billed_copy import read_billed
from tasks.drafting.draft_record import Draft, raised, write_draft
from tasks.drafting.draft_revision import check_not_being_sent
from tasks.records.invoices import find_record
from tasks.records.linked_invoice import lost_draft, own_stripe_id, stripe_invoice
from tasks.records.locks import INVOICE
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step


@step("check whether {reference} is deleted already")
def deleted_before(reference: str) -> bool:
    """Whether the same was asked before, and what it was about is gone."""
    if intents.find(intents.DELETE, reference.strip()) is None:
        return False
    try:
        find_record.fn(reference)
    except NotFound:
        return True
    return False


@step("check that it can be deleted")
def check_deletable(draft: Invoice, reference: str) -> None:
    """Refuse what is more than a draft.

    Raises:
        Rejected: it was sent, or is being sent.
        Conflict: the record names the invoice of another.
    """
    if draft.status not in (Status.DRAFT, Status.DELETED):
        raise Rejected(
            f"{draft.name} is {draft.status}, and only a draft can be deleted; void it instead."
        )
    if draft.status is Status.DRAFT:
        check_not_being_sent(draft)
    ids = {draft.record_id, short(draft.record_id), own_stripe_id(draft)}
    for name in filter(None, {reference.strip(), draft.name, *ids}):  # as people may ask again
        intents.intend(intents.DELETE, name, digest=draft.content_digest, actor=run_id())


@step("delete the draft in Stripe")
def delete_in_stripe(draft: Invoice) -> None:
    """Delete the draft's counterpart in Stripe, if it ever got one.

    Raises:
        Conflict: somebody finalized it in Stripe meanwhile, or the record names another's.
    """
    INVOICE.keep(draft.record_id)
    there = stripe_invoice(draft) if own_stripe_id(draft) else _lost_draft(draft)
    if there is None:
        return
    stripe_id = there["id"]
    if there["status"] != "draft":
        raise Conflict(
            f"{draft.name} is {there['status']} in Stripe ({stripe_id}), no draft any more. "
            "Sync it, then void it if it is not wanted."
        )
    try:
        stripe.client().delete_draft(stripe_id)
    except NotFound:
        get_run_logger().info("%s was deleted already.", stripe_id)


def _lost_draft(draft: Invoice) -> WholeInvoice | None:
    """A draft whose creation nobody heard the answer of."""
    earlier = intents.find(intents.CREATE, draft.record_id)
    customer = links.customer_of(draft.account.id) or draft.account.stripe_customer_id
    if earlier is None or customer is None:
        return None
    return lost_draft(draft.record_id, customer, earlier.intended_at)


@step("delete the record")
def delete_record(draft: Invoice) -> None:
    """Delete the record with its lines and its timeline; nothing happens if it is gone."""
    INVOICE.keep(draft.record_id)
    try:
        salesforce.client().delete(record.INVOICE, draft.record_id)
    except NotFound:
        get_run_logger().info("%s was deleted already.", draft.name)


@step("clone {original.name}")
def write_clone(
    original: Invoice, due_date: date | None, terms: Terms | None, request_id: str
) -> Invoice:
    """Make a draft with an invoice's content, once for each request.

    Args:
        original: In any state.
        due_date: The last day for payment; None for the original's.
        terms: Days for payment from the day of sending, instead of a due date.
        request_id: Names the request; empty for the run itself.

    Raises:
        Rejected: with every reason; nothing was written.
    """
    key = f"clone-{request_id or run_id()}"
    if due_date and terms:
        raise Rejected("Choose a due date or payment terms, not both.")
    asked = fingerprint(original.record_id, due_date, terms)
    instead = (
        "Copy it in Stripe's dashboard, and the new invoice comes here by itself; or raise an "
        "invoice with what is missing."
    )
    billed, problems = read_billed(original, "cloned", instead)
    content = billed.copied(key, due_date, terms)
    problems += draft_problems(content, today())
    if problems and not raised(key):
        raise Rejected([f"{original.name} cannot be cloned as it is.", *problems])
    draft = Draft(key, original.account, content, bill_to=original.bill_to, asked=asked)
    return write_draft.fn(draft)

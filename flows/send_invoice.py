"""Send a draft to its customer: a saga that may be killed anywhere and run again."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference, RequestId
from invoicing.domain.model.invoice_details import Collection
from tasks.corrections.replacement_draft import check_replaceable, original_locked
from tasks.records.accounts import link_customer
from tasks.records.environment_check import verify_environment
from tasks.records.invoices import read_invoice
from tasks.records.locks import lock_invoice
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sending.approval import await_approval
from tasks.sending.approval_in_salesforce import approve
from tasks.sending.compare_draft import compare_totals
from tasks.sending.customer import check_saved_payment, ensure_customer
from tasks.sending.finalize_and_deliver import (
    charge,
    check_collectable,
    check_sendable,
    conclude_sending,
    enable_auto_advance,
    finalize,
    mail,
)
from tasks.sending.scheduled import postponed
from tasks.sending.stripe_draft import (
    create_draft,
    ensure_coupons,
    ensure_products,
    fill_draft,
)
from tasks.sync.refresh import refresh_after_act
from tasks.sync.refresh_result import outcome_of_act


@invoicing_flow("send {invoice}")
def send_invoice(
    invoice: InvoiceReference, small_amount_is_meant: bool = False, request_id: RequestId = ""
) -> InvoiceOutcome:
    """Send a draft invoice: Stripe e-mails it to the customer with a payment link.

    Nothing reaches the customer before both sides add up to the same total, and nothing that
    asks for more than was agreed, or became final over another total or with other content, before
    a person was asked.
    Where approvers decide in Salesforce, it ends while they are asked, and Approve runs it again.
    Running it again finishes what was begun, and never mails twice.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        small_amount_is_meant: Send it also if less is due than Stripe collects, such as 0.30
            USD: it counts as paid at once, and the amount goes onto the customer's next invoice.
        request_id: The request in Salesforce by which somebody approved it.
    """
    verify_environment()
    missing = approve(invoice, request_id) if request_id else ""
    with lock_invoice(invoice) as record_id:
        draft = read_invoice(record_id)
        name_run(f"send {draft.name} to {draft.account.name}")
        if waits := postponed(draft):
            return InvoiceOutcome.of_draft(draft, waits)
        check_sendable(draft, small_amount_is_meant=small_amount_is_meant)
        check_replaceable(draft)
        customer_id = ensure_customer(draft)
        check_saved_payment(draft, customer_id)
        ensure_products(draft.lines)
        ensure_coupons(draft)
        stripe_id = create_draft(draft, customer_id)
        fill_draft(stripe_id, draft)
        asked = compare_totals(stripe_id, draft, customer_id)
        check_collectable(draft, asked, small_amount_is_meant=small_amount_is_meant)
        if waits := await_approval(draft, asked, missing):
            return InvoiceOutcome.of_draft(draft, waits)
        with original_locked(draft):
            asked = finalize(stripe_id, draft, customer_id, asked)
        if asked.is_not_as_agreed:
            refreshed = refresh_after_act(stripe_id)
            if waits := await_approval(draft, asked):
                return outcome_of_act(refreshed, waits)
        if draft.details.collection is not Collection.CHARGE:
            did = "sent to"
            mail(stripe_id, record_id, draft.email or "")
        elif asked.due.minor:
            paid = charge(stripe_id, record_id)
            did = "charged to" if paid else "submitted as a bank debit of"
        else:
            did = "billed to"
        enable_auto_advance(stripe_id)
        sent = refresh_after_act(stripe_id)
        if draft.replaces:
            refresh_after_act(draft.replaces)
        not_linked = link_customer(draft.account, customer_id)
        conclude_sending(record_id, stripe_id, asked, not_linked)
    return outcome_of_act(
        sent,
        f"{draft.name} over {asked.total} was {did} {draft.account.name} at {draft.email}."
        f"{asked.note}{draft.account.address_note}{not_linked}",
    )

"""Put one invoice right by hand: both sides read, Salesforce brought in step."""

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference
from tasks.records.environment_check import verify_environment
from tasks.records.linked_invoice import find_in_stripe
from tasks.records.timeline import publish_timeline
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sync.refresh import refresh
from tasks.sync.refresh_result import to_outcome


@invoicing_flow("sync {invoice}")
def sync_invoice(invoice: InvoiceReference) -> InvoiceOutcome:
    """Bring one invoice's record in step with Stripe, and say what changed.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
    """
    verify_environment()
    stripe_id = find_in_stripe(invoice)
    if stripe_id is None:
        return InvoiceOutcome(
            sentence=f"{invoice} is a draft in Salesforce only; nothing in Stripe to compare with."
        )
    [change] = refresh([stripe_id], touch=True, reread_payments=[stripe_id])
    name_run(f"sync {change.name or stripe_id}")
    if change.record_id:
        publish_timeline(change.record_id, change.name)
    return to_outcome(change)

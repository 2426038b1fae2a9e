"""Keep an invoice that waits for approval from being sent."""

from typing import Annotated

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import InvoiceReference, Needed, RequestId
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.sending.approval_in_salesforce import reject


@invoicing_flow("reject {invoice}")
def reject_invoice(
    invoice: InvoiceReference, request_id: Annotated[RequestId, Needed("the id of a request")]
) -> InvoiceOutcome:
    """Keep an invoice that waits for approval from being sent; it can be changed and sent again.

    Started by the button Reject in Salesforce, which alone knows who pressed it. To send what was
    not approved is asked for anew, by Send To Customer.

    Args:
        invoice: The invoice's name (INV-0042), its Salesforce id or its Stripe id.
        request_id: The request in Salesforce by which somebody rejected it.
    """
    verify_environment()
    return InvoiceOutcome(sentence=reject(invoice, request_id))

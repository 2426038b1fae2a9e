"""What went back to customers: refunds, disputes, and the credit notes beside them."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from invoicing.connectors.stripe.answers import (
    PAGE_SIZE,
    read_all,
    read_each,
)
from invoicing.connectors.stripe.credit_notes import CreditNotes
from invoicing.domain.stripe.payment_facts import (
    MoneyBack,
    PaymentName,
    payments_of,
    successful_payments,
)
from invoicing.domain.stripe.projection import credited
from invoicing.domain.stripe.resources import (
    Dispute,
    PaidInvoice,
    Refund,
)

if TYPE_CHECKING:
    from stripe import params as sdk


class Refunds(CreditNotes):
    """The refunds and disputes of an account."""

    def money_back(self, invoice: PaidInvoice) -> MoneyBack:
        """What went back of an invoice that was read with its payments.

        Two calls for each payment, and one where credit notes were issued.
        """
        paid = successful_payments(payments_of(invoice))
        return MoneyBack(
            currency=invoice["currency"],
            paid=paid,
            refunds=[refund for payment in paid for refund in self.refunds(payment)],
            disputes=[dispute for payment in paid for dispute in self.disputes(payment)],
            notes=self.credit_notes(invoice["id"]) if credited(invoice) else [],
        )

    def refunds(self, payment: PaymentName) -> list[Refund]:
        """All refunds of one payment."""
        params: sdk.RefundListParams = {"limit": PAGE_SIZE}
        if payment.kind == "charge":
            params["charge"] = payment.id
        else:
            params["payment_intent"] = payment.id
        return read_all("read the refunds", Refund, self._v1.refunds.list, params)

    def disputes(self, payment: PaymentName) -> list[Dispute]:
        """All disputes about one payment."""
        params: sdk.DisputeListParams = {"limit": PAGE_SIZE}
        if payment.kind == "charge":
            params["charge"] = payment.id
        else:
            params["payment_intent"] = payment.id
        return read_all("read the disputes", Dispute, self._v1.disputes.list, params)

    def refunds_and_disputes(self, since: datetime | None) -> Iterator[Refund | Dispute]:
        """All refunds and disputes of the account created since a UTC instant, newest first."""
        after: sdk.RefundListParamsCreated = {"gte": int(since.timestamp()) if since else 0}
        yield from read_each(
            "list refunds", Refund, self._v1.refunds.list, {"created": after, "limit": PAGE_SIZE}
        )
        yield from read_each(
            "list disputes", Dispute, self._v1.disputes.list, {"created": after, "limit": PAGE_SIZE}
        )

"""What went back to customers: credit notes, refunds, and disputes."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import stripe

from invoicing.connectors.stripe.connection import Connection, idempotent
from invoicing.connectors.stripe.reading import PAGE_SIZE, read, read_all, read_each
from invoicing.domain.stripe.payment_facts import (
    MoneyBack,
    PaymentName,
    payments_of,
    successful_payments,
)
from invoicing.domain.stripe.projection import credited
from invoicing.domain.stripe.resources import (
    CreditNote,
    CreditNoteLine,
    Dispute,
    PaidInvoice,
    Refund,
)


class CreditsAndRefunds(Connection):
    """The credit notes, refunds and disputes of an account."""

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
        params: stripe.params.RefundListParams = {"limit": PAGE_SIZE}
        params[payment.kind] = payment.id
        return read_all("read the refunds", Refund, self._v1.refunds.list, params)

    def disputes(self, payment: PaymentName) -> list[Dispute]:
        """All disputes about one payment."""
        params: stripe.params.DisputeListParams = {"limit": PAGE_SIZE}
        params[payment.kind] = payment.id
        return read_all("read the disputes", Dispute, self._v1.disputes.list, params)

    def refunds_and_disputes(self, since: datetime | None) -> Iterator[Refund | Dispute]:
        """All refunds and disputes of the account created since a UTC instant, newest first."""
        start = int(since.timestamp()) if since else 0
        yield from read_each(
            "list refunds",
            Refund,
            self._v1.refunds.list,
            {"created": {"gte": start}, "limit": PAGE_SIZE},
        )
        yield from read_each(
            "list disputes",
            Dispute,
            self._v1.disputes.list,
            {"created": {"gte": start}, "limit": PAGE_SIZE},
        )

    def create_credit_note(
        self, params: "stripe.params.CreditNoteCreateParams", key: str
    ) -> CreditNote:
        """Issue a credit note on a finalized invoice."""
        return read(
            "issue the credit note",
            CreditNote,
            self._v1.credit_notes.create,
            params,
            idempotent(key),
        )

    def credit_notes(self, invoice_id: str) -> list[CreditNote]:
        """The credit notes of an invoice, newest first."""
        return read_all(
            "read the invoice's credit notes",
            CreditNote,
            self._v1.credit_notes.list,
            {"invoice": invoice_id, "limit": PAGE_SIZE},
        )

    def all_credit_notes(self, since: datetime | None) -> Iterator[CreditNote]:
        """All credit notes, since a UTC instant if one is given, newest first."""
        params: stripe.params.CreditNoteListParams = {"limit": PAGE_SIZE}
        if since:
            params["created"] = {"gte": int(since.timestamp())}
        return read_each("list credit notes", CreditNote, self._v1.credit_notes.list, params)

    def credited_lines(self, notes: Iterable[CreditNote]) -> list[CreditNoteLine]:
        """The lines of credit notes that count."""
        count = (note for note in notes if note["status"] != "void")
        return [line for note in count for line in self._lines_of(note)]

    def _lines_of(self, note: CreditNote) -> Iterable[CreditNoteLine]:
        if not note["lines"]["has_more"]:
            return note["lines"]["data"]
        return read_each(
            "read the credit note's lines",
            CreditNoteLine,
            self._v1.credit_notes.line_items.list,
            note["id"],
            {"limit": PAGE_SIZE},
        )

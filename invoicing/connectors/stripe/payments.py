"""Payments on invoices, and those that were made outside Stripe."""

from collections.abc import Iterator
from datetime import datetime

import stripe

from invoicing.connectors.stripe.connection import Connection, idempotent
from invoicing.connectors.stripe.reading import PAGE_SIZE, read, read_all, read_each, read_if_there
from invoicing.domain.stripe.payment_facts import PaymentName, payments_of, successful_payments
from invoicing.domain.stripe.resources import (
    Charge,
    InvoicePayment,
    PaidInvoice,
    PaymentRecord,
    WholeInvoice,
)


class Payments(Connection):
    """The payments of an account."""

    def invoice_with_payments(self, invoice_id: str) -> PaidInvoice | None:
        """An invoice with all payments on it and their payment intents.

        One call, unless there are more payments than an invoice carries. None as for
        :meth:`invoice`.
        """
        found = read_if_there(
            "read the invoice",
            PaidInvoice,
            self._v1.invoices.retrieve,
            invoice_id,
            {"expand": ["payments.data.payment.payment_intent"]},
        )
        return self._with_all_payments(found) if found else None

    def _with_all_payments(self, invoice: PaidInvoice) -> PaidInvoice:
        """An invoice that carries its first payments, with all of them."""
        if invoice["payments"] and invoice["payments"]["has_more"]:
            every = read_all(
                "read the invoice's payments",
                InvoicePayment,
                self._v1.invoice_payments.list,
                {
                    "invoice": invoice["id"],
                    "expand": ["data.payment.payment_intent"],
                    "limit": PAGE_SIZE,
                },
            )
            invoice["payments"] = {"data": every, "has_more": False}
        return invoice

    def paid_payments(self, invoice_id: str) -> list[InvoicePayment]:
        """The payments that count towards an invoice."""
        return read_all(
            "read the invoice's payments",
            InvoicePayment,
            self._v1.invoice_payments.list,
            {"invoice": invoice_id, "status": "paid", "limit": PAGE_SIZE},
        )

    def invoice_of_payment(self, payment: PaymentName) -> str | None:
        """The invoice that a payment was made on; None for money of other business.

        Invoices are found by payment intents only. One that was paid by a charge without an
        intent is looked for among those of its customer:
        https://docs.stripe.com/api/invoice-payment/list
        """
        intent = payment.id
        if payment.kind == "charge":
            charge = read_if_there("read the charge", Charge, self._v1.charges.retrieve, payment.id)
            if charge is None or charge["payment_intent"] is None:
                return self._invoice_of_charge(charge) if charge else None
            intent = charge["payment_intent"]
        found = next(
            read_each(
                "find the payment's invoice",
                InvoicePayment,
                self._v1.invoice_payments.list,
                {"payment": {"type": "payment_intent", "payment_intent": intent}, "limit": 1},
            ),
            None,
        )
        return found["invoice"] if found else None

    def _invoice_of_charge(self, charge: Charge) -> str | None:
        """The invoice that a charge without an intent paid, as it says itself."""
        if charge["customer"] is None:
            return None
        for invoice in read_each(
            "find the charge's invoice",
            PaidInvoice,
            self._v1.invoices.list,
            {"customer": charge["customer"], "expand": ["data.payments"], "limit": PAGE_SIZE},
        ):
            paid = successful_payments(payments_of(self._with_all_payments(invoice)))
            if PaymentName("charge", charge["id"]) in paid:
                return invoice["id"]
        return None

    def report_payment(
        self, params: "stripe.params.PaymentRecordReportPaymentParams", key: str
    ) -> PaymentRecord:
        """Report a payment made outside Stripe; it counts once it is attached to an invoice."""
        return read(
            "report the payment",
            PaymentRecord,
            self._v1.payment_records.report_payment,
            params,
            idempotent(key),
        )

    def payment_record(self, payment_record_id: str) -> PaymentRecord:
        """A reported payment."""
        return read(
            "read the payment record",
            PaymentRecord,
            self._v1.payment_records.retrieve,
            payment_record_id,
        )

    def payment_records(self, since: datetime | None) -> Iterator[PaymentRecord]:
        """All payments that were reported, since a UTC instant if one is given, newest first."""
        params: stripe.params.PaymentRecordListParams = {"limit": PAGE_SIZE}
        if since:
            params["created_after"] = int(since.timestamp()) - 1
        return read_each(
            "list reported payments", PaymentRecord, self._v1.payment_records.list, params
        )

    def attach_payment(self, invoice_id: str, payment_record_id: str, key: str) -> WholeInvoice:
        """Count a reported payment towards an open or uncollectible invoice."""
        return read(
            "attach the payment",
            WholeInvoice,
            self._v1.invoices.attach_payment,
            invoice_id,
            {"payment_record": payment_record_id},
            idempotent(key),
        )

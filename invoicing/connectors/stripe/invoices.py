"""One invoice, from its preview to its end."""

from collections.abc import Sequence

import stripe

from invoicing.connectors.stripe.connection import Connection, idempotent
from invoicing.connectors.stripe.errors import translated_errors
from invoicing.connectors.stripe.reading import PAGE_SIZE, read, read_all, read_each, read_if_there
from invoicing.domain.stripe.resources import (
    Coupon,
    Discounted,
    StripeLine,
    Totals,
    WholeInvoice,
)


class Invoices(Connection):
    """The invoices of an account, one by one."""

    def preview(self, params: "stripe.params.InvoiceCreatePreviewParams") -> Totals:
        """Preview of an invoice; nothing is created."""
        return read("preview the invoice", Totals, self._v1.invoices.create_preview, params)

    def invoice(self, invoice_id: str) -> WholeInvoice | None:
        """An invoice, or None when its draft was deleted or it never was."""
        return read_if_there(
            "read the invoice", WholeInvoice, self._v1.invoices.retrieve, invoice_id
        )

    def invoice_lines(self, invoice_id: str) -> list[StripeLine]:
        """All lines of an invoice; the invoice itself carries only the first ten."""
        return read_all(
            "read the invoice's lines",
            StripeLine,
            self._v1.invoices.line_items.list,
            invoice_id,
            {"limit": PAGE_SIZE},
        )

    def coupons_of(self, invoice_id: str) -> dict[str, Coupon]:
        """Coupons of an invoice's own discounts and those of its lines, by the discount's id."""
        doing = "read the invoice's discounts"
        whole = read(
            doing,
            Discounted,
            self._v1.invoices.retrieve,
            invoice_id,
            {"expand": ["discounts.source.coupon"]},
        )
        lines = read_each(
            doing,
            Discounted,
            self._v1.invoices.line_items.list,
            invoice_id,
            {"expand": ["data.discounts.source.coupon"], "limit": PAGE_SIZE},
        )
        return {
            discount["id"]: coupon
            for one in [whole, *lines]
            for discount in one["discounts"]
            if (coupon := discount["source"]["coupon"])
        }

    def create_invoice(self, params: "stripe.params.InvoiceCreateParams", key: str) -> WholeInvoice:
        """Create a draft."""
        return read(
            "create the invoice", WholeInvoice, self._v1.invoices.create, params, idempotent(key)
        )

    def update_invoice(
        self, invoice_id: str, params: "stripe.params.InvoiceUpdateParams"
    ) -> WholeInvoice:
        """Set fields of a draft; the same update twice is one."""
        return read("update the draft", WholeInvoice, self._v1.invoices.update, invoice_id, params)

    def add_lines(
        self, invoice_id: str, lines: Sequence["stripe.params.InvoiceAddLinesParamsLine"], key: str
    ) -> WholeInvoice:
        """Add lines to a draft, all in one call."""
        return read(
            "add the lines",
            WholeInvoice,
            self._v1.invoices.add_lines,
            invoice_id,
            {"lines": list(lines)},
            idempotent(key),
        )

    def remove_lines(self, invoice_id: str, line_ids: Sequence[str], key: str) -> WholeInvoice:
        """Remove lines from a draft, all in one call."""
        return read(
            "remove the lines",
            WholeInvoice,
            self._v1.invoices.remove_lines,
            invoice_id,
            {"lines": [{"id": line, "behavior": "delete"} for line in line_ids]},
            idempotent(key),
        )

    def finalize(self, invoice_id: str, key: str) -> WholeInvoice:
        """Turn a draft into an open invoice, numbered and frozen; Stripe mails nothing yet."""
        return read(
            "finalize the invoice",
            WholeInvoice,
            self._v1.invoices.finalize_invoice,
            invoice_id,
            {"auto_advance": False},
            idempotent(key),
        )

    def send(self, invoice_id: str, key: str) -> WholeInvoice:
        """E-mail an open invoice to its customer."""
        return read(
            "send the invoice",
            WholeInvoice,
            self._v1.invoices.send_invoice,
            invoice_id,
            {},
            idempotent(key),
        )

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; NotFound if there is none, Rejected if it is no draft any more."""
        with translated_errors("delete the draft"):
            self._v1.invoices.delete(invoice_id)

    def pay(self, invoice_id: str, key: str) -> WholeInvoice:
        """Charge the payment method that the customer saved."""
        return read(
            "charge the saved payment method",
            WholeInvoice,
            self._v1.invoices.pay,
            invoice_id,
            {"off_session": True},
            idempotent(key),
        )

    def void(self, invoice_id: str, key: str) -> WholeInvoice:
        """Void an open or uncollectible invoice, for good."""
        return read(
            "void the invoice",
            WholeInvoice,
            self._v1.invoices.void_invoice,
            invoice_id,
            {},
            idempotent(key),
        )

    def mark_uncollectible(self, invoice_id: str, key: str) -> WholeInvoice:
        """Give an open invoice up; it can still be paid or voided."""
        return read(
            "write the invoice off",
            WholeInvoice,
            self._v1.invoices.mark_uncollectible,
            invoice_id,
            {},
            idempotent(key),
        )

"""Many invoices, page by page, as they were sent: of a million, only a few fields are read."""

from datetime import datetime
from typing import TypeVar

import stripe

from invoicing.connectors.stripe.errors import translated_errors
from invoicing.connectors.stripe.invoices import Invoices
from invoicing.connectors.stripe.reading import PAGE_SIZE, Page, read_all
from invoicing.domain.stripe.resources import ListedInvoice, StripeInvoice, WholeInvoice
from invoicing.typed_answers import decode

T = TypeVar("T")


class InvoiceLists(Invoices):
    """The invoices of an account, by when they were created."""

    def invoices_of(self, customer_id: str, since: datetime) -> list[WholeInvoice]:
        """A customer's invoices created at or after a UTC instant, newest first."""
        return read_all(
            "look for the invoice",
            WholeInvoice,
            self._v1.invoices.list,
            {
                "customer": customer_id,
                "created": {"gte": int(since.timestamp())},
                "limit": PAGE_SIZE,
            },
        )

    def invoice_page(
        self, since: int, until: int, after: str | None
    ) -> tuple[list[ListedInvoice], bool]:
        """One page of all invoices created in ``[since, until)`` Unix seconds, newest first.

        Args:
            since: The first second wanted.
            until: The first second no longer wanted.
            after: The last invoice of the page before.

        Returns:
            Of each invoice what a full sync compares, and whether there are more after them.
        """
        page = self._listed(ListedInvoice, after, {"gte": since, "lt": until})
        return page["data"], page["has_more"]

    def facts_page(self, until: int, after: str | None) -> list[StripeInvoice]:
        """The newest invoices created before a Unix second, as a projection needs them.

        Args:
            until: The first second no longer wanted.
            after: The last invoice of the page before, if it is to go on from there.

        Returns:
            A page, which is empty when there are no more.
        """
        return self._listed(StripeInvoice, after, {"lt": until})["data"]

    def whole_page(self, until: int, after: str | None) -> list[WholeInvoice]:
        """The same as :meth:`facts_page`, with all their lines."""
        page = self._listed(WholeInvoice, after, {"lt": until})["data"]
        for invoice in page:
            if invoice["lines"]["has_more"]:
                invoice["lines"] = {"data": self.invoice_lines(invoice["id"]), "has_more": False}
        return page

    def _listed(
        self,
        shape: type[T],
        after: str | None,
        created: "stripe.params.InvoiceListParamsCreated",
    ) -> Page[T]:
        params: stripe.params.InvoiceListParams = {"created": created, "limit": PAGE_SIZE}
        if after:
            params["starting_after"] = after
        with translated_errors("list invoices"):
            self._pages.raw_request("get", "/v1/invoices", **params)
            return decode(self._bodies.last(), Page[shape])  # type: ignore[valid-type]

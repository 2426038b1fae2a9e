"""Credit notes."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from invoicing.connectors.stripe.answers import (
    PAGE_SIZE,
    read,
    read_all,
    read_each,
)
from invoicing.connectors.stripe.connection import Connection, idempotent
from invoicing.domain.stripe.resources import (
    CreditNote,
    CreditNoteLine,
)

if TYPE_CHECKING:
    from stripe import params as sdk


class CreditNotes(Connection):
    """The credit notes of an account."""

    def create_credit_note(self, params: "sdk.CreditNoteCreateParams", key: str) -> CreditNote:
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
        params: sdk.CreditNoteListParams = {"invoice": invoice_id, "limit": PAGE_SIZE}
        return read_all(
            "read the invoice's credit notes", CreditNote, self._v1.credit_notes.list, params
        )

    def all_credit_notes(self, since: datetime | None) -> Iterator[CreditNote]:
        """All credit notes, since a UTC instant if one is given, newest first."""
        params: sdk.CreditNoteListParams = {"limit": PAGE_SIZE}
        if since:
            params["created"] = {"gte": int(since.timestamp())}
        return read_each("list credit notes", CreditNote, self._v1.credit_notes.list, params)

    def credited_lines(self, notes: Iterable[CreditNote]) -> list[CreditNoteLine]:
        """The lines of credit notes that count."""
        lines: list[CreditNoteLine] = []
        for note in notes:
            if note["status"] == "void":
                continue
            if not note["lines"]["has_more"]:
                lines += note["lines"]["data"]
                continue
            lines += read_each(
                "read the credit note's lines",
                CreditNoteLine,
                self._v1.credit_notes.line_items.list,
                note["id"],
                {"limit": PAGE_SIZE},
            )
        return lines

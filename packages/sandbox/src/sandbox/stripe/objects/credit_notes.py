"""Credit notes."""

from sandbox.stripe import credit_notes
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.listing import paging
from sandbox.stripe.objects.invoice_lines import sliced
from sandbox.stripe.store import Doc


@operation("POST", "/v1/credit_notes", "CreditNoteCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Issue a credit note on a finalized invoice."""
    return credit_notes.issue(context, credit_notes.drafted(context, params), params)


@operation("GET", "/v1/credit_notes/preview", "CreditNotePreviewParams")
def preview(context: Context, params: Params) -> Doc:
    """Show what a credit note would be, without issuing it."""
    return credit_notes.drafted(context, params)


@operation("GET", "/v1/credit_notes/preview/lines", "CreditNotePreviewLinesListParams")
def preview_lines(context: Context, params: Params) -> Listing:
    """List the lines a credit note would have."""
    note = credit_notes.drafted(context, params)
    limit, cursor = paging(params)
    page = sliced(note["lines"]["data"], limit, cursor, "credit note line item")
    return Listing(page, "/v1/credit_notes/preview/lines", of="credit_note_line_item")


retrieves("credit_note", "/v1/credit_notes/{id}", "CreditNoteRetrieveParams")


@operation("POST", "/v1/credit_notes/{id}", "CreditNoteUpdateParams")
def update(context: Context, params: Params, note_id: str) -> Doc:
    """Change a credit note's memo or metadata."""
    note = context.require("credit_note", note_id)
    put(note, params, ("memo",))
    put_metadata(note, params)
    return context.save("credit_note", note, "credit_note.updated")


@operation("POST", "/v1/credit_notes/{id}/void", "CreditNoteVoidCreditNoteParams")
def void(context: Context, _: Params, note_id: str) -> Doc:
    """Void a credit note."""
    return credit_notes.void(context, context.require("credit_note", note_id))


lists("credit_note", "/v1/credit_notes", "CreditNoteListParams")


@operation("GET", "/v1/credit_notes/{credit_note}/lines", "CreditNoteLineItemListParams")
def list_lines(context: Context, params: Params, note_id: str) -> Listing:
    """List the lines of a credit note."""
    note = context.require("credit_note", note_id)
    limit, cursor = paging(params)
    page = sliced(note["lines"]["data"], limit, cursor, "credit note line item")
    return Listing(page, f"/v1/credit_notes/{note_id}/lines", of="credit_note_line_item")

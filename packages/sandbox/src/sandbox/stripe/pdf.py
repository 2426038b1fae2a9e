"""The invoice as a PDF."""

from datetime import UTC, datetime
from typing import Literal

from fpdf import FPDF

from sandbox.stripe import money
from sandbox.stripe.context import Account
from sandbox.stripe.invoice_object import all_lines
from sandbox.stripe.store import Doc

COLUMNS = (95, 20, 35, 40)
"""Widths in millimetres: description, quantity, unit price, amount."""


def render(invoice: Doc, account: Account) -> bytes:
    """Return an invoice as the bytes of a PDF file."""
    pdf = FPDF(format="A4")
    pdf.set_title(f"Invoice {invoice['number']}")
    pdf.set_creation_date(datetime.fromtimestamp(invoice["created"], UTC))
    pdf.add_page()
    _head(pdf, invoice, account)
    _lines(pdf, invoice)
    _sums(pdf, invoice)
    for text in (invoice["description"], invoice["footer"]):
        if text:
            pdf.ln(6)
            pdf.multi_cell(0, 5, _latin(text))
    return bytes(pdf.output())


def render_credit_note(note: Doc, account: Account) -> bytes:
    """Return a credit note as the bytes of a PDF file."""
    pdf = FPDF(format="A4")
    pdf.set_title(f"Credit note {note['number']}")
    pdf.set_creation_date(datetime.fromtimestamp(note["created"], UTC))
    pdf.add_page()
    pdf.set_font("helvetica", "B", 22)
    pdf.cell(0, 12, "Credit note", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("helvetica", "", 10)
    for text in (note["number"], _day(note["effective_at"]), account.name, note["memo"]):
        if text:
            pdf.cell(0, 6, _latin(text), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)
    for line in note["lines"]["data"]:
        amount = money.display(line["amount"], note["currency"])
        _row(pdf, ((line["description"] or "")[:60], str(line["quantity"] or ""), "", amount))
    pdf.ln(2)
    _row(pdf, ("", "", "Total credited", money.display(note["total"], note["currency"])))
    return bytes(pdf.output())


def _head(pdf: FPDF, invoice: Doc, account: Account) -> None:
    pdf.set_font("helvetica", "B", 22)
    pdf.cell(0, 12, "Invoice", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("helvetica", "", 10)
    facts = [
        ("Invoice number", invoice["number"]),
        ("Date of issue", _day(invoice["effective_at"])),
        ("Date due", _day(invoice["due_date"])),
        ("From", account.name),
        ("Bill to", " ".join(filter(None, (invoice["customer_name"], invoice["customer_email"])))),
    ]
    facts += [(entry["name"], entry["value"]) for entry in invoice["custom_fields"] or []]
    for name, value in facts:
        if value:
            pdf.cell(40, 6, _latin(name))
            pdf.cell(0, 6, _latin(value), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)
    pdf.set_font("helvetica", "B", 15)
    due = money.display(invoice["amount_remaining"], invoice["currency"])
    state = "due" if invoice["status"] == "open" else f"due ({invoice['status']})"
    pdf.cell(0, 10, _latin(f"{due} {state}"), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2)


def _lines(pdf: FPDF, invoice: Doc) -> None:
    pdf.set_font("helvetica", "B", 9)
    _row(pdf, ("Description", "Qty", "Unit price", "Amount"), border="B")
    pdf.set_font("helvetica", "", 10)
    for line in all_lines(invoice):
        unit = line["pricing"]["unit_amount_decimal"]
        whole = "." not in unit
        cells = (
            (line["description"] or "")[:60],
            line["quantity_decimal"],
            money.display(int(unit), invoice["currency"]) if whole else unit,
            money.display(line["amount"], invoice["currency"]),
        )
        _row(pdf, cells)


def _sums(pdf: FPDF, invoice: Doc) -> None:
    currency = invoice["currency"]
    discount = -sum(cut["amount"] for cut in invoice["total_discount_amounts"])
    tax = sum(tax["amount"] for tax in invoice["total_taxes"])
    sums = [
        ("Subtotal", invoice["subtotal"]),
        ("Discount", discount),
        ("Tax", tax),
        ("Total", invoice["total"]),
        ("Paid", -invoice["amount_paid"]),
        ("Amount due", invoice["amount_remaining"]),
    ]
    pdf.ln(2)
    for name, amount in sums:
        if amount or name in ("Subtotal", "Total", "Amount due"):
            _row(pdf, ("", "", name, money.display(amount, currency)))


def _row(pdf: FPDF, cells: tuple[str, ...], border: str | Literal[0] = 0) -> None:
    for width, text, align in zip(COLUMNS, cells, "LRRR", strict=True):
        pdf.cell(width, 7, _latin(text), border=border, align=align)
    pdf.ln(7)


def _day(timestamp: int | None) -> str | None:
    return f"{datetime.fromtimestamp(timestamp, UTC):%-d %B %Y}" if timestamp else None


def _latin(text: str) -> str:
    """Keep what the built-in fonts can print."""
    return text.replace("€", "EUR ").encode("latin-1", "replace").decode("latin-1")

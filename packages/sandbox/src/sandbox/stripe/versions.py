"""Rendering objects for endpoints that are pinned to an older API version.

Only the break that invoice integrations trip over is carried: versions before 2025-03-31 (basil)
show an invoice with ``paid``, ``charge``, ``payment_intent``, ``subscription``, ``tax`` and so on
instead of ``parent``, ``total_taxes`` and the payments behind them.
"""

from sandbox.stripe.store import Doc

BASIL = "2025-03-31"
CHARGE_FIELDS = ("charge", "payment_intent", "application_fee_amount", "transfer_data")


def rendered(doc: Doc, version: str) -> Doc:
    """Return an object as a version shows it."""
    if version[:10] >= BASIL:
        return doc
    if doc.get("object") == "invoice":
        return _invoice(doc)
    if doc.get("object") == "line_item":
        return _line(doc)
    return doc


def _invoice(invoice: Doc) -> Doc:
    gone = ("amount_overpaid", "parent", "status_details", "total_taxes")
    kept = {name: value for name, value in invoice.items() if name not in gone}
    taxes = invoice["total_taxes"] or []
    return (
        kept
        | dict.fromkeys((*CHARGE_FIELDS, "discount", "quote", "subscription"))
        | {
            "lines": invoice["lines"]
            | {"data": [_line(line) for line in invoice["lines"]["data"]]},
            "paid": invoice["status"] == "paid",
            "paid_out_of_band": False,
            "subscription_details": {"metadata": None},
            "tax": sum(tax["amount"] for tax in taxes) or None,
            "total_tax_amounts": [_tax(tax) for tax in taxes],
        }
    )


def _line(line: Doc) -> Doc:
    gone = ("parent", "pricing", "quantity_decimal", "subtotal", "taxes")
    kept = {name: value for name, value in line.items() if name not in gone}
    item = line["parent"]["invoice_item_details"]
    unit = line["pricing"]["unit_amount_decimal"]
    return kept | {
        "amount_excluding_tax": line["amount"],
        "invoice_item": item["invoice_item"],
        "plan": None,
        "price": {
            "id": line["pricing"]["price_details"]["price"],
            "object": "price",
            "currency": line["currency"],
            "product": line["pricing"]["price_details"]["product"],
            "type": "one_time",
            "unit_amount": int(unit) if "." not in unit else None,
            "unit_amount_decimal": unit,
        },
        "proration": item["proration"],
        "proration_details": item["proration_details"],
        "tax_amounts": [_tax(tax) for tax in line["taxes"]],
        "tax_rates": [],
        "type": "invoiceitem",
        "unit_amount_excluding_tax": unit,
    }


def _tax(tax: Doc) -> Doc:
    return {
        "amount": tax["amount"],
        "inclusive": tax["tax_behavior"] == "inclusive",
        "tax_rate": tax["tax_rate_details"]["tax_rate"],
        "taxability_reason": tax["taxability_reason"],
        "taxable_amount": tax["taxable_amount"],
    }

"""The invoice as an object: its lines, its customer's details, its sums."""

from collections.abc import Sequence
from typing import Any

from sandbox.stripe import tax, totals
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, wrong_state
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc

SUBLIST = 10
"""How many lines are embedded; the rest is behind ``/lines``."""

MAX_LINES = 250


def new_invoice(context: Context, customer: Doc, currency: str) -> Doc:
    """Build an empty draft."""
    invoice_id = new_id("invoice")
    account = context.account
    invoice: Doc = {
        "id": invoice_id,
        "object": "invoice",
        "account_country": account.country,
        "account_name": account.name,
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": context.now,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {
            "object": "list",
            "data": [],
            "has_more": False,
            "total_count": 0,
            "url": f"/v1/invoices/{invoice_id}/lines",
        },
        "livemode": context.livemode,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": context.now,
        "period_start": context.now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
        "_": {},
    }
    mirror_customer(invoice, customer)
    return invoice


def mirror_customer(invoice: Doc, customer: Doc) -> None:
    """Copy the customer's details, as a draft does until it is finalized.

    Sources: the SDK's docstrings of ``Invoice.customer_email`` and its like, and
    https://docs.stripe.com/invoicing/integration/workflow-transitions
    """
    invoice["customer_address"] = customer["address"]
    invoice["customer_email"] = customer["email"]
    invoice["customer_name"] = customer["name"]
    invoice["customer_phone"] = customer["phone"]
    invoice["customer_shipping"] = customer["shipping"]
    invoice["customer_tax_exempt"] = customer["tax_exempt"]
    invoice["customer_tax_ids"] = customer["_"].get("tax_ids", [])


def all_lines(invoice: Doc) -> list[Doc]:
    """Return every line of an invoice, not only the embedded ones."""
    return [*invoice["lines"]["data"], *invoice["_"].get("more_lines", [])]


def put_lines(invoice: Doc, lines: Sequence[Doc]) -> None:
    """Give an invoice its lines."""
    invoice["lines"] |= {
        "data": list(lines[:SUBLIST]),
        "has_more": len(lines) > SUBLIST,
        "total_count": len(lines),
    }
    invoice["_"]["more_lines"] = list(lines[SUBLIST:])


def require_draft(context: Context, invoice_id: str, param: str | None = None) -> Doc:
    """Return an invoice that may still be edited.

    Raises:
        StripeError: ``invoice_not_editable`` once it is finalized.
    """
    invoice = context.require("invoice", invoice_id, param)
    if invoice["status"] != "draft":
        raise not_editable(param)
    return invoice


def not_editable(param: str | None = None) -> StripeError:
    """The refusal to change what finalization froze."""
    return wrong_state("This invoice is no longer editable", "invoice_not_editable", param)


def revise(context: Context, invoice: Doc, lines: Sequence[Doc] | None = None) -> Doc:
    """Recompute a draft, with new lines if given, and store it."""
    before = context.space.get("invoice", invoice["id"]) or invoice
    recompute(context, invoice, lines)
    context.save("invoice", invoice, "invoice.updated")
    for change in _line_changes(all_lines(before), all_lines(invoice)):
        context.emit(f"invoice.line_item_{change}", invoice)
    return invoice


def _line_changes(before: Sequence[Doc], after: Sequence[Doc]) -> list[str]:
    """Return what happened to the lines, once for each line, in the words of thin events."""
    old = {line["id"]: line for line in before}
    new = {line["id"]: line for line in after}
    changes = ["added" for line_id in new if line_id not in old]
    changes += ["removed" for line_id in old if line_id not in new]
    for line_id in old.keys() & new.keys():
        if old[line_id]["quantity_decimal"] != new[line_id]["quantity_decimal"]:
            changes.append("quantity_changed")
        if old[line_id]["pricing"] != new[line_id]["pricing"]:
            changes.append("pricing_changed")
    return changes


def recompute(context: Context, invoice: Doc, lines: Sequence[Doc] | None = None) -> None:
    """Work out an invoice's sums from its lines."""
    lines = all_lines(invoice) if lines is None else list(lines)
    if len(lines) > MAX_LINES:
        raise wrong_state(f"An invoice can have at most {MAX_LINES} invoice items.")
    tax.judge_automatic(invoice)
    totals.compute(context, invoice, lines, tax.LineRates(context, invoice))
    put_lines(invoice, lines)
    balance = _customer_balance(context, invoice)
    invoice["starting_balance"] = balance
    settle(invoice, max(0, invoice["total"] + balance))


def settle(invoice: Doc, amount_due: int) -> None:
    """Set what is due and what remains of it."""
    invoice["amount_due"] = amount_due
    invoice["amount_remaining"] = max(0, amount_due - invoice["amount_paid"])


def line_settings(invoice: Doc, line_id: str) -> dict[str, Any]:
    """Return what a line was told but does not show: its tax rates and tax amounts."""
    settings: dict[str, Any] = invoice["_"].setdefault("line_settings", {})
    line: dict[str, Any] = settings.setdefault(line_id, {})
    return line


def follow_customer(context: Context, customer: Doc, beside: Doc | None = None) -> None:
    """Bring a customer's drafts up to date: details, balance and what follows from them.

    Args:
        context: The act.
        customer: The customer.
        beside: An invoice that is being worked on, and is left alone.
    """
    for invoice in context.space.find("invoice", {"customer": customer["id"], "status": "draft"}):
        if beside and invoice["id"] == beside["id"]:
            continue
        mirror_customer(invoice, customer)
        recompute(context, invoice)
        context.space.update("invoice", invoice)


def balance_in(customer: Doc, currency: str) -> int:
    """Return what a customer owes in a currency; credit is negative.

    There is one balance for each currency; ``balance`` is that in the customer's own.
    Source: the SDK's docstrings of ``Customer.balance`` and ``Customer.invoice_credit_balance``
    """
    if customer["currency"] in (None, currency):
        return int(customer["balance"])
    return int(customer["_"].get("balances", {}).get(currency, 0))


def _customer_balance(context: Context, invoice: Doc) -> int:
    """Return the customer's balance in the invoice's currency. Credit is negative.

    A draft shows the balance of now; a revision counts what its original took of it as well.
    Source: the SDK's docstring of ``Invoice.starting_balance``.
    """
    customer = context.space.get("customer", invoice["customer"])
    if customer is None or customer.get("deleted"):
        return 0
    balance = balance_in(customer, invoice["currency"])
    if invoice["from_invoice"]:
        original = context.space.get("invoice", invoice["from_invoice"]["invoice"])
        if original and original["status"] != "void":
            balance -= original["_"].get("balance_applied", 0)
    return balance

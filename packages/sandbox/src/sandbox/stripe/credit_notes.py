"""Credit notes: what they take off an invoice, and where the money goes.

A credit note first lowers what remains to be paid (pre-payment); the rest (post-payment) must be
accounted for by refunds, the customer's balance, or amounts credited outside Stripe.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sandbox.stripe import balances, invoice_object, mail, money, payments, refunds
from sandbox.stripe.api import Params
from sandbox.stripe.apply_params import number, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid, missing_param, no_such, wrong_state
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc, public


def drafted(context: Context, params: Params) -> Doc:
    """Work out a credit note without issuing it.

    Raises:
        StripeError: If it credits too much, or the rest is not accounted for.
    """
    invoice = context.require("invoice", params["invoice"], "invoice")
    if invoice["status"] not in ("open", "paid", "uncollectible"):
        raise wrong_state(
            f"You cannot create a credit note for an invoice that is {invoice['status']}.",
            param="invoice",
        )
    lines = _lines(context, invoice, params)
    total = sum(line["_total"] for line in lines)
    _check_total(context, invoice, total)
    pre = min(total, invoice["amount_remaining"]) if invoice["status"] != "paid" else 0
    _check_rest(context, invoice, params, total - pre)
    return _note(context, invoice, params, lines, pre, total - pre)


def issue(context: Context, note: Doc, params: Params) -> Doc:
    """Issue a credit note: lower the invoice, give the rest back, tell the customer."""
    invoice = context.require("invoice", note["invoice"])
    _give_back(context, invoice, note, params)
    context.add("credit_note", note)
    invoice["pre_payment_credit_notes_amount"] += note["pre_payment_amount"]
    invoice["post_payment_credit_notes_amount"] += note["post_payment_amount"]
    invoice_object.settle(invoice, invoice["amount_due"] - note["pre_payment_amount"])
    if note["pre_payment_amount"] and invoice["amount_remaining"] == 0:
        payments.mark_paid(context, invoice, collected=False)
    else:
        payments.keep_in_step(context, invoice)
        context.save("invoice", invoice, "invoice.updated")
    if context.livemode and params.get("email_type", "credit_note") == "credit_note":
        mail.post_credit_note(context, invoice, note)
    return note


def void(context: Context, note: Doc) -> Doc:
    """Void a credit note, which only an open invoice allows."""
    invoice = context.require("invoice", note["invoice"])
    if note["status"] == "void" or invoice["status"] != "open" or note["post_payment_amount"]:
        raise wrong_state("You can only void a pre-payment credit note of an open invoice.")
    note |= {"status": "void", "voided_at": context.now}
    context.space.update("credit_note", note)
    invoice["pre_payment_credit_notes_amount"] -= note["pre_payment_amount"]
    invoice_object.settle(invoice, invoice["amount_due"] + note["pre_payment_amount"])
    payments.keep_in_step(context, invoice)
    context.save("invoice", invoice, "invoice.updated")
    context.emit("credit_note.voided", note)
    return note


def _lines(context: Context, invoice: Doc, params: Params) -> list[Doc]:
    if ("amount" in params) == ("lines" in params):
        raise invalid("Provide exactly one of amount and lines.", "amount")
    if "amount" in params:
        amount = money.check_amount(params["amount"], invoice["currency"], "amount")
        return [_line(context, "custom_line_item", amount, {"description": "Credit"})]
    made: list[Doc] = []
    for index, entry in enumerate(params["lines"]):
        param = f"lines[{index}]"
        if entry["type"] == "invoice_line_item":
            made.append(_invoice_line(context, invoice, entry, param, made))
        elif invoice["automatic_tax"]["enabled"]:
            raise invalid("Custom lines cannot be taxed automatically.", f"{param}[type]")
        else:
            made.append(_custom_line(context, invoice, entry, param))
    return made


def _invoice_line(
    context: Context, invoice: Doc, entry: Params, param: str, beside: Sequence[Doc]
) -> Doc:
    """Credit a line of the invoice, with its share of the line's discounts and taxes.

    No more than what earlier credit notes, and the lines beside it, have left of it; and by amount
    or by quantity as they did.
    Source: https://docs.stripe.com/invoicing/integration/programmatic-credit-notes
    """
    lines = {line["id"]: line for line in invoice_object.all_lines(invoice)}
    line = lines.get(entry.get("invoice_line_item", ""))
    if line is None:
        raise no_such("invoice line item", str(entry.get("invoice_line_item")), param, 400)
    currency = invoice["currency"]
    unit = Decimal(line["pricing"]["unit_amount_decimal"])
    quantity: int | None = None
    if "amount" in entry:
        amount = int(entry["amount"])
    else:
        quantity = int(entry["quantity"] if "quantity" in entry else line["quantity"])
        amount = money.multiplied(unit, Decimal(quantity), currency)
    earlier = [each for note in _issued(context, invoice) for each in note["lines"]["data"]]
    before = [each for each in (*earlier, *beside) if each.get("invoice_line_item") == line["id"]]
    if any((each["quantity"] is None) != (quantity is None) for each in before):
        raise invalid("A line is credited by amount or by quantity, not by both.", param)
    credited = sum(each["amount"] for each in before)
    if amount > line["amount"] - credited:
        raise invalid(
            f"You cannot credit more than what is left of the line ({line['amount'] - credited}).",
            f"{param}[amount]",
        )
    share = Decimal(amount) / line["amount"] if line["amount"] else Decimal(0)
    details = {
        "description": entry.get("description") or line["description"],
        "discount_amounts": _shared(line["discount_amounts"], share, currency),
        "invoice_line_item": line["id"],
        "quantity": quantity,
        "taxes": _shared(line["taxes"], share, currency),
        "unit_amount": int(unit) if unit == int(unit) else None,
        "unit_amount_decimal": money.plain(unit),
    }
    return _line(context, "invoice_line_item", amount, details)


def _custom_line(context: Context, invoice: Doc, entry: Params, param: str) -> Doc:
    """Credit something the invoice does not list."""
    unit = number(entry.get("unit_amount", entry.get("unit_amount_decimal")))
    if unit is None or "description" not in entry:
        raise missing_param(f"{param}[{'description' if unit is not None else 'unit_amount'}]")
    quantity = entry.get("quantity", 1)
    currency = invoice["currency"]
    amount = money.multiplied(unit, Decimal(quantity), currency)
    rates = [context.require("tax_rate", rate, param) for rate in entry.get("tax_rates") or []]
    taxes = [
        {
            "amount": money.rounded(amount * Decimal(str(rate["percentage"])) / 100, currency),
            "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
            "tax_rate_details": {"tax_rate": rate["id"]},
            "taxability_reason": "not_available",
            "taxable_amount": amount,
            "type": "tax_rate_details",
        }
        for rate in rates
    ]
    details = {
        "description": entry["description"],
        "quantity": quantity,
        "tax_rates": [public(rate) for rate in rates],
        "taxes": taxes,
        "unit_amount": int(unit) if unit == int(unit) else None,
        "unit_amount_decimal": money.plain(unit),
    }
    return _line(context, "custom_line_item", amount, details)


def _line(context: Context, kind: str, amount: int, details: Doc) -> Doc:
    line: Doc = {
        "id": f"cnli_{new_id('credit_note').partition('_')[2]}",
        "object": "credit_note_line_item",
        "amount": amount,
        "description": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": context.livemode,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": None,
        "tax_rates": [],
        "taxes": [],
        "type": kind,
        "unit_amount": None,
        "unit_amount_decimal": None,
    } | details
    line["discount_amount"] = sum(cut["amount"] for cut in line["discount_amounts"])
    exclusive = _taxed(line["taxes"], "exclusive")
    line["_total"] = amount - line["discount_amount"] + exclusive
    return line


def _shared(amounts: Sequence[Doc], share: Decimal, currency: str) -> list[Doc]:
    """Scale discounts or taxes of an invoice line down to the credited part of it."""
    fields = ("amount", "taxable_amount")
    return [
        entry
        | {
            name: money.rounded(entry[name] * share, currency)
            for name in fields
            if entry.get(name) is not None
        }
        for entry in amounts
    ]


def _taxed(taxes: Sequence[Doc], behavior: str) -> int:
    return sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == behavior)


def _check_total(context: Context, invoice: Doc, total: int) -> None:
    credited = sum(note["total"] for note in _issued(context, invoice))
    if total <= 0 or total > invoice["total"] - credited:
        raise invalid(
            f"The credit note's total ({total}) must be above 0 and at most what is left to credit "
            f"({invoice['total'] - credited}).",
            "amount",
        )


def _issued(context: Context, invoice: Doc) -> list[Doc]:
    """Return the invoice's credit notes that count."""
    notes = context.space.find("credit_note", {"invoice": invoice["id"]})
    return [note for note in notes if note["status"] == "issued"]


def _linked(context: Context, invoice: Doc, params: Params) -> list[tuple[str, int]]:
    """Return the refunds that were made before and are linked, and what of each counts.

    Of the whole refund unless told otherwise (the SDK's docstring of
    ``CreditNoteCreateParamsRefund.amount_refunded``).

    Raises:
        StripeError: If one is of another invoice, came to nothing, or is linked already.
    """
    linked: dict[str, int] = {}
    for note in _issued(context, invoice):
        for entry in note["refunds"]:
            linked[entry["refund"]] = linked.get(entry["refund"], 0) + entry["amount_refunded"]
    found = []
    for index, entry in enumerate(params.get("refunds") or []):
        param = f"refunds[{index}]"
        if entry.get("type", "refund") != "refund" or "refund" not in entry:
            raise missing_param(f"{param}[refund]")
        refund = context.require("refund", entry["refund"], f"{param}[refund]")
        amount = entry.get("amount_refunded", refund["amount"])
        by = "payment_intent" if refund["payment_intent"] else "charge"
        payments = context.space.find("invoice_payment", {"invoice": invoice["id"]})
        if all(payment["payment"].get(by) != refund[by] for payment in payments):
            raise wrong_state("This refund is of a payment of another invoice.", param=param)
        if refund["status"] in ("failed", "canceled"):
            raise wrong_state(f"This refund is {refund['status']}.", param=param)
        left = refund["amount"] - linked.get(refund["id"], 0)
        if not 0 < amount <= left:
            raise invalid(f"Of this refund {left} can be linked.", f"{param}[amount_refunded]")
        linked[refund["id"]] = linked.get(refund["id"], 0) + amount
        found.append((refund["id"], amount))
    return found


def _check_rest(context: Context, invoice: Doc, params: Params, rest: int) -> None:
    """The post-payment part must be accounted for to the cent."""
    linked = sum(amount for _, amount in _linked(context, invoice, params))
    given = linked + sum(
        params.get(name, 0) for name in ("refund_amount", "credit_amount", "out_of_band_amount")
    )
    if given != rest:
        raise invalid(
            "The sum of refund amount, credit amount and out of band amount "
            f"({given} {invoice['currency']}) must equal the credit note's "
            f"post-payment amount ({rest} {invoice['currency']})."
        )


def _note(
    context: Context, invoice: Doc, params: Params, lines: list[Doc], pre: int, post: int
) -> Doc:
    kind = "mixed" if pre and post else "pre_payment" if pre else "post_payment"
    note_id = new_id("credit_note")
    count = context.space.count("credit_note", {"invoice": invoice["id"]})
    taxes = [tax for line in lines for tax in line["taxes"]]
    cuts = [cut for line in lines for cut in line["discount_amounts"]]
    subtotal = sum(line["amount"] for line in lines)
    discount = sum(cut["amount"] for cut in cuts)
    inclusive = _taxed(taxes, "inclusive")
    for line in lines:
        del line["_total"]
    note: Doc = {
        "id": note_id,
        "object": "credit_note",
        "amount": pre + post,
        "amount_shipping": 0,
        "created": context.now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": discount,
        "discount_amounts": cuts,
        "effective_at": params.get("effective_at", context.now),
        "invoice": invoice["id"],
        "lines": {
            "object": "list",
            "data": lines,
            "has_more": False,
            "url": f"/v1/credit_notes/{note_id}/lines",
        },
        "livemode": context.livemode,
        "memo": params.get("memo"),
        "metadata": {},
        "number": f"{invoice['number']}-CN-{count + 1:02d}",
        "out_of_band_amount": params.get("out_of_band_amount"),
        "pdf": f"{context.sandbox.base_url}/cn/{context.account.id}/{note_id}/pdf",
        "post_payment_amount": post,
        "pre_payment_amount": pre,
        "pretax_credit_amounts": [],
        "reason": params.get("reason"),
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": pre + post,
        "total_excluding_tax": subtotal - discount - inclusive,
        "total_taxes": taxes,
        "type": kind,
        "voided_at": None,
    }
    put_metadata(note, params)
    return note


def _give_back(context: Context, invoice: Doc, note: Doc, params: Params) -> None:
    """Account for the post-payment part: refunds and the customer's balance."""
    made = _linked(context, invoice, params)
    if params.get("refund_amount"):
        new = _refunded(context, invoice, params["refund_amount"])
        made += [(refund["id"], refund["amount"]) for refund in new]
    note["refunds"] = [
        {
            "amount_refunded": amount,
            "payment_record_refund": None,
            "refund": refund,
            "type": "refund",
        }
        for refund, amount in made
    ]
    if params.get("credit_amount"):
        entry = balances.change(
            context,
            invoice["customer"],
            -params["credit_amount"],
            "credit_note",
            invoice["currency"],
            invoice,
        )
        entry["credit_note"] = note["id"]
        context.space.update("customer_balance_transaction", entry)
        note["customer_balance_transaction"] = entry["id"]


def _refunded(context: Context, invoice: Doc, amount: int) -> list[Any]:
    """Refund an amount from the invoice's charges, newest first."""
    made = []
    paid = context.space.find("invoice_payment", {"invoice": invoice["id"], "status": "paid"})
    for payment in reversed(paid):
        if payment["payment"]["type"] != "payment_intent":
            continue
        intent = context.require("payment_intent", payment["payment"]["payment_intent"])
        charge = context.require("charge", intent["latest_charge"])
        part = min(amount, charge["amount_captured"] - charge["amount_refunded"])
        if part:
            made.append(refunds.refund(context, charge, part))
            amount -= part
    if amount:
        raise StripeError("There is not enough left on the invoice's charges to refund.")
    return made

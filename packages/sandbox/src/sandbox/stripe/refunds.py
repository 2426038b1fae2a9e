"""Money going back: refunds of charges."""

from sandbox.stripe import account_balance, disputes
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, wrong_state
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc


def refund(
    context: Context, charge: Doc, amount: int | None = None, reason: str | None = None
) -> Doc:
    """Refund a charge, fully or in part. It succeeds at once.

    Raises:
        StripeError: If nothing of the charge is left to refund, or less than asked for.
    """
    left = charge["amount_captured"] - charge["amount_refunded"]
    if any(not one["is_charge_refundable"] for one in disputes.open_disputes(context, charge)):
        raise wrong_state("Charge has been charged back.", "charge_disputed")
    if not charge["paid"] or left == 0:
        raise wrong_state("Charge has already been refunded.", "charge_already_refunded")
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        raise invalid("Refund amount is greater than unrefunded amount on charge", "amount")
    made: Doc = {
        "id": new_id("refund"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": context.now,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": _destination(charge["payment_method_details"]["type"]),
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    made["balance_transaction"] = account_balance.booked(context, "refund", made, -amount)["id"]
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    context.add("refund", made)
    context.space.update("charge", charge)
    context.emit("charge.refunded", charge)
    context.emit("refund.updated", made)
    return made


def _destination(kind: str) -> Doc:
    return {kind: {"type": "refund"} if kind == "card" else {}, "type": kind}


def fail(context: Context, made: Doc) -> Doc:
    """Let a refund fail afterwards, as a bank may; the money is back with the merchant."""
    if made["status"] != "succeeded":
        raise wrong_state("Only a succeeded refund can still fail.")
    charge = context.require("charge", made["charge"])
    charge["amount_refunded"] -= made["amount"]
    charge["refunded"] = False
    context.space.update("charge", charge)
    returned = account_balance.booked(context, "refund_failure", made, made["amount"])
    made |= {
        "failure_balance_transaction": returned["id"],
        "failure_reason": "lost_or_stolen_card",
        "status": "failed",
    }
    context.save("refund", made, "refund.updated")
    context.emit("refund.failed", made)
    return made

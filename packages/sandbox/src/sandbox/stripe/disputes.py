"""Disputes about charges, and the money that goes back and comes back by them."""

from sandbox.stripe import account_balance
from sandbox.stripe.context import Context
from sandbox.stripe.errors import wrong_state
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc, public

RESPONSE_DAYS = 7
DISPUTE_FEE = 1_500

EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
"""What may be brought against a dispute."""


def open_dispute(
    context: Context,
    charge: Doc,
    reason: str = "fraudulent",
    *,
    amount: int | None = None,
    currency: str | None = None,
    inquiry: bool = False,
) -> Doc:
    """Let a cardholder dispute a charge; the money is withdrawn until it is settled.

    Amount and currency are the dispute's own, and may differ from the charge's. An inquiry
    withdraws nothing, and the charge can still be refunded.
    Sources: the SDK's docstrings of ``Dispute.amount`` (currencies fluctuate, parts are disputed),
    ``balance_transactions`` (none, one or two) and ``is_charge_refundable``, and
    https://docs.stripe.com/disputes/how-disputes-work
    """
    if open_disputes(context, charge) or not charge["paid"]:
        raise wrong_state("This charge cannot be disputed.", "charge_disputed")
    charge["disputed"] = True
    context.space.update("charge", charge)
    dispute: Doc = {
        "id": new_id("dispute"),
        "object": "dispute",
        "amount": charge["amount"] - charge["amount_refunded"] if amount is None else amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": context.now,
        "currency": currency or charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": context.now + RESPONSE_DAYS * 24 * 3600,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": inquiry,
        "livemode": context.livemode,
        "metadata": {},
        "network_reason_code": "10.4",
        "payment_intent": charge["payment_intent"],
        **_disputed_card(charge),
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    if not inquiry:
        _move(context, dispute, -dispute["amount"], "dispute", fee=DISPUTE_FEE)
    context.add("dispute", dispute, "charge.dispute.created")
    if inquiry:
        return dispute
    context.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def open_disputes(context: Context, charge: Doc) -> list[Doc]:
    """The disputes of a charge that were not won, nor closed as an inquiry."""
    found = context.space.find("dispute", {"charge": charge["id"]})
    return [one for one in found if one["status"] not in ("won", "warning_closed")]


def _disputed_card(charge: Doc) -> Doc:
    """What a dispute shows of the card; of a bank's account it shows nothing."""
    card = charge["payment_method_details"].get("card")
    if card is None:
        return {}
    code = {"case_type": "chargeback", "network_reason_code": "10.4"}
    shown = {"brand": card["brand"], "network": card["network"]}
    return {"payment_method_details": {"card": shown | code, "type": "card"}}


def _move(context: Context, dispute: Doc, amount: int, category: str, *, fee: int = 0) -> None:
    entry = account_balance.booked(
        context, "adjustment", dispute, amount, fee=fee, category=category
    )
    dispute["balance_transactions"].append(public(entry))


def close_dispute(context: Context, dispute: Doc, status: str) -> Doc:
    """Settle a dispute: ``won`` gives the money back, ``lost`` does not.

    ``warning_closed`` ends an inquiry, of which nothing was withdrawn. The charge was disputed all
    the same (the SDK's docstring of ``Charge.disputed``).
    """
    if dispute["status"] in ("won", "lost", "warning_closed"):
        raise wrong_state(f"This dispute is already {dispute['status']}.")
    dispute["status"] = status
    if status == "won":
        _move(context, dispute, dispute["amount"], "dispute_reversal")
    context.space.update("dispute", dispute)
    context.emit("charge.dispute.closed", dispute)
    if status == "won":
        context.emit("charge.dispute.funds_reinstated", dispute)
    return dispute

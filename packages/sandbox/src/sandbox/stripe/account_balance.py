"""The account's own balance: what each payment, refund and dispute moves on it.

Fees are those that Stripe publishes for cards in the United States, in whatever currency; amounts
stay in the currency they were paid in.
"""

from sandbox.stripe.context import Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc

DAY = 24 * 3600
DAYS_UNTIL_AVAILABLE = 2
FEE_SHARE, FEE_FIXED = 0.029, 30


def charged(context: Context, charge: Doc) -> None:
    """Book a payment that has come in; its charge names the booking."""
    amount = charge["amount"]
    entry = booked(context, "charge", charge, amount, fee=fee_of(amount))
    charge["balance_transaction"] = entry["id"]


def fee_of(amount: int) -> int:
    """Return what Stripe keeps of a payment, in minor units."""
    return min(amount, round(amount * FEE_SHARE) + FEE_FIXED)


def booked(
    context: Context, kind: str, source: Doc, amount: int, *, fee: int = 0, category: str = ""
) -> Doc:
    """Book an amount.

    Args:
        context: The act.
        kind: Stripe's type of the booking.
        source: The charge, refund or dispute that moves the money.
        amount: What comes in, or goes out if negative, in minor units.
        fee: What of it Stripe keeps.
        category: How reports name it, if not as the kind.
    """
    fees = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    entry: Doc = {
        "id": new_id("balance_transaction"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": context.now + DAYS_UNTIL_AVAILABLE * DAY,
        "balance_type": "payments",
        "created": context.now,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": fees if fee else [],
        "net": amount - fee,
        "reporting_category": category or kind,
        "source": source["id"],
        "status": "pending",
        "type": kind,
    }
    context.space.insert("balance_transaction", entry)
    return entry

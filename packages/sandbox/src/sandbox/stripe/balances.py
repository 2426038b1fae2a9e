"""A customer's balances, one a currency: every change is on record, and drafts show it at once.

Sources: https://docs.stripe.com/billing/customer/balance; that ``customer.updated`` tells a change
and the balance before, https://github.com/LIT-Protocol/chipotle (21 of 21, in test mode, of balance
transactions that calls made; of those that Stripe makes by itself it is believed).
"""

from sandbox.stripe import invoice_object
from sandbox.stripe.context import Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc


def change(
    context: Context,
    customer_id: str,
    amount: int,
    kind: str,
    currency: str,
    invoice: Doc | None = None,
) -> Doc:
    """Move a customer's balance in a currency, keep the record of it, and let its drafts show it.

    Credit is negative. Kinds: https://docs.stripe.com/billing/customer/balance#types
    """
    customer = context.require("customer", customer_id)
    customer["currency"] = customer["currency"] or currency
    if customer["currency"] == currency:
        customer["balance"] += amount
    else:
        others = customer["_"].setdefault("balances", {})
        others[currency] = others.get(currency, 0) + amount
    context.save("customer", customer, "customer.updated")
    invoice_object.follow_customer(context, customer, beside=invoice)
    return note(context, customer, amount, kind, currency, invoice)


def note(
    context: Context,
    customer: Doc,
    amount: int,
    kind: str,
    currency: str,
    invoice: Doc | None = None,
) -> Doc:
    """Keep the record of a change of a customer's balance that was made."""
    entry: Doc = {
        "id": new_id("customer_balance_transaction"),
        "object": "customer_balance_transaction",
        "amount": amount,
        "checkout_session": None,
        "created": context.now,
        "credit_note": None,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "description": None,
        "ending_balance": invoice_object.balance_in(customer, currency),
        "invoice": invoice["id"] if invoice else None,
        "livemode": context.livemode,
        "metadata": {},
        "type": kind,
    }
    context.space.insert("customer_balance_transaction", entry)
    return entry

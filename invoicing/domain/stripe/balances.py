"""Customers' balances in Stripe, and what invoices ask for with them.

Debt counts up and credit down: https://docs.stripe.com/billing/customer/balance
"""

from invoicing.domain.model.amount_due import AmountDue
from invoicing.domain.model.money import Money
from invoicing.domain.stripe.resources import WholeInvoice


def amount_due(
    invoice: WholeInvoice, agreed: Money | None = None, agreed_total: Money | None = None
) -> AmountDue:
    """What an invoice asks for, and what was agreed of that.

    A draft shows the balance of now as its starting balance; whether its own ``amount_due`` is
    that of an invoice too small to be collected, the documentation leaves open.
    """
    currency = invoice["currency"]
    total = Money(currency, invoice["total"])
    balance = Money(currency, invoice["starting_balance"])
    if invoice["status"] == "draft":
        return AmountDue.expected(total, balance, agreed=agreed)
    carried = 0 if invoice["amount_due"] else max(0, invoice["ending_balance"] or 0)
    return AmountDue(
        total,
        balance,
        due=Money(currency, invoice["amount_due"]),
        finalized=True,
        carried=Money(currency, carried) if carried else None,
        agreed=agreed,
        agreed_total=agreed_total,
    )


def applied_balance(invoice: WholeInvoice) -> Money:
    """What of the customer's balance an invoice has taken up; it gives that back when voided."""
    ending = invoice["ending_balance"]
    taken = 0 if ending is None else invoice["starting_balance"] - ending
    return Money(invoice["currency"], taken)

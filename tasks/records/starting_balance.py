"""The balance from before, with which a customer's next invoice begins."""

from invoicing.connectors import stripe
from invoicing.domain.model.invoice import Account, Invoice
from invoicing.domain.model.money import Money
from invoicing.domain.stripe.balances import applied_balance
from invoicing.domain.stripe.resources import Customer
from invoicing.ledger import links


def stripe_customer(account: Account) -> Customer | None:
    """The Stripe customer that an Account is known to have."""
    customer_id = links.customer_of(account.id) or account.stripe_customer_id
    return stripe.client().customer(customer_id) if customer_id else None


def owed_before(invoice: Invoice, customer: Customer | None) -> Money:
    """What a customer owes when an invoice is finalized; credit is below zero.

    An invoice that is replaced gives back what it took of the balance.
    """
    client = stripe.client()
    owed = Money(invoice.currency, 0)
    if customer:
        owed += client.owed_before(customer, invoice.currency)
    original = client.invoice(invoice.replaces) if invoice.replaces else None
    return owed + applied_balance(original) if original else owed

"""The experiments of docs/unproved.md that a Stripe account in test mode can answer."""

from tests.real.experiments import (
    amount_due,
    bank_debits,
    customers,
    finalized,
    given_back,
    products,
)

__all__ = ["amount_due", "bank_debits", "customers", "finalized", "given_back", "products"]

"""The experiments of docs/unproved.md that a Stripe account in test mode can answer."""

from tests.real.experiments import asked_for, customers, finalized, given_back, products, under_way

__all__ = ["asked_for", "customers", "finalized", "given_back", "products", "under_way"]

"""The API's resources: what each operation does, registered as it is imported."""

from sandbox.stripe.objects import (
    account,
    customers,
    events,
    invoice_lines,
    invoice_payments,
    invoiceitems,
    invoices,
    prices,
    products,
    webhook_endpoints,
)

__all__ = [
    "account",
    "customers",
    "events",
    "invoice_lines",
    "invoice_payments",
    "invoiceitems",
    "invoices",
    "prices",
    "products",
    "webhook_endpoints",
]

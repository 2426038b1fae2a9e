"""Searching. Never the place to look for what was made a moment ago."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.search import searched


@operation("GET", "/v1/customers/search", "CustomerSearchParams")
def search_customers(context: Context, params: Params) -> Listing:
    """Search customers."""
    return searched(context, "customer", "/v1/customers/search", params)


@operation("GET", "/v1/invoices/search", "InvoiceSearchParams")
def search_invoices(context: Context, params: Params) -> Listing:
    """Search invoices."""
    return searched(context, "invoice", "/v1/invoices/search", params)


@operation("GET", "/v1/products/search", "ProductSearchParams")
def search_products(context: Context, params: Params) -> Listing:
    """Search products."""
    return searched(context, "product", "/v1/products/search", params)


@operation("GET", "/v1/prices/search", "PriceSearchParams")
def search_prices(context: Context, params: Params) -> Listing:
    """Search prices."""
    return searched(context, "price", "/v1/prices/search", params)


@operation("GET", "/v1/payment_intents/search", "PaymentIntentSearchParams")
def search_intents(context: Context, params: Params) -> Listing:
    """Search payment intents."""
    return searched(context, "payment_intent", "/v1/payment_intents/search", params)


@operation("GET", "/v1/charges/search", "ChargeSearchParams")
def search_charges(context: Context, params: Params) -> Listing:
    """Search charges."""
    return searched(context, "charge", "/v1/charges/search", params)

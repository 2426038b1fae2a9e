"""Searching. Never the place to look for what was made a moment ago."""

from sandbox.stripe.api import Handler, Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.search import searched

SEARCHED = {
    "customer": "CustomerSearchParams",
    "invoice": "InvoiceSearchParams",
    "product": "ProductSearchParams",
    "price": "PriceSearchParams",
    "payment_intent": "PaymentIntentSearchParams",
    "charge": "ChargeSearchParams",
}
"""The kinds of objects that can be searched, and what may be asked."""


def _search_of(kind: str, path: str) -> Handler:
    def search(context: Context, params: Params) -> Listing:
        return searched(context, kind, path, params)

    return search


for _kind, _params in SEARCHED.items():
    _path = f"/v1/{_kind}s/search"
    operation("GET", _path, _params)(_search_of(_kind, _path))

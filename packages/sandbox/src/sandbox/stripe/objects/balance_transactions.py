"""Balance transactions: what moved the account's own balance."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc


@operation("GET", "/v1/balance_transactions/{id}", "BalanceTransactionRetrieveParams")
def retrieve(context: Context, _: Params, entry_id: str) -> Doc:
    """Return a balance transaction."""
    return context.require("balance_transaction", entry_id)


@operation("GET", "/v1/balance_transactions", "BalanceTransactionListParams")
def list_entries(context: Context, params: Params) -> Listing:
    """List balance transactions."""
    return listed(context, "balance_transaction", "/v1/balance_transactions", params)

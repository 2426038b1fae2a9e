"""A customer's balance: credit for the next invoice, or debt."""

from sandbox.stripe import balances, money
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc

PATH = "/v1/customers/{customer}/balance_transactions"


@operation("POST", PATH, "CustomerBalanceTransactionCreateParams")
def create(context: Context, params: Params, customer_id: str) -> Doc:
    """Change a customer's balance in a currency; a negative amount is credit."""
    currency = money.check_currency(params["currency"])
    entry = balances.change(context, customer_id, params["amount"], "adjustment", currency)
    put(entry, params, ("description",))
    put_metadata(entry, params)
    context.space.update("customer_balance_transaction", entry)
    return entry


@operation("GET", f"{PATH}/{{transaction}}", "CustomerBalanceTransactionRetrieveParams")
def retrieve(context: Context, _: Params, customer_id: str, entry_id: str) -> Doc:
    """Return one change of a balance."""
    context.require("customer", customer_id)
    return context.require("customer_balance_transaction", entry_id)


@operation("POST", f"{PATH}/{{transaction}}", "CustomerBalanceTransactionUpdateParams")
def update(context: Context, params: Params, customer_id: str, entry_id: str) -> Doc:
    """Describe a change of a balance; the amount is fixed."""
    context.require("customer", customer_id)
    entry = context.require("customer_balance_transaction", entry_id)
    put(entry, params, ("description",))
    put_metadata(entry, params)
    return context.save("customer_balance_transaction", entry)


@operation("GET", PATH, "CustomerBalanceTransactionListParams")
def list_entries(context: Context, params: Params, customer_id: str) -> Listing:
    """List the changes of a customer's balance."""
    context.require("customer", customer_id)
    url = f"/v1/customers/{customer_id}/balance_transactions"
    filters = {"customer": customer_id}
    return listed(context, "customer_balance_transaction", url, params, filters)

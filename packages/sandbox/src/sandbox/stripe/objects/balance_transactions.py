"""Balance transactions: what moved the account's own balance."""

from sandbox.stripe.generic_reads import lists, retrieves

retrieves(
    "balance_transaction", "/v1/balance_transactions/{id}", "BalanceTransactionRetrieveParams"
)


lists("balance_transaction", "/v1/balance_transactions", "BalanceTransactionListParams")

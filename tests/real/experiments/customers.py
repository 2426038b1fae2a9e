"""How customers are found, and what they are billed in."""

from tests.real.experiment import Observed, experiment
from tests.real.stripe_account import ADDRESS, Account

SEARCH_SECONDS = 180
"""Until a customer that was just made can be searched for."""


@experiment
def customers_by_address(account: Account) -> Observed:
    """A list finds the exact address at once, a search any case, a minute later."""
    customer = account.customer()
    other_case = ADDRESS.upper()

    def listed(address: str) -> bool:
        found = account.v1.customers.list({"email": address, "limit": 100}).data
        return any(each.id == customer for each in found)

    def searched(address: str) -> bool:
        found = account.v1.customers.search({"query": f'email:"{address}"', "limit": 100}).data
        return any(each.id == customer for each in found)

    return {
        "listed": listed(ADDRESS),
        "listed in another case": listed(other_case),
        "searched in the end": account.until(lambda: searched(ADDRESS), SEARCH_SECONDS),
        "searched in another case": searched(other_case),
    }


@experiment
def currency_of_a_customer(account: Account) -> Observed:
    """The first invoice sets it, and later ones in another currency leave it."""
    customer = account.customer()

    def currency() -> str | None:
        found: str | None = account.v1.customers.retrieve(customer).currency
        return found

    before = currency()
    drafted = account.draft(customer, 10_000, currency="jpy")
    while_a_draft = currency()
    account.finalize(drafted.id)
    finalized = currency()
    account.open(customer, 10_000, currency="usd")
    return {
        "at first": before,
        "with a draft in yen": while_a_draft,
        "with an invoice in yen": finalized,
        "with one in dollars, too": currency(),
    }

"""How customers are found, and what they are billed in."""

from uuid import uuid4

from stripe import Event

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


@experiment
def keys_of_events(account: Account) -> Observed:
    """The event of a call has the call's idempotency key, and what a change has replaced."""
    customer, key = account.customer(), f"check-real-{uuid4()}"
    account.v1.customers.update(
        customer, {"email": f"other.{ADDRESS}"}, {"idempotency_key": f"{key}-1"}
    )
    account.v1.customers.update(customer, {"email": ADDRESS}, {"idempotency_key": f"{key}-2"})

    def told() -> list[Event]:
        found = account.v1.events.list({"type": "customer.updated", "limit": 100}).data
        return [one for one in found if one.data.object["id"] == customer]

    account.until(lambda: len(told()) == 2)
    return {
        "keys, the newest first": [
            str(one.request and one.request.idempotency_key).removeprefix(key) for one in told()
        ],
        "before": [
            str(before and before["email"]).replace(ADDRESS, "the address")
            for before in (one.data.previous_attributes for one in told())
        ],
    }

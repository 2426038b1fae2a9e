"""Accounts: found by id or name, linked to their Stripe customers."""

from collections.abc import Iterable, Mapping

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.model.invoice import Account
from invoicing.domain.model.record_ids import looks_like_id, short
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Condition, Query, is_in
from invoicing.errors import Rejected, TransientError
from invoicing.ledger import links
from invoicing.mapping import org_field_reader
from tasks.records.environment_check import org_currency
from tasks.records.soql_lists import select_in, word_batches
from tasks.runtime.retries import STEP

CUSTOMER_ID = "Stripe_Customer_Id__c"

ACCOUNTS_AT_MOST = 10_000
"""Accounts that one query may find: far more than the words it asks for."""


def read_account(reference: str) -> Account | str:
    """The Account that a word names, by id or exact name, or why there is none."""
    return read_accounts([reference])[reference]


def read_accounts(references: Iterable[str]) -> dict[str, Account | str]:
    """The Account that each word names, by id or exact name, or why there is none."""
    words = {reference: reference.strip() for reference in references}
    ids = {word for word in words.values() if looks_like_id(word, "001")}
    found: dict[str, dict[str, Account]] = {}
    for column, some in (("Id", ids), ("Name", {*words.values()} - ids - {""})):
        for batch in word_batches(some):
            for account in find_accounts(is_in(column, batch), limit=ACCOUNTS_AT_MOST):
                word = short(account.id) if column == "Id" else account.name.casefold()
                found.setdefault(word, {})[account.id] = account
    return {
        reference: _only(word, found.get(short(word) if word in ids else word.casefold(), {}))
        for reference, word in words.items()
    }


def _only(word: str, found: Mapping[str, Account]) -> Account | str:
    if not word:
        return "The Account is missing."
    if len(found) > 1:
        return f"{len(found)} Accounts are called {word!r}; use the Account's id."
    for account in found.values():
        return account
    gone = "; it may have been merged or deleted" if looks_like_id(word, "001") else ""
    return f"There is no Account {word!r} in Salesforce{gone}."


def find_accounts(condition: Condition, limit: int = 2) -> list[Account]:
    """The Accounts that a condition names, by name; at most so many."""
    currency = org_currency()
    fields = [*record.ACCOUNT_FIELDS, *currency.fields, *org_field_reader().account_fields]
    found = salesforce.client().query(
        Query("Account", fields, where=condition, order="Name, Id", limit=limit)
    )
    accounts = [record.read_account(row, currency) for row in found]
    return [
        org_field_reader().with_price_book(account, row)
        for account, row in zip(accounts, found, strict=True)
    ]


def accounts_of_customers(customer_ids: Iterable[str]) -> dict[str, str]:
    """The Accounts of Stripe customers, by customer: as the ledger knows, else as Accounts say."""
    ids = set(customer_ids)
    known, field = links.accounts_of(ids), CUSTOMER_ID
    found = select_in("Account", field, sorted(ids - known.keys()), ("Id", field))
    return known | {row[field]: row["Id"] for row in found}


def link_customer(account: Account, customer_id: str) -> str:
    """Write the Stripe customer on the Account, where it is not there yet.

    Returns:
        Why that cannot be, to be added to a sentence. The ledger knows the customer, and the next
        sending tries again.
    """
    if account.stripe_customer_id == customer_id:
        return ""
    try:
        _write_customer(account, customer_id)
    except (Rejected, TransientError) as error:
        note = f" The Account {account.name} does not show {customer_id}: {error}"
        get_run_logger().warning(note.strip())
        return note
    return ""


@task(task_run_name="link the customer to the Account", **STEP)
def _write_customer(account: Account, customer_id: str) -> None:
    salesforce.client().update("Account", account.id, {CUSTOMER_ID: customer_id})

"""Accounts: found by id or name, linked to their Stripe customers."""

from collections.abc import Collection, Iterable, Mapping

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Record
from invoicing.domain.model.invoice import Account
from invoicing.domain.model.record_ids import looks_like_id, short
from invoicing.domain.model.wording import caseless
from invoicing.domain.salesforce import record, record_reader
from invoicing.domain.salesforce.queries import Comparison, Condition, Query, all_of, equals, is_in
from invoicing.errors import Rejected, TransientError
from invoicing.ledger import links
from invoicing.mapping import org_field_reader
from tasks.records.locks import ACCOUNT
from tasks.records.org_facts import account_fields, org_currency
from tasks.records.soql_lists import select_in, word_batches
from tasks.runtime.step import step

NOT_SHOWN = "does not show"
"""What a record's note says of its Account, before the customer and the reason."""

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
                word = short(account.id) if column == "Id" else caseless(account.name)
                found.setdefault(word, {})[account.id] = account
    stayed = surviving_accounts(word for word in ids if short(word) not in found)
    for batch in word_batches(stayed.values()):
        for account in find_accounts(is_in("Id", batch), limit=ACCOUNTS_AT_MOST):
            for word in (word for word, id_ in stayed.items() if id_ == account.id):
                found.setdefault(short(word), {})[account.id] = account
    return {
        reference: _only(word, found.get(short(word) if word in ids else caseless(word), {}))
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
    fields = [*account_fields(), *org_field_reader().account_fields]
    found = salesforce.client().query(
        Query("Account", fields, where=condition, order="Name, Id", limit=limit)
    )
    return [
        org_field_reader().with_price_book(record_reader.read_account(row, currency), row)
        for row in found
    ]


def surviving_accounts(account_ids: Iterable[str]) -> dict[str, str]:
    """The Account that each has become: itself, or the one that it was merged into.

    Those that were deleted are left out. What is found out of merges is kept in the ledger.
    Source: Object Reference, "Account" (MasterRecordId)
    """
    asked = {short(id_): id_ for id_ in account_ids}
    stands, merged = set[str](), dict[str, str]()
    unknown = set(asked)
    while unknown:
        batches = word_batches(sorted(unknown))
        rows = [row for some in batches for row in _with_merged(is_in("Id", some))]
        stands |= {row["Id"] for row in rows if not row["IsDeleted"]}
        merged |= {row["Id"]: row["MasterRecordId"] for row in rows if row["MasterRecordId"]}
        unknown = {id_ for row in rows if (id_ := row["MasterRecordId"])} - stands - merged.keys()
    _move(merged, {})
    whole = {short(id_): id_ for id_ in (*stands, *merged)}
    found = {id_: _end(merged, whole[key]) for key, id_ in asked.items() if key in whole}
    return {id_: stayed for id_, stayed in found.items() if stayed in stands}


def follow_merges(account_id: str | None = None) -> None:
    """Let the customers of Accounts that were merged away be those of the Accounts that stayed.

    Args:
        account_id: The Account that stayed; None for all. Salesforce tells of a merge for as long
            as the other Account is in the recycle bin: 15 days.
    """
    stayed = equals("MasterRecordId", account_id) if account_id else None
    rows = _with_merged(all_of(Comparison("MasterRecordId", "!=", None), stayed))
    customers = {row["Id"]: row[record.CUSTOMER_ID] for row in rows if row[record.CUSTOMER_ID]}
    _move({row["Id"]: row["MasterRecordId"] for row in rows}, customers)


def _with_merged(condition: Condition) -> list[Record]:
    fields = ("Id", "IsDeleted", "MasterRecordId", record.CUSTOMER_ID)
    return salesforce.client().query(Query("Account", fields, where=condition), deleted=True)


def _end(merged: Mapping[str, str], account_id: str) -> str:
    while account_id in merged:
        account_id = merged[account_id]
    return account_id


def _move(merged: Mapping[str, str], customers: Mapping[str, str]) -> None:
    if merged:
        links.move_customers({gone: _end(merged, gone) for gone in merged}, customers)


def accounts_of_customers(customer_ids: Iterable[str]) -> dict[str, str]:
    """The Accounts of Stripe customers, by customer: as the ledger knows, else as Accounts say."""
    ids = set(customer_ids)
    known, field = links.accounts_of(ids), record.CUSTOMER_ID
    found = select_in("Account", field, sorted(ids - known.keys()), ("Id", field))
    return known | {row[field]: row["Id"] for row in found}


def link_customer(account: Account, customer_id: str) -> str:
    """Write the Stripe customer on the Account, where it is not there yet.

    Returns:
        Why that cannot be, to be added to a sentence. The ledger knows the customer, and the next
        sending tries again, the next full sync, and whatever brings an invoice of the Account in
        step.
    """
    if account.stripe_customer_id == customer_id:
        return ""
    try:
        _write_customer(account, customer_id)
    except (Rejected, TransientError) as error:
        note = f" The Account {account.name} {NOT_SHOWN} {customer_id}: {error}"
        get_run_logger().warning(note.strip())
        return note
    return ""


def show_customers(account_ids: Collection[str]) -> dict[str, str]:
    """Write the Stripe customers on Accounts that do not show them yet.

    An Account may have refused it, or been away, when its invoice was sent. Left out is one that
    another run works on: it may be getting another customer.

    Returns:
        Why Accounts still do not show theirs, by Account.
    """
    if not account_ids:
        return {}
    with ACCOUNT.held_if_free(account_ids) as busy:
        known = links.customers_of(account_ids - busy.keys())
        rows = [
            {"Id": id_, record.CUSTOMER_ID: customer} for id_, customer in sorted(known.items())
        ]
        try:
            failed = salesforce.client().update_many("Account", rows)
            refused = {rows[one.index]["Id"]: str(one.error) for one in failed}
        except TransientError as error:
            refused = dict.fromkeys(known, str(error))
    for id_, why in refused.items():
        get_run_logger().warning("%s %s %s: %s", id_, NOT_SHOWN, known[id_], why)
    return refused


@step("link the customer to the Account")
def _write_customer(account: Account, customer_id: str) -> None:
    salesforce.client().update("Account", account.id, {record.CUSTOMER_ID: customer_id})

"""Accounts of invoices that do not show their Stripe customer, though nothing differs otherwise."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from more_itertools import chunked

from invoicing.connectors import salesforce
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of, equals, is_in
from tasks.records.accounts import NOT_SHOWN, show_customers
from tasks.records.soql_lists import select_in
from tasks.runtime.step import step
from tasks.sync.refresh import refresh


@dataclass(frozen=True, slots=True)
class SilentAccount:
    """An Account that does not show its customer, and why."""

    id: str
    name: str
    why: str


@step("look for Accounts that do not show their customer")
def find_silent_accounts() -> dict[str, str]:
    """Names of Accounts that do not show theirs, by id: refused once, or cleared by somebody."""
    billed = Query(record.INVOICE, ["Account__c"], Comparison(record.STRIPE_ID, "!=", None))
    silent = all_of(equals(record.CUSTOMER_ID, None), is_in("Id", billed))
    return dict(salesforce.client().bulk_query(Query("Account", ["Id", "Name"], silent)))


@step("show customers on their Accounts")
def show_missing_customers(names: Mapping[str, str]) -> list[SilentAccount]:
    """Write the customers on Accounts, given by name and id, that do not show them.

    Returns:
        Those that still do not.
    """
    still: list[SilentAccount] = []
    for some in chunked(names, salesforce.COLLECTION):
        refused = show_customers(set(some))
        _take_notes_back(set(some) - refused.keys())
        still += [SilentAccount(id_, names[id_], why) for id_, why in sorted(refused.items())]
    return still


def silent_accounts_message(silent: Collection[SilentAccount]) -> str:
    """What a full sync says of them, beside the invoices."""
    if not silent:
        return ""
    verb, each = ("does", "its") if len(silent) == 1 else ("do", "their")
    return f" {counted(len(silent), 'Account')} {verb} not show {each} Stripe customer."


def _take_notes_back(account_ids: Collection[str]) -> None:
    """Let invoices no longer say that their Accounts do not show their customers."""
    fields = (record.STRIPE_ID, record.SYNC_MESSAGE)
    rows = select_in(record.INVOICE, "Account__c", sorted(account_ids), fields)
    noted = [row[record.STRIPE_ID] for row in rows if NOT_SHOWN in (row[record.SYNC_MESSAGE] or "")]
    if noted:
        refresh(noted, touch=True)

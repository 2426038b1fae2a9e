"""Who a customer is: everything by which it is known here, in Stripe and in Salesforce."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from invoicing.connectors import salesforce, stripe
from invoicing.connectors.salesforce import Record
from invoicing.domain.model.mentions import Mentions
from invoicing.domain.model.record_ids import looks_like_id, short
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.stripe.event_parsing import customer_names
from invoicing.errors import NotFound, Rejected
from invoicing.ledger import personal_data


@dataclass(frozen=True, slots=True)
class KnownAs:
    """A customer by its ids and names.

    Attributes:
        account_id: Its Account's id, of 18 characters where anything still says it.
        customers: Its customers in Stripe.
        ids: All its ids, invoices' and records' among them.
        records: Invoice records of Salesforce, those in its recycle bin as well.
        runs: The flow runs that the ledger names in its rows.
        mentions: Finds texts that name it.
    """

    account_id: str
    customers: frozenset[str]
    ids: frozenset[str]
    records: tuple[Record, ...]
    runs: frozenset[str]
    mentions: Mentions


def check_id(account: str) -> str:
    """An Account's id as somebody typed it.

    Raises:
        Rejected: it is none, but a name, which the history of runs would keep.
    """
    if not looks_like_id(account.strip(), "001"):
        raise Rejected(
            "Give the Account's id: it begins with 001 and stands in the address of the Account's "
            "page in Salesforce. A name that is typed here would itself be kept, in the history of "
            "runs."
        )
    return account.strip()


def known_as(account_id: str) -> KnownAs:
    """Everything by which an Account is known, whether or not it still exists.

    Raises:
        NotFound: nobody knows such an Account.
    """
    accounts = _read("Account", ("Id", "Name", "Invoice_Email__c"), "Id", account_id)
    linked = personal_data.customers_of(account_id)
    whole = next(iter([*(row["Id"] for row in accounts), *linked.values()]), account_id)
    records = _read(
        record.INVOICE, ("Id", "Name", "IsDeleted", record.STATUS), "Account__c", account_id
    )
    ids = personal_data.related({account_id, whole, *linked, *(row["Id"] for row in records)})
    held = personal_data.rows(ids)
    if not (accounts or held):
        raise NotFound(f"There is no Account {account_id} in Salesforce, and nothing of it here.")
    names = [row["Name"] for row in (*accounts, *records)]
    names += [row["Invoice_Email__c"] for row in accounts]
    names += [row["name"] for rows in held.values() for row in rows if "name" in row]
    for event in held.get("event", []):
        names += customer_names(json.loads(event["body"] or "{}"))
    for customer in filter(None, map(stripe.client().customer, linked)):
        names += [customer.get("name"), customer.get("email")]
    return KnownAs(
        account_id=whole,
        customers=frozenset(linked),
        ids=frozenset(ids),
        records=tuple(records),
        runs=frozenset(personal_data.flow_runs(held)),
        mentions=Mentions([*ids, *(short(id_) for id_ in ids if looks_like_id(id_)), *names]),
    )


def _read(sobject: str, fields: Iterable[str], name: str, id_: str) -> list[Record]:
    query = Query(sobject, list(fields), where=equals(name, short(id_)))  # whatever its suffix
    return salesforce.client().query(query, deleted=True)

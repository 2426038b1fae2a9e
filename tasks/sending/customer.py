"""The Stripe customer of an Account: found or created, never guessed, with its own address."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Account, Invoice
from invoicing.domain.model.invoice_details import Collection
from invoicing.domain.stripe import request_params
from invoicing.domain.stripe.projection import ACCOUNT_KEY, ORG_KEY, is_same_org
from invoicing.domain.stripe.resources import Customer
from invoicing.errors import Conflict, Rejected, TransientError
from invoicing.ledger import intents, links
from invoicing.ledger.intents import CREATE_CUSTOMER
from invoicing.settings import settings
from tasks.records.accounts import accounts_of_customers, follow_merges
from tasks.records.locks import ACCOUNT
from tasks.records.soql_lists import select_in
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step
from tasks.sending.one_off_email import give_back_emails, is_same_email

MAX_NAMED = 5
"""Customers that a refusal names; more than that are counted."""


@step("find or create the customer")
def ensure_customer(invoice: Invoice) -> str:
    """The Stripe customer of an invoice's Account, under the customer's own address.

    A known customer first; else one in Stripe that carries our Account id; else a new one.
    Never the Search API within its lag: https://docs.stripe.com/search#data-freshness

    Raises:
        Rejected: Stripe has customers of that address who may be the Account's.
        Conflict: the Account names another customer than its own.
    """
    account = invoice.account
    with ACCOUNT.held(account.id):
        give_back_emails(account.id)
        customer = known_customer(account)
        if customer is None:
            _check_strangers(account, _own_email(invoice))
            customer = create_customer(account, _own_email(invoice))
        email = _own_email(invoice, customer)
        if not request_params.is_in_step(customer, account, email):
            wanted = request_params.customer_params(account, email)
            stripe.client().update_customer(customer["id"], wanted)
        links.link_customer(customer["id"], account.id)
    get_run_logger().info("%s is Stripe's customer %s.", account.name, customer["id"])
    return customer["id"]


@step("look for the customer")
def check_customer(invoice: Invoice) -> None:
    """Make sure that it is known whom an invoice would be billed to: somebody, or nobody yet.

    Raises:
        Rejected: Stripe has customers of that address who may be the Account's.
    """
    account = invoice.account
    if not (links.customer_of(account.id) or account.stripe_customer_id):
        _check_strangers(account, _own_email(invoice))


def _own_email(invoice: Invoice, customer: Customer | None = None) -> str:
    """The customer's own address. A Bill To is one invoice's only, unless there is no other."""
    account = invoice.account
    if account.invoice_email or not invoice.bill_to:
        return account.invoice_email or invoice.email or ""
    return (customer and customer["email"]) or invoice.email or ""


def known_customer(account: Account) -> Customer | None:
    """The customer of an Account as the ledger knows it, else as the Account says.

    Raises:
        Conflict: they are two, or the Account names the customer of another.
    """
    if not (links.customer_of(account.id) or account.stripe_customer_id):
        follow_merges(account.id)
    ours, said = links.customer_of(account.id), account.stripe_customer_id
    if others := links.undecided_customers(account.id):
        raise Conflict(
            f"{account.name} was merged with another Account in Salesforce, which is "
            f"{' and '.join(others)} in Stripe; its own customer is {ours}. Nothing was done. Run "
            "link-customer to say which of them it is billed as."
        )
    linked = _existing(ours)
    named = linked if ours == said else _existing(said)
    if (ours or said) and not (linked or named):
        intents.reopen(CREATE_CUSTOMER, account.id)
    if linked and named and ours != said:
        raise Conflict(
            f"{account.name} is billed as Stripe's customer {ours}, but its field Stripe Customer "
            f"Id was changed to {said}. Nothing was done. Run link-customer to say which of them "
            "it is."
        )
    owner = owners_of([named]).get(named["id"], account.id) if named and not linked else account.id
    if owner != account.id:
        raise Conflict(
            f"{account.name} names Stripe's customer {said}, who is another Account's ({owner}). "
            "Nothing was done. Run link-customer to say which customer it is."
        )
    return linked or named


def _existing(customer_id: str | None) -> Customer | None:
    """A customer, if there is one; who was deleted in Stripe is forgotten."""
    customer = stripe.client().customer(customer_id) if customer_id else None
    if customer_id and customer is None:
        links.unlink_customer(customer_id)
    return customer


def _check_strangers(account: Account, email: str) -> None:
    """Refuse to make a customer beside those in Stripe who may be the Account's."""
    client = stripe.client()
    same = client.customers_by_email(email)
    if any(_names(customer, account) for customer in same):
        return
    searched = client.search_customers(email)
    found = {one["id"]: one for one in [*same, *searched] if is_same_email(one["email"], email)}
    owners = owners_of(found.values())
    strangers = [customer for id_, customer in found.items() if id_ not in owners]
    if not strangers:
        return
    named = ", ".join(map(describe, strangers[:MAX_NAMED]))
    more = f" and {len(strangers) - MAX_NAMED} more" if len(strangers) > MAX_NAMED else ""
    raise Rejected(
        f"{account.name} has no customer in Stripe, but under {email} there is already: {named}"
        f"{more}. Nothing was made. Run link-customer for {account.name}: with the id of the one "
        "that it is, or with New customer if it is none of them. Then try again."
    )


def describe(customer: Customer) -> str:
    """A customer in Stripe, for people."""
    words = {"exempt": ", exempt from tax", "reverse": ", reverse charge"}
    exempt = words.get(customer.get("tax_exempt") or "", "")
    return f"{customer['id']} ({customer.get('name') or 'without a name'}{exempt})"


def owners_of(customers: Iterable[Customer]) -> dict[str, str]:
    """The Accounts of customers, by customer: linked, or carried by the customer itself.

    An Account that was merged or deleted owns nobody.
    """
    there = {customer["id"]: customer for customer in customers}
    carried = {id_: account for id_, one in there.items() if (account := _carried_account(one))}
    owners = carried | accounts_of_customers(there)
    found = {row["Id"] for row in select_in("Account", "Id", sorted(owners.values()), ("Id",))}
    return {id_: account for id_, account in owners.items() if account in found}


def _carried_account(customer: Customer) -> str | None:
    """The Account of this org that a customer carries, because we made or linked it."""
    metadata = customer.get("metadata") or {}
    ours = is_same_org(metadata.get(ORG_KEY), settings().salesforce.org_id)
    return metadata.get(ACCOUNT_KEY) if ours else None


def _names(customer: Customer, account: Account) -> bool:
    return (customer.get("metadata") or {}).get(ACCOUNT_KEY) == account.id


def link_metadata(account: Account) -> dict[str, str]:
    """What a customer carries of the Account that it is."""
    return {ORG_KEY: settings().salesforce.org_id, ACCOUNT_KEY: account.id}


def create_customer(account: Account, email: str) -> Customer:
    """The customer that was made for an Account: now, or by a run whose answer was lost.

    Raises:
        TransientError: it was deleted in Stripe meanwhile.
    """
    client = stripe.client()
    params = request_params.new_customer_params(account, email, link_metadata(account))
    found = partial(_made_for, account, email)
    customer_id = found(datetime.now(UTC)) or intents.once(
        CREATE_CUSTOMER,
        account.id,
        digest=fingerprint(params),
        actor=run_id(),
        evidence=found,
        act=lambda key: client.create_customer(params, key)["id"],
    )
    customer = client.customer(customer_id)
    if customer is None:
        intents.reopen(CREATE_CUSTOMER, account.id)
        raise TransientError(f"The new customer {customer_id} is gone from Stripe again.")
    return customer


def _made_for(account: Account, email: str, _since: datetime) -> str | None:
    there = stripe.client().customers_by_email(email)
    return next((customer["id"] for customer in there if _names(customer, account)), None)


def check_saved_payment(invoice: Invoice, customer_id: str) -> None:
    """Make sure that a customer who is to be charged saved something to charge.

    Raises:
        Rejected: before anything is finalized.
    """
    if invoice.details.collection is Collection.CHARGE:
        _look_for_saved_payment(invoice, customer_id)


@step("look for a saved payment method")
def _look_for_saved_payment(invoice: Invoice, customer_id: str) -> None:
    customer = stripe.client().customer(customer_id)
    default = customer["invoice_settings"] if customer else None
    saved = default and default["default_payment_method"]
    if not customer or not (saved or customer.get("default_source")):
        raise Rejected(
            f"{invoice.account.name} has no payment method saved in Stripe ({customer_id}) to "
            "charge. Revise the invoice to be sent instead, or have one saved as the default."
        )

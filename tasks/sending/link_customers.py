"""Steps of linking Accounts and Stripe customers: checked together, linked one by one, reported."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from invoicing.connectors import salesforce, stripe
from invoicing.domain.forms.customer_links import LinkRequest
from invoicing.domain.forms.outcomes import LinkOutcome
from invoicing.domain.model import markdown
from invoicing.domain.model.invoice import Account
from invoicing.domain.model.wording import counted, first_of
from invoicing.domain.stripe.resources import Customer
from invoicing.errors import Rejected
from invoicing.ledger import intents, links
from invoicing.ledger.intents import CREATE_CUSTOMER
from tasks.records.accounts import read_accounts
from tasks.records.locks import ACCOUNT
from tasks.runtime.artifacts import publish_page, record_page, stripe_page
from tasks.runtime.step import step
from tasks.sending.customer import create_customer, describe, link_metadata, owners_of
from tasks.sending.one_off_email import give_back_emails

READERS = 8
"""Customers read side by side."""

MAX_REASONS_SHOWN = 5
"""Mistakes that the error itself names; the run's page names all."""


@dataclass(frozen=True, slots=True)
class CustomerLink:
    """An Account and its customer, as requested.

    Attributes:
        request: As people wrote it.
        account: The Account that it names, if there is one.
        customer: The customer that it names; None for a new one.
        problems: Everything that is wrong.
        linked: The customer that the Account is linked to in the end.
    """

    request: LinkRequest
    account: Account | None
    customer: Customer | None
    problems: tuple[str, ...] = ()
    linked: str | None = None


def what_is_asked(requests: Sequence[LinkRequest]) -> str:
    """What a run is about, for its name."""
    if len(requests) == 1:
        return f"{requests[0].account} to {requests[0].customer or 'a new customer'}"
    return counted(len(requests), "Account")


@step("check Accounts and customers")
def check_links(requests: Sequence[LinkRequest]) -> list[CustomerLink]:
    """Look everything up that was named, and say what is wrong; nothing is written."""
    accounts = read_accounts(request.account for request in requests)
    wanted = sorted({request.customer for request in requests if request.customer})
    with ThreadPoolExecutor(READERS) as pool:
        found = dict(zip(wanted, pool.map(stripe.client().customer, wanted), strict=True))
    owners = owners_of(one for one in found.values() if one)
    known = {name: one for name, one in accounts.items() if isinstance(one, Account)}
    names = Counter(known[one.account].id for one in requests if one.account in known)
    uses = Counter(request.customer for request in requests if request.customer)
    checked = []
    for request in requests:
        account, customer = known.get(request.account), found.get(request.customer or "")
        if account:
            problems = list(_problems(request, account, customer, owners))
            if names[account.id] > 1:
                problems.append(f"{account.name} is named more than once.")
        else:
            problems = [str(accounts[request.account])]
        if request.customer and uses[request.customer] > 1:
            problems.append(f"{request.customer} is named for more than one Account.")
        placed = tuple(f"{request.where}: {problem}" for problem in problems)
        checked.append(CustomerLink(request, account, customer, placed))
    return checked


def _problems(
    request: LinkRequest, account: Account, customer: Customer | None, owners: Mapping[str, str]
) -> Iterator[str]:
    if request.customer is None:
        yield from _new_problems(account)
    elif customer is None:
        yield f"Stripe has no customer {request.customer}, or it was deleted."
    else:
        owner = owners.get(customer["id"], account.id)
        if owner != account.id:
            other = read_accounts([owner])[owner]
            name = owner if isinstance(other, str) else other.name
            yield f"{describe(customer)} is {name} already, and one customer is one Account."
        currency = (customer.get("currency") or account.currency).upper()
        if currency != account.currency:
            yield (
                f"{describe(customer)} is billed in {currency} and {account.name} in "
                f"{account.currency}. Change the Account's currency, or choose another customer."
            )


def _new_problems(account: Account) -> Iterator[str]:
    if not account.invoice_email:
        yield f"{account.name} has no e-mail address for invoices; fill Invoice E-mail on it."
    linked = links.customer_of(account.id) or account.stripe_customer_id
    made = intents.find(CREATE_CUSTOMER, account.id)
    is_made_for_it = made is not None and made.outcome == linked
    if linked and not is_made_for_it and stripe.client().customer(linked):
        yield (
            f"{account.name} is billed as {linked}. Name another customer by its id, or delete "
            "that one in Stripe first."
        )


def link(checked: Sequence[CustomerLink], *, all_or_nothing: bool) -> list[CustomerLink]:
    """Link what is right, each Account once."""
    if all_or_nothing and any(one.problems for one in checked):
        return list(checked)
    return [one if one.problems else _link_or_say_why(one) for one in checked]


def _link_or_say_why(one: CustomerLink) -> CustomerLink:
    try:
        return _link(one)
    except Rejected as error:
        return replace(one, problems=(f"{one.request.where}: {error}",))


@step("link {wanted.request.account}")
def _link(wanted: CustomerLink) -> CustomerLink:
    """Link one Account: on the customer, in the ledger, on the Account."""
    account = wanted.account
    if account is None:
        return wanted
    client, mine = stripe.client(), link_metadata(account)
    with ACCOUNT.held(account.id):
        give_back_emails(account.id)
        customer = wanted.customer or create_customer(account, account.invoice_email or "")
        if not mine.items() <= (customer.get("metadata") or {}).items():
            client.update_customer(customer["id"], {"metadata": mine})
        links.link_customer(customer["id"], account.id)
        if account.stripe_customer_id != customer["id"]:
            fields = {"Stripe_Customer_Id__c": customer["id"]}
            salesforce.client().update("Account", account.id, fields)
    return replace(wanted, linked=customer["id"])


@step("publish the outcome of each row")
def publish_links(results: Sequence[CustomerLink]) -> None:
    """Attach a table to the run: what each Account is linked to."""
    columns = ("Asked for in", "Account", "Customer", "Outcome")
    publish_page(
        "link-customer",
        markdown.table(columns, map(_row, results)),
        f"The outcome of {counted(len(results), 'Account')} asked for.",
    )


def _row(one: CustomerLink) -> tuple[str, ...]:
    account = one.account
    name = markdown.link(account.name, record_page(account.id)) if account else one.request.account
    customer = one.linked or one.request.customer or "new"
    if customer.startswith("cus_"):
        customer = markdown.link(customer, stripe_page("customers", customer))
    said = "Linked." if one.linked else " ".join(one.problems) or "Not linked."
    return (one.request.where, name, customer, said)


def outcome(results: Sequence[CustomerLink]) -> LinkOutcome:
    """The outcome of a run.

    Raises:
        Rejected: nothing was linked, and why.
    """
    linked = [one for one in results if one.linked]
    reasons = [reason for one in results for reason in one.problems]
    if not linked:
        told = first_of(reasons, MAX_REASONS_SHOWN, ", all on the page link-customer of this run")
        raise Rejected(reasons, f"None of {counted(len(results), 'Account')} was linked. {told}")
    sentence = f"{counted(len(linked), 'Account')} linked."
    if len(results) == 1 and linked[0].account:
        sentence = f"{linked[0].account.name} is billed as {linked[0].linked} from now on."
    elif reasons:
        sentence += (
            f" {counted(len(results) - len(linked), 'Account')} not linked; the page "
            "link-customer of this run says why."
        )
    return LinkOutcome(
        sentence=sentence,
        linked=len(linked),
        not_linked=len(results) - len(linked),
        customers=[one.linked or "" for one in results],
        reasons=reasons,
    )

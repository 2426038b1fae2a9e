"""The Stripe customer of an Account: found or created, with the address that invoices go to."""

from datetime import UTC, datetime

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Account, Invoice
from invoicing.domain.model.invoice_details import Collection
from invoicing.domain.stripe import request_params
from invoicing.domain.stripe.projection import ACCOUNT_KEY, ORG_KEY
from invoicing.domain.stripe.resources import Customer
from invoicing.errors import Rejected, TransientError
from invoicing.ledger import intents, links
from invoicing.ledger.intents import CREATE_CUSTOMER
from invoicing.settings import settings
from tasks.records.locks import ACCOUNT
from tasks.runtime.retries import STEP
from tasks.runtime.run_page import run_id


@task(task_run_name="find or create the customer", **STEP)
def ensure_customer(account: Account, email: str) -> str:
    """The Stripe customer of an Account, with the address that the invoice goes to.

    A known customer first; else one in Stripe that carries our Account id; else a new one.
    Never the Search API within its lag: https://docs.stripe.com/search#data-freshness
    """
    with ACCOUNT.held(account.id):
        customer = _known_customer(account) or _create_customer(account, email)
        if not request_params.is_in_step(customer, account, email):
            wanted = request_params.customer_params(account, email)
            stripe.client().update_customer(customer["id"], wanted)
        links.link_customer(customer["id"], account.id)
    get_run_logger().info("%s is Stripe's customer %s.", account.name, customer["id"])
    return customer["id"]


def _known_customer(account: Account) -> Customer | None:
    for customer_id in (links.customer_of(account.id), account.stripe_customer_id):
        if customer_id:
            customer = stripe.client().customer(customer_id)
            if customer:
                return customer
            links.unlink_customer(customer_id)
            intents.reopen(CREATE_CUSTOMER, account.id)
    return None


def _create_customer(account: Account, email: str) -> Customer:
    client = stripe.client()
    mine = {ORG_KEY: settings().salesforce.org_id, ACCOUNT_KEY: account.id}
    params = request_params.new_customer_params(account, email, mine)

    def found(_since: datetime) -> str | None:
        for customer in client.customers_by_email(email):
            if (customer.get("metadata") or {}).get(ACCOUNT_KEY) == account.id:
                return customer["id"]
        return None

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


@task(task_run_name="look for a saved payment method", **STEP)
def check_saved_payment(invoice: Invoice, customer_id: str) -> None:
    """Make sure that a customer who is to be charged saved something to charge.

    Raises:
        Rejected: before anything is finalized.
    """
    if invoice.details.collection is not Collection.CHARGE:
        return
    customer = stripe.client().customer(customer_id)
    default = customer["invoice_settings"] if customer else None
    saved = default and default["default_payment_method"]
    if not customer or not (saved or customer.get("default_source")):
        raise Rejected(
            f"{invoice.account.name} has no payment method saved in Stripe ({customer_id}) to "
            "charge. Revise the invoice to be sent instead, or have one saved as the default."
        )

"""The address of one invoice, lent to its customer while it is finalized.

Stripe takes a draft's address from its customer, and an invoice's at the moment of finalization;
there is none of the invoice's own to be set. So a customer who is not the one to be asked has
another address for that moment, and its own before and after. What is lent is written down first:
if the run dies, whoever comes next gives the customer's own back. A call whose answer was lost is
repeated under its key until there is one: it would otherwise come late, over what was given back.

Source: https://docs.stripe.com/api/invoices/object (``customer_email``)
"""

from invoicing.connectors import stripe
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice
from invoicing.errors import Conflict, TransientError
from invoicing.ledger import intents, lent_emails
from invoicing.ledger.intents import GIVE_BACK, LEND
from tasks.records.locks import ACCOUNT
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step


def lend_email(stripe_id: str, invoice: Invoice, customer_id: str) -> None:
    """Let a draft have its invoice's address; the caller has the Account locked.

    Raises:
        Conflict: the customer was deleted in Stripe.
    """
    email = invoice.email or ""
    if _has_email(stripe_id, email):
        return
    give_back_emails(invoice.account.id)
    client = stripe.client()
    customer = client.customer(customer_id)
    if customer is None:
        raise Conflict(
            f"{invoice.name} was not sent: its customer {customer_id} was deleted in Stripe."
        )
    lent_emails.lend(customer_id, invoice.account.id, own=customer["email"], lent=email)
    intents.reopen(GIVE_BACK, customer_id, run_id())
    intents.reopen(LEND, customer_id, run_id())
    _set_email(LEND, customer_id, email)
    if not _has_email(stripe_id, email):
        raise TransientError(f"Stripe still has another e-mail address on the draft {stripe_id}.")


def _set_email(operation: str, customer_id: str, email: str) -> None:
    def act(key: str) -> str:
        stripe.client().update_customer(customer_id, {"email": email}, key)
        return customer_id  # the outcome is kept for ever, so it is no address

    intents.once(
        operation,
        customer_id,
        digest=fingerprint(email),
        actor=run_id(),
        evidence=lambda _since: None,
        act=act,
    )


def _has_email(stripe_id: str, email: str) -> bool:
    draft = stripe.client().invoice(stripe_id)
    if draft is None or draft["status"] != "draft":
        return True
    return is_same_email(draft["customer_email"], email)


def is_same_email(one: str | None, other: str | None) -> bool:
    """Whether two addresses are one, whatever their case."""
    return (one or "").casefold() == (other or "").casefold()


def give_back_emails(account_id: str) -> None:
    """Give the customers of an Account their own addresses back; the caller has it locked.

    What somebody has set since then stays.
    """
    for loan in lent_emails.lent(account_id):
        customer = stripe.client().customer(loan.customer_id)
        lending = intents.find(LEND, loan.customer_id)
        in_doubt = lending is not None and lending.outcome is None and not lending.refused
        if customer and (in_doubt or is_same_email(customer["email"], loan.lent)):
            own = loan.own if is_same_email(customer["email"], loan.lent) else customer["email"]
            if in_doubt:
                _set_email(LEND, loan.customer_id, loan.lent)
            _set_email(GIVE_BACK, loan.customer_id, own or "")
        lent_emails.given_back(loan.customer_id)


@step("give lent addresses back")
def give_back_all_emails() -> None:
    """Give back what runs that died have left: each Account that nobody works on."""
    accounts = lent_emails.accounts()
    with ACCOUNT.held_if_free(accounts) as busy:
        for account_id in accounts:
            if account_id not in busy:
                give_back_emails(account_id)

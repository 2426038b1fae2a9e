"""Bank debits, which are under way for minutes in test mode, and payments made elsewhere."""

from typing import Any

from tests.real.experiment import Observed, experiment
from tests.real.stripe_account import Account, attempt, figures

PATIENCE_SECONDS = 600
"""A delayed test debit takes three minutes."""


def _debited(account: Account, customer: str, token: str) -> Any:
    method = account.card(customer, token)
    invoice = account.open(customer, 10_000, currency="eur")
    return account.v1.invoices.pay(invoice.id, {"payment_method": method})


def _until_over(account: Account, invoice: Any) -> Any:
    """The payment intent of an invoice, once its debit has come to an end."""
    [name] = account.intents(invoice.id)

    def over() -> bool:
        return bool(account.v1.payment_intents.retrieve(name).status != "processing")

    account.until(over, PATIENCE_SECONDS)
    return account.v1.payment_intents.retrieve(name)


@experiment
def debit_under_way(account: Account) -> Observed:
    """Meanwhile nothing else is done; the charge is not paid, and charge.pending tells of it."""
    customer = account.customer()
    invoice = _debited(account, customer, "pm_successDelayed_de")
    card = account.card(customer)
    [name] = account.intents(invoice.id)
    intent = account.v1.payment_intents.retrieve(name, {"expand": ["latest_charge"]})
    charge, invoices = intent.latest_charge, account.v1.invoices
    told = account.events(customer, "charge.pending")
    meanwhile = {
        "invoice": figures(invoice),
        "attempts": invoice.attempt_count,
        "payment": intent.status,
        "charge": [charge.status, charge.paid, charge.captured, charge.balance_transaction],
        "told": [type_ for type_ in told if type_.startswith(("charge.", "payment_intent."))],
        "paid by card": attempt(lambda: invoices.pay(invoice.id, {"payment_method": card})),
        "paid out of band": attempt(lambda: invoices.pay(invoice.id, {"paid_out_of_band": True})),
        "voided": attempt(lambda: invoices.void_invoice(invoice.id)),
    }
    ended = _until_over(account, invoice).status
    after = {"payment": ended, "invoice": figures(invoices.retrieve(invoice.id))}
    return {"meanwhile": meanwhile, "afterwards": after}


@experiment
def payment_record_beside_a_debit(account: Account) -> Observed:
    """A payment attached meanwhile settles the invoice, and the debit becomes a credit."""
    customer = account.customer()
    invoice = _debited(account, customer, "pm_successDelayed_de")
    record = account.record(10_000, "eur", customer).id
    attached = attempt(
        lambda: account.v1.invoices.attach_payment(invoice.id, {"payment_record": record})
    )
    meanwhile = figures(account.v1.invoices.retrieve(invoice.id))
    return {
        "attached": attached,
        "meanwhile": meanwhile,
        "payment": _until_over(account, invoice).status,
        "afterwards": figures(account.v1.invoices.retrieve(invoice.id)),
        "balance": account.moves(customer),
    }


@experiment
def debit_that_fails(account: Account) -> Observed:
    """A debit counts when it is submitted, its failure not; the payment is tried again."""
    customer = account.customer()
    invoice = _debited(account, customer, "pm_failedDelayed_de")
    intent = _until_over(account, invoice)
    failed = account.v1.invoices.retrieve(invoice.id)
    return {
        "attempts meanwhile": invoice.attempt_count,
        "attempts afterwards": failed.attempt_count,
        "invoice": figures(failed),
        "payment": intent.status,
        "failure": intent.last_payment_error and intent.last_payment_error.code,
        "charged again": attempt(
            lambda: account.v1.invoices.pay(invoice.id, {"payment_method": account.card(customer)})
        ),
        "by the same payment": account.intents(invoice.id) == [intent.id],
        "invoice in the end": figures(account.v1.invoices.retrieve(invoice.id)),
    }


@experiment
def payment_record_of_nobody(account: Account) -> Observed:
    """A payment without a customer can be attached to anybody's invoice, and another's too."""
    customer, other = account.customer(), account.customer()

    def attach(record: Any) -> dict[str, Any]:
        invoice = account.open(customer, 10_000)
        order = {"payment_record": record.id}
        said = attempt(lambda: account.v1.invoices.attach_payment(invoice.id, order))
        return {"attached": said, "invoice": figures(account.v1.invoices.retrieve(invoice.id))}

    return {
        "of nobody": attach(account.record(10_000)),
        "of the customer": attach(account.record(10_000, customer=customer)),
        "of another customer": attach(account.record(10_000, customer=other)),
        "in another currency": attach(account.record(10_000, "eur", customer)),
    }


@experiment
def payment_records_by_time(account: Account) -> Observed:
    """created_after and created_before leave out the moment itself."""
    record = account.record(10_000)

    def found(**when: int) -> bool:
        listed = account.v1.payment_records.list({"limit": 100, **when}).data
        return any(each.id == record.id for each in listed)

    return {
        "after the second before": found(created_after=record.created - 1),
        "after its own second": found(created_after=record.created),
        "before its own second": found(created_before=record.created),
        "before the second after": found(created_before=record.created + 1),
    }

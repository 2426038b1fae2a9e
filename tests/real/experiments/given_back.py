"""Credit notes, refunds and disputes."""

from typing import Any

from tests.real.experiment import Observed, experiment
from tests.real.stripe_account import Account, attempt, figures


def _credit(account: Account, invoice: Any, **params: Any) -> str:
    return attempt(lambda: account.v1.credit_notes.create({"invoice": invoice.id, **params}))


@experiment
def credit_of_a_line(account: Account) -> Observed:
    """Of a line no more is credited than is left; an amount counts against no line."""
    customer = account.customer()
    invoice = account.open(customer, 10_000, 20_000)
    lines = account.v1.invoices.line_items.list(invoice.id).data
    [line] = [each.id for each in lines if each.amount == 10_000]

    def by_line(amount: int) -> str:
        entry = {"type": "invoice_line_item", "invoice_line_item": line, "amount": amount}
        return _credit(account, invoice, lines=[entry])

    return {
        "60 of 100": by_line(6_000),
        "60 of the 40 left": by_line(6_000),
        "an amount of 100": _credit(account, invoice, amount=10_000),
        "the 40 left": by_line(4_000),
        "invoice": figures(account.v1.invoices.retrieve(invoice.id)),
    }


@experiment
def refund_linked_by_credit_notes(account: Account) -> Observed:
    """A refund is linked up to its amount, and only by notes of the invoice it was made for."""
    customer = account.customer()
    invoice, other = (account.paid(customer, 10_000) for _ in range(2))
    [intent] = account.intents(invoice.id)
    refund = account.v1.refunds.create({"payment_intent": intent, "amount": 3_000})

    def link(to: Any, amount: int) -> str:
        part = {"refund": refund.id, "amount_refunded": amount}
        return _credit(account, to, amount=amount, refunds=[part])

    return {
        "10 of 30": link(invoice, 1_000),
        "by a note of another invoice": link(other, 1_000),
        "21 of the 20 left": link(invoice, 2_100),
        "the 20 left": link(invoice, 2_000),
        "credited": account.v1.invoices.retrieve(invoice.id).post_payment_credit_notes_amount,
    }


@experiment
def refund_of_two_payments(account: Account) -> Observed:
    """A credit note refunds the newest payment first, then the one before."""
    customer = account.customer()
    card = account.card(customer)
    invoice = account.open(customer, 10_000)
    terms = {
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "confirm": True,
        "currency": "usd",
        "customer": customer,
        "off_session": True,
        "payment_method": card,
    }
    made = []
    for amount in (3_000, 7_000):
        intent = account.v1.payment_intents.create({"amount": amount, **terms})
        account.v1.invoices.attach_payment(invoice.id, {"payment_intent": intent.id})
        made.append(intent.id)
    credited = _credit(account, invoice, amount=8_000, refund_amount=8_000)

    def refunded(intent: str) -> list[int]:
        return [each.amount for each in account.v1.refunds.list({"payment_intent": intent}).data]

    return {
        "invoice": figures(account.v1.invoices.retrieve(invoice.id)),
        "credited": credited,
        "refunds of the first": refunded(made[0]),
        "refunds of the second": refunded(made[1]),
    }


@experiment
def credit_with_automatic_tax(account: Account) -> Observed:
    """An amount can be credited where Stripe works the tax out; a line of one's own cannot."""
    address = {"line1": "Friedrichstr. 1", "city": "Berlin", "postal_code": "10117"}
    customer = account.customer(address=address | {"country": "DE"})
    invoice = account.open(customer, 10_000, automatic_tax={"enabled": True})
    own = {"type": "custom_line_item", "description": "Sorry", "quantity": 1, "unit_amount": 100}
    return {
        "an amount": _credit(account, invoice, amount=1_000),
        "a line of one's own": _credit(account, invoice, lines=[own]),
    }


@experiment
def disputed_charge(account: Account) -> Observed:
    """A charge under dispute cannot be refunded, and no credit note refunds it."""
    customer = account.customer()
    invoice = account.paid(customer, 10_000, method="pm_card_createDispute", currency="eur")
    [intent] = account.intents(invoice.id)

    def disputes() -> list[Any]:
        return list(account.v1.disputes.list({"payment_intent": intent}).data)

    account.until(disputes)
    return {
        "invoice": figures(account.v1.invoices.retrieve(invoice.id)),
        "disputes": [[each.status, each.amount, each.currency] for each in disputes()],
        "refunded": attempt(lambda: account.v1.refunds.create({"payment_intent": intent})),
        "credited": _credit(account, invoice, amount=1_000, refund_amount=1_000),
    }


@experiment
def lost_dispute(account: Account) -> Observed:
    """The invoice stays paid, and a credit note out of band is accepted."""
    customer = account.customer()
    invoice = account.paid(customer, 10_000, method="pm_card_createDispute")
    [intent] = account.intents(invoice.id)
    disputes = account.v1.disputes

    def found(*states: str) -> list[Any]:
        listed = disputes.list({"payment_intent": intent}).data
        return [each for each in listed if not states or each.status in states]

    [dispute] = account.until(found)
    disputes.close(dispute.id)
    account.until(lambda: found("lost"))
    return {
        "disputes": [each.status for each in found()],
        "invoice": figures(account.v1.invoices.retrieve(invoice.id)),
        "credited out of band": _credit(account, invoice, amount=10_000, out_of_band_amount=10_000),
    }

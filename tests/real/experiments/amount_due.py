"""What a customer is asked for: bounds, balances, discounts, revisions."""

from typing import Any

from tests.real.experiment import Observed, experiment
from tests.real.stripe_account import MARK, Account, attempt, figures


def _balance(account: Account, customer: str, amount: int) -> None:
    account.v1.customers.balance_transactions.create(
        customer, {"amount": amount, "currency": "usd"}
    )


@experiment
def below_the_minimum(account: Account) -> Observed:
    """0.30 USD are due on the draft; finalized it is paid, the sum is owed, and stays owed."""
    customer = account.customer()
    draft = account.draft(customer, 30)
    return {
        "draft": figures(draft),
        "finalized": figures(account.finalize(draft.id)),
        "balance": account.moves(customer),
        "sent": attempt(lambda: account.v1.invoices.send_invoice(draft.id)),
        "told of its sending": "invoice.sent" in account.events(customer, "invoice.sent"),
        "voided": attempt(lambda: account.v1.invoices.void_invoice(draft.id)),
        "balance in the end": account.moves(customer),
    }


@experiment
def below_the_minimum_of_a_charge(account: Account) -> Observed:
    """The same with automatic charges: 0.30 USD are not charged, and are owed."""
    customer = account.customer()
    card = account.card(customer)
    method = {"collection_method": "charge_automatically", "default_payment_method": card}
    invoice = account.open(customer, 30, **method)
    return {"finalized": figures(invoice), "balance": account.moves(customer)}


@experiment
def above_the_maximum(account: Account) -> Observed:
    """999,999.99 USD can be asked for; a million is paid by itself, and owed."""
    customer = account.customer()
    return {
        "the most": figures(account.open(customer, 99_999_999)),
        "one more": figures(account.open(customer, 100_000_000)),
        "balance": account.moves(customer),
    }


@experiment
def credit_that_leaves_too_little(account: Account) -> Observed:
    """Of 100.00 a credit takes 99.80; the rest is too little, and moves the balance again."""
    customer = account.customer()
    _balance(account, customer, -9_980)
    draft = account.draft(customer, 10_000)
    return {
        "draft": figures(draft),
        "finalized": figures(account.finalize(draft.id)),
        "balance": account.moves(customer),
    }


@experiment
def minimum_of_each_currency(account: Account) -> Observed:
    """0.30 EUR are too little, 0.30 GBP are enough; the riyal has no minimum."""
    amounts = {"eur": 30, "gbp": 30, "jpy": 49, "sar": 1}
    return {
        f"{amount} {currency}": figures(account.open(account.customer(), amount, currency=currency))
        for currency, amount in amounts.items()
    }


@experiment
def negative_total(account: Account) -> Observed:
    """-10.00 is paid at once, and goes onto the balance as a credit."""
    customer = account.customer()
    invoice = account.open(customer, -1_000)
    return {"finalized": figures(invoice), "balance": account.moves(customer)}


@experiment
def balance_of_a_customer_without_invoices(account: Account) -> Observed:
    """A balance given and changed makes two transactions, in the account's own currency."""
    customer = account.customer(balance=700)
    changed = account.v1.customers.update(customer, {"balance": 200})
    own = account.v1.accounts.retrieve_current().default_currency
    return {
        "in the account's currency": changed.currency == own,
        "balance": account.moves(customer),
    }


@experiment
def events_of_a_balance(account: Account) -> Observed:
    """A balance that a call or an invoice moves sends a customer.updated, as a new name does."""
    customer = account.customer()
    _balance(account, customer, 500)
    account.open(customer, 10_000)
    account.v1.customers.update(customer, {"name": f"{MARK} {MARK}"})
    return {"events": account.events(customer, "customer.updated")}


@experiment
def percent_on_the_whole(account: Account) -> Observed:
    """50 % off three lines of 0.33 and one of 1.00 is rounded on each line."""
    terms = {"percent_off": 50, "duration": "once", "name": MARK}
    coupon = account.v1.coupons.create(terms).id
    draft = account.draft(account.customer(), 33, 33, 33, 100, discounts=[{"coupon": coupon}])
    lines = account.v1.invoices.line_items.list(draft.id).data
    discounts = sorted(sum(part.amount for part in line.discount_amounts) for line in lines)
    return {"total": draft.total, "discounts of the lines": discounts}


@experiment
def revision_and_balance(account: Account) -> Observed:
    """A revision asks for the debt that its original took, and voids it once it is finalized."""
    customer = account.customer()
    _balance(account, customer, 50_000)
    original = account.open(customer, 10_000)
    draft = account.revise(original.id)
    return {
        "draft": figures(draft),
        "finalized": figures(account.finalize(draft.id)),
        "original": account.v1.invoices.retrieve(original.id).status,
        "balance": account.moves(customer),
    }


@experiment
def two_revisions_of_one(account: Account) -> Observed:
    """A second revision may be begun beside the first."""
    original = account.open(account.customer(), 10_000)
    return {name: attempt(lambda: account.revise(original.id)) for name in ("first", "second")}


@experiment
def revision_of_what_is_paid_in_part(account: Account) -> Observed:
    """An invoice of which a part was paid can be revised; what then happens is listed."""
    customer = account.customer()
    original = account.open(customer, 10_000)
    account.v1.invoices.attach_payment(
        original.id, {"payment_record": account.record(4_000, customer=customer).id}
    )
    draft = account.revise(original.id)
    return {
        "draft": figures(draft),
        "finalized": attempt(lambda: account.finalize(draft.id)),
        "revision": figures(account.v1.invoices.retrieve(draft.id)),
        "original": figures(account.v1.invoices.retrieve(original.id)),
    }


@experiment
def parameters_of_a_revision(account: Account) -> Observed:
    """A revision takes what an invoice takes, except customer and currency."""
    customer = account.customer()
    original = account.open(customer, 10_000)
    terms = {"percent_off": 10, "duration": "once", "name": MARK}
    coupon = account.v1.coupons.create(terms).id
    month = original.created + 30 * 24 * 3600
    tried: dict[str, Any] = {
        "customer": customer,
        "currency": "usd",
        "collection_method": "send_invoice",
        "custom_fields": [{"name": "PO", "value": "1"}],
        "description": "Memo",
        "discounts": [{"coupon": coupon}],
        "due_date": month,
        "footer": "Footer",
        "metadata": {"key": "value"},
    }

    def once(name: str, value: Any) -> None:
        made = account.revise(original.id, **{name: value})
        account.v1.invoices.delete(made.id)

    def outcome(name: str, value: Any) -> str:
        return attempt(lambda: once(name, value))

    return {name: outcome(name, value) for name, value in tried.items()}


@experiment
def lines_in_one_call(account: Account) -> Observed:
    """250 lines are added in one call, and no invoice has more."""
    draft = account.draft(account.customer())
    lines = [{"amount": 100, "description": "Hour"}] * 250

    def add(some: list[dict[str, Any]]) -> str:
        return attempt(lambda: account.add_lines(draft.id, some))

    return {
        "251 at once": add([*lines, lines[0]]),
        "250 at once": add(lines),
        "one more": add(lines[:1]),
        "total": account.v1.invoices.retrieve(draft.id).total,
    }

"""What a customer is asked for: the balance from before, and amounts too small to charge."""

from collections.abc import Callable

import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]


def moves(live: stripe.StripeClient, customer: stripe.Customer) -> list[tuple[str, int, int]]:
    """What happened to a customer's balance, oldest first: kind, amount, balance afterwards."""
    found = live.v1.customers.balance_transactions.list(customer.id, {"limit": 100}).data
    return [(str(move.type), move.amount, move.ending_balance) for move in found][::-1]


def owes(live: stripe.StripeClient, customer: stripe.Customer, amount: int) -> None:
    """Let a customer owe an amount, or have it to its credit if it is negative."""
    live.v1.customers.balance_transactions.create(
        customer.id, {"amount": amount, "currency": "usd"}
    )


def test_an_old_debt_is_asked_for_with_the_next_invoice(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """500.00 from before and 100.00 now: the draft shows 600.00 at once, and 600.00 is due."""
    draft = make_draft()
    owes(live, customer, 50_000)
    draft = live.v1.invoices.retrieve(draft.id)
    assert (draft.total, draft.starting_balance, draft.amount_due) == (10_000, 50_000, 60_000)
    assert draft.ending_balance is None
    invoice = live.v1.invoices.finalize_invoice(draft.id)
    assert (invoice.total, invoice.amount_due, invoice.amount_remaining) == (10_000, 60_000, 60_000)
    assert (invoice.starting_balance, invoice.ending_balance) == (50_000, 0)
    assert moves(live, customer) == [
        ("adjustment", 50_000, 50_000),
        ("applied_to_invoice", -50_000, 0),
    ]


def test_a_credit_covers_an_invoice_whole(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """Of a credit of 150.00, 100.00 are used, nothing is due, and the invoice is paid at once."""
    owes(live, customer, -15_000)
    draft = make_draft()
    assert (draft.amount_due, draft.starting_balance) == (0, -15_000)
    invoice = live.v1.invoices.finalize_invoice(draft.id)
    assert (invoice.status, invoice.amount_due, invoice.amount_paid) == ("paid", 0, 0)
    assert (invoice.starting_balance, invoice.ending_balance) == (-15_000, -5_000)
    assert moves(live, customer)[-1] == ("applied_to_invoice", 10_000, -5_000)


def test_each_move_of_a_balance_is_told(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """By an event of the customer, with the balance from before."""
    owes(live, customer, -15_000)
    live.v1.invoices.finalize_invoice(make_draft().id)
    events = live.v1.events.list({"type": "customer.updated"}).data[::-1]
    told = [event.to_dict()["data"] for event in events]
    assert [
        (data["previous_attributes"]["balance"], data["object"]["balance"]) for data in told
    ] == [(0, -15_000), (-15_000, -5_000)]


@pytest.mark.parametrize("amount", [10_000, 30])
def test_no_payment_has_succeeded_where_nothing_is_charged(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft, amount: int
) -> None:
    """Because a credit covers it, or because it is too little: the invoice is paid all the same."""
    if amount > 50:
        owes(live, customer, -amount)
    live.v1.invoices.finalize_invoice(make_draft(amount).id)
    types = {event.type for event in live.v1.events.list({"limit": 100}).data}
    assert types & {"invoice.paid", "invoice.payment_succeeded"} == {"invoice.paid"}


@pytest.mark.parametrize(("currency", "amount"), [("usd", 49), ("gbp", 29), ("jpy", 49)])
def test_too_little_to_charge_goes_onto_the_next_invoice(
    live: stripe.StripeClient,
    customer: stripe.Customer,
    make_draft: MakeDraft,
    currency: str,
    amount: int,
) -> None:
    """An invoice below the minimum is paid by itself, and what it was about is owed."""
    invoice = live.v1.invoices.finalize_invoice(make_draft(amount, currency).id)
    assert (invoice.status, invoice.total) == ("paid", amount)
    assert (invoice.amount_due, invoice.amount_paid, invoice.amount_remaining) == (0, 0, 0)
    assert (invoice.starting_balance, invoice.ending_balance) == (0, amount)
    assert moves(live, customer) == [("invoice_too_small", amount, amount)]
    assert make_draft(10_000, currency).amount_due == 10_000 + amount


def test_too_much_to_charge_goes_onto_the_next_invoice(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """999,999.99 USD can be asked for; a million is paid by itself, and owed."""
    most = live.v1.invoices.finalize_invoice(make_draft(99_999_999).id)
    assert (most.status, most.amount_due) == ("open", 99_999_999)
    invoice = live.v1.invoices.finalize_invoice(make_draft(100_000_000).id)
    assert (invoice.status, invoice.amount_due, invoice.amount_paid) == ("paid", 0, 0)
    assert moves(live, customer) == [("invoice_too_large", 100_000_000, 100_000_000)]


@pytest.mark.parametrize(("amount", "code"), [(49, "too_small"), (100_000_000, "too_large")])
def test_a_payment_has_its_bounds_too(live: stripe.StripeClient, amount: int, code: str) -> None:
    """A payment intent below the minimum or above the maximum is refused."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.payment_intents.create({"amount": amount, "currency": "usd"})
    assert refusal.value.code == f"amount_{code}"


def test_the_minimum_is_enough(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """0.50 USD can be asked for."""
    invoice = live.v1.invoices.finalize_invoice(make_draft(50).id)
    assert (invoice.status, invoice.amount_due) == ("open", 50)


def test_a_credit_that_leaves_too_little(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """100.00 against a credit of 99.80: the 0.20 are owed, not asked for."""
    owes(live, customer, -9_980)
    invoice = live.v1.invoices.finalize_invoice(make_draft().id)
    assert (invoice.status, invoice.amount_due, invoice.ending_balance) == ("paid", 0, 20)
    assert live.v1.customers.retrieve(customer.id).balance == 20


def test_a_voided_invoice_gives_the_balance_back(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """The debt that an invoice asked for is owed again once the invoice is void."""
    owes(live, customer, 50_000)
    invoice = live.v1.invoices.finalize_invoice(make_draft().id)
    live.v1.invoices.void_invoice(invoice.id)
    assert moves(live, customer)[-1] == ("unapplied_from_invoice", 50_000, 50_000)


def test_a_revision_asks_for_the_balance_of_its_original(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """The debt that the original took is asked for by the revision, once."""
    owes(live, customer, 50_000)
    original = live.v1.invoices.finalize_invoice(make_draft().id)
    draft = live.v1.invoices.create(
        {"from_invoice": {"action": "revision", "invoice": original.id}}
    )
    assert (draft.starting_balance, draft.amount_due) == (50_000, 60_000)
    revision = live.v1.invoices.finalize_invoice(draft.id)
    assert (revision.amount_due, revision.ending_balance) == (60_000, 0)
    assert live.v1.invoices.retrieve(original.id).status == "void"
    assert live.v1.customers.retrieve(customer.id).balance == 0


def test_a_balance_in_another_currency_is_left_alone(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """A debt in dollars is not asked for with an invoice in euros."""
    owes(live, customer, 50_000)
    assert make_draft(10_000, "eur").amount_due == 10_000


def test_each_currency_has_its_balance(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """Who owes dollars and euros is asked for each with an invoice in it."""
    owes(live, customer, 50_000)
    live.v1.customers.balance_transactions.create(customer.id, {"amount": 700, "currency": "eur"})
    assert live.v1.customers.retrieve(customer.id).balance == 50_000
    euros = live.v1.invoices.finalize_invoice(make_draft(10_000, "eur").id)
    assert (euros.amount_due, euros.starting_balance, euros.ending_balance) == (10_700, 700, 0)
    small = live.v1.invoices.finalize_invoice(make_draft(20, "eur").id)
    assert (small.status, small.ending_balance) == ("paid", 20)
    assert make_draft().amount_due == 60_000
    told = live.v1.customers.retrieve(customer.id, {"expand": ["invoice_credit_balance"]})
    assert told.invoice_credit_balance
    assert told.invoice_credit_balance.to_dict() == {"usd": -50_000, "eur": -20}


def test_a_balance_set_on_the_customer_is_on_record(live: stripe.StripeClient) -> None:
    """A balance given when a customer is made, and its change, are transactions too."""
    customer = live.v1.customers.create({"email": "old@globex.example", "balance": 700})
    live.v1.customers.update(customer.id, {"balance": 200})
    assert moves(live, customer) == [("initial", 700, 700), ("adjustment", -500, 200)]


def test_an_overpayment_is_the_customers_credit(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """150.00 paid on 100.00: the 50.00 come off the next invoice."""
    invoice = live.v1.invoices.finalize_invoice(make_draft().id)
    intent = live.v1.payment_intents.create(
        {
            "amount": 15_000,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": "pm_card_visa",
            "confirm": True,
        }
    )
    paid = live.v1.invoices.attach_payment(invoice.id, {"payment_intent": intent.id})
    assert (paid.status, paid.amount_paid, paid.amount_overpaid) == ("paid", 10_000, 5_000)
    assert moves(live, customer) == [("invoice_overpaid", -5_000, -5_000)]
    assert make_draft().amount_due == 5_000

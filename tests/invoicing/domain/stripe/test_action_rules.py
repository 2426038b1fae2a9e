"""What may be done after sending, in currencies of no, two and three decimals."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from invoicing.domain.forms.parameters import CreditLine
from invoicing.domain.model.invoice import Line
from invoicing.domain.model.status import Status
from invoicing.domain.stripe.action_rules import (
    ALLOWED_STATUSES,
    RESULTING_STATUS,
    InvoiceAction,
    InvoiceState,
    action_problems,
    amount_problems,
    invoice_state,
    payment_problems,
)
from invoicing.domain.stripe.credit_notes import Credit, CreditRequest, plan_credit
from invoicing.domain.stripe.payment_facts import MoneyBack, PaymentName

TODAY = date(2026, 11, 23)
LINES = (Line(key="a", position=1, description="Days", quantity=Decimal(3), unit_price=Decimal(7)),)


def sent_invoice(status: str = "open", currency: str = "usd", **facts: Any) -> InvoiceState:
    """An invoice over 2,100 minor units, of which nothing is paid unless said so."""
    invoice: Any = {
        "id": "in_1",
        "status": status,
        "currency": currency,
        "total": 2100,
        "amount_paid": 0,
        "amount_overpaid": 0,
        "payments": None,
        "pre_payment_credit_notes_amount": 0,
        "post_payment_credit_notes_amount": 0,
        "amount_remaining": 2100,
        "customer_email": "pay@example.com",
        "customer": "cus_1",
        **facts,
    }
    return invoice_state(
        "a00", "INV-1", "Acme", LINES, currency=currency, status=Status.DRAFT, invoice=invoice
    )


def came_in(amount: int) -> dict[str, Any]:
    """What the planning of a credit is told of a card payment, nothing of which went back."""
    paid = {PaymentName("payment_intent", "pi_1"): amount}
    return {"money_back": MoneyBack("usd", paid), "zone": ZoneInfo("UTC")}


@pytest.mark.parametrize("act", InvoiceAction)
@pytest.mark.parametrize("status", [s for s in Status if s is not Status.DELETED])
def test_an_act_is_allowed_or_says_what_can_be_done_instead(
    act: InvoiceAction, status: Status
) -> None:
    """In every state: nothing, or one sentence about the state and one about what to do."""
    problems = list(action_problems(act, sent_invoice(status.lower())))
    if status in ALLOWED_STATUSES[act]:
        assert problems == []
    else:
        [sentence] = problems
        assert sentence.startswith(f"INV-1 is {status} and cannot be {act}. ")
        assert len(sentence.split(". ")[1]) > 10


def test_money_that_came_in_twice_is_sent_back_without_a_credit_note() -> None:
    """A credit note would lower what was billed, and the money that came in once pays for."""
    [sentence] = payment_problems(sent_invoice("paid", amount_remaining=0), None, TODAY, TODAY)
    assert "send it back" in sentence
    assert "needs no credit note" in sentence


def test_what_an_act_comes_to_is_never_where_it_begins() -> None:
    """Else it would be done again and again."""
    assert all(state not in ALLOWED_STATUSES[act] for act, state in RESULTING_STATUS.items())


@pytest.mark.parametrize(
    ("amount", "currency", "problem"),
    [
        ("100", "JPY", None),
        ("100.5", "JPY", "more decimals than JPY"),
        ("0.01", "USD", None),
        ("0.001", "USD", "more decimals than USD"),
        ("1.230", "KWD", None),
        ("1.234", "KWD", "goes in steps of 0.010 KWD"),
        ("5", "ISK", None),
        ("5.50", "ISK", "goes in steps of 1.00 ISK"),
        ("0", "EUR", "above zero"),
        ("-3", "EUR", "above zero"),
    ],
)
def test_amounts_are_what_the_currency_has(amount: str, currency: str, problem: str | None) -> None:
    """Nothing is rounded in silence."""
    found = " ".join(amount_problems(Decimal(amount), currency))
    assert (problem is None and not found) or (problem or "-") in found


@pytest.mark.parametrize(("currency", "whole"), [("jpy", "2100"), ("usd", "21"), ("kwd", "2.1")])
def test_no_more_is_paid_than_remains(currency: str, whole: str) -> None:
    """The whole is right; a minor unit more is not."""
    state = sent_invoice(currency=currency)
    assert list(payment_problems(state, Decimal(whole), TODAY, TODAY)) == []
    [problem] = payment_problems(state, Decimal(whole) * 2, TODAY, TODAY)
    assert problem.startswith("Only ")


def test_a_credit_first_lowers_what_remains() -> None:
    """Of 21 dollars 15 are paid: a credit of 10 takes 6 off and gives 4 back."""
    state = sent_invoice(amount_paid=1500, amount_remaining=600)
    request = CreditRequest(amount=Decimal(10), give_back="customer balance")
    credit, problems = plan_credit(state, request, stripe_lines=[], **came_in(1500))
    assert problems == []
    assert (credit.off.minor, credit.back.minor) == (600, 400)
    assert credit.describe("customer balance") == (
        "10.00 USD credited (6.00 USD need not be paid, 4.00 USD put on the customer's balance)"
    )


def test_a_credit_requested_before_an_upgrade_is_the_same_after_it() -> None:
    """The ledger keeps a digest of this text: with another one, it would be another request."""
    assert repr(CreditRequest(Decimal(10), (CreditLine(line=1),), "refund", memo="Late")) == (
        "CreditWish(amount=Decimal('10'), lines=(CreditLine(line=1, quantity=None, amount=None),), "
        "give_back='refund', reason='other', memo='Late', mail=True)"
    )


def test_what_a_dispute_holds_is_not_refunded_where_a_cheque_paid_the_rest() -> None:
    """Of 21 dollars 10 came by card, and the bank holds 5 of them: 5 can be refunded, not 8."""
    state = sent_invoice("paid", amount_paid=2100, amount_remaining=0)
    card = PaymentName("payment_intent", "pi_1")
    dispute: Any = {
        "amount": 500,
        "currency": "usd",
        "payment_intent": card.id,
        "charge": None,
        "status": "needs_response",
    }
    back = MoneyBack("usd", {card: 1000}, disputes=[dispute])
    request = CreditRequest(amount=Decimal(8), give_back="refund")
    _, [problem] = plan_credit(
        state, request, stripe_lines=[], money_back=back, zone=ZoneInfo("UTC")
    )
    assert "can refund 5.00 USD of it, and cannot refund 8.00 USD" in problem


def test_what_is_left_after_earlier_credits_is_the_whole() -> None:
    """A credit without an amount and without lines."""
    state = sent_invoice(
        "paid", amount_paid=2100, amount_remaining=0, post_payment_credit_notes_amount=2000
    )
    credit, problems = plan_credit(
        state, CreditRequest(give_back="refund"), stripe_lines=[], **came_in(2100)
    )
    assert (problems, credit.total.minor) == ([], 100)


def test_lines_are_found_by_our_key_or_by_stripes() -> None:
    """Ours carry our key; those of the dashboard are known by their id."""
    theirs: Any = {
        "id": "il_1",
        "amount": 2100,
        "discount_amounts": [],
        "metadata": {"salesforce_line_key": "a"},
        "taxes": [],
    }
    request = CreditRequest(lines=(CreditLine(line=1, quantity=Decimal(2)),))
    credit, problems = plan_credit(sent_invoice(), request, stripe_lines=[theirs], **came_in(0))
    assert (problems, credit.total.minor) == ([], 1400)
    assert credit.lines[0]["invoice_line_item"] == "il_1"


@pytest.mark.parametrize(
    ("currency", "price", "quantity", "said"),
    [
        ("isk", 100, "0.333", "33.30 ISK is not possible; ISK goes in steps of 1.00 ISK"),
        ("kwd", 1, "0.005", "0.005 KWD is not possible; KWD goes in steps of 0.010 KWD"),
        ("jpy", 100, "0.001", "The amount must be above zero"),
        ("usd", 1, "0.001", "The amount must be above zero"),
    ],
)
def test_a_part_of_a_line_is_what_the_currency_has(
    currency: str, price: int, quantity: str, said: str
) -> None:
    """A third of a hundred krónur is 33.30, which nobody can be given back."""
    credit = credit_of_line(currency, price, quantity)
    assert any(said in problem for problem in credit[1]), credit


def test_the_tax_on_a_part_is_what_the_currency_has() -> None:
    """24 % of 999 krónur are 239.76: Stripe charges whole krónur, so 240 go back."""
    credit, problems = credit_of_line("isk", 999, "1", tax=71900)
    assert (problems, credit.total.minor) == ([], 99900 + 24000)


def test_a_line_that_takes_something_off_is_not_credited_alone() -> None:
    """That would ask the customer for more."""
    [problem] = credit_of_line("usd", -7, None)[1]
    assert problem == "The lines that are named come to -21.00 USD; there is nothing to credit."


def credit_of_line(
    currency: str, price: int, quantity: str | None, tax: int = 0
) -> tuple[Credit, list[str]]:
    """A credit of some of three units, with a tax on top of all of them."""
    line = Line("a", 1, "Days", Decimal(3), Decimal(price))
    amount = line.amount(currency).minor
    state = replace(
        sent_invoice(currency=currency, total=10**9, amount_remaining=10**9), lines=(line,)
    )
    theirs: Any = {
        "id": "il_1",
        "amount": amount,
        "discount_amounts": [],
        "metadata": {"salesforce_line_key": "a"},
        "taxes": [{"amount": tax, "tax_behavior": "exclusive"}],
    }
    wanted = CreditLine(line=1, quantity=Decimal(quantity) if quantity else None)
    return plan_credit(state, CreditRequest(lines=(wanted,)), stripe_lines=[theirs], **came_in(0))


def test_a_sum_of_forty_digits_is_refused_like_any_other() -> None:
    """Somebody pasted an account number: that is more than remains, said in words."""
    [problem] = payment_problems(sent_invoice(), Decimal("9" * 40), TODAY, TODAY)
    assert problem.startswith("Only 21.00 USD of INV-1 remains to be paid")

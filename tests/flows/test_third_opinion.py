"""Three opinions on one sum: Stripe's, the record's, and one worked out here by hand.

The hand knows nothing of the product: whole numbers of the smallest coin and fractions, rounded
half up on each line, as Stripe's page on rounding has it:
https://docs.stripe.com/tax/zip-code-rounding and https://docs.stripe.com/invoicing/line-items
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import stripe
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flows.preview_invoice import preview_invoice
from flows.send_invoice import send_invoice
from invoicing.domain.forms.parameters import InvoiceOutcome, LineItem, Options
from tests.conftest import Sandbox
from tests.flows.conftest import Org

COINS = {"USD": 100, "EUR": 100, "JPY": 1}


@dataclass(frozen=True)
class Asked:
    """What somebody asks for; numbers as they type them."""

    currency: str
    lines: tuple[tuple[str, str, str], ...]
    discount: str
    tax: str
    inclusive: bool
    balance: int
    largest_batch: int | None


def half_up(amount: Fraction) -> int:
    """The nearest whole number."""
    return floor(amount + Fraction(1, 2))


def percent(amount: int, rate: str) -> int:
    """A rate of an amount of coins."""
    return half_up(amount * Fraction(rate or "0") / 100)


def by_hand(asked: Asked) -> tuple[int, int]:
    """The total before tax that is put on top, and that tax, in coins."""
    before_tax = tax = 0
    for quantity, price, off in asked.lines:
        line = half_up(Fraction(quantity) * Fraction(price) * COINS[asked.currency])
        line -= percent(line, off)
        line -= percent(line, asked.discount)
        before_tax += line
        tax += 0 if asked.inclusive else percent(line, asked.tax)
    return before_tax, tax


@st.composite
def invoices(draw: st.DrawFn) -> Asked:
    """An invoice of a few lines or of very many, in batches as they come."""
    currency = draw(st.sampled_from(sorted(COINS)))
    quantity = st.one_of(st.integers(1, 40).map(str), st.decimals("1", "40", places=3).map(str))
    price = st.decimals("60", "80", places=draw(st.sampled_from([0, 2, 6]))).map(str)
    rate = st.sampled_from(["", "", "12.5", "33.33"])
    number = draw(st.one_of(st.integers(1, 6), st.sampled_from([11, 101, 250])))
    few = draw(st.lists(st.tuples(quantity, price, rate), min_size=1, max_size=6))
    return Asked(
        currency,
        tuple(few[at % len(few)] for at in range(number)),
        draw(rate),
        draw(st.sampled_from(["", "19", "8.875"])),
        draw(st.booleans()),
        draw(st.sampled_from([0, 0, 12_345, -77])),
        draw(st.sampled_from([None, 7, 100])),
    )


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(invoices())
def test_all_three_are_equal(
    sent: InvoiceOutcome,
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    dashboard: stripe.StripeClient,
    salesforce_sandbox: Sandbox,
    asked: Asked,
) -> None:
    """Before tax, tax, total, and what is asked for with the balance, as it was previewed."""
    salesforce_sandbox.admin("POST", "batches", largest=asked.largest_batch)
    customer = str(dashboard.v1.invoices.retrieve(sent.stripe_id).customer)
    if asked.balance:
        dashboard.v1.customers.balance_transactions.create(
            customer, {"amount": asked.balance, "currency": asked.currency.lower()}
        )
    rates = []
    if asked.tax:
        rate = dashboard.v1.tax_rates.create(
            {"display_name": "VAT", "percentage": float(asked.tax), "inclusive": asked.inclusive}
        )
        rates = [rate.id]
    raised = draft(
        currency=asked.currency,
        lines=[
            LineItem.model_validate(
                {
                    "description": "Work",
                    "quantity": quantity,
                    "unit_price": price,
                    "discount_percent": off,
                }
            )
            for quantity, price, off in asked.lines
        ],
        options=Options.model_validate({"discount_percent": asked.discount, "tax_rates": rates}),
    )
    previewed, outcome = preview_invoice(raised.name), send_invoice(raised.name)
    assert (previewed.total, previewed.amount_due) == (outcome.total, outcome.amount_due)
    stripe_id = outcome.stripe_id

    before_tax, tax = by_hand(asked)
    there = dashboard.v1.invoices.retrieve(stripe_id)
    coins = COINS[asked.currency]
    here = org.query(
        "SELECT Total__c, Tax__c, Amount_Due__c, Subtotal__c FROM Stripe_Invoice__c "
        f"WHERE Name = '{raised.name}'"
    )[0]
    total = before_tax + tax
    assert there.total == total == half_up(Fraction(str(here["Total__c"])) * coins)
    due = max(total + (there.starting_balance or 0), 0)
    assert there.amount_due == due == half_up(Fraction(str(here["Amount_Due__c"])) * coins)
    if not asked.inclusive:
        assert half_up(Fraction(str(here["Tax__c"])) * coins) == tax

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
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from flows.preview_invoice import preview_invoice
from flows.send_invoice import send_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem, Options
from tests.conftest import Sandbox
from tests.flows.conftest import Org

COINS = {"USD": 100, "EUR": 100, "JPY": 1, "KWD": 1000}
STEP = {"KWD": 10}
"""The coin of three decimals has none below ten: https://docs.stripe.com/currencies"""


@dataclass(frozen=True)
class Off:
    """A discount: a percentage, an amount, or neither; numbers as people type them."""

    percent: str = ""
    amount: str = ""

    @property
    def form(self) -> dict[str, str]:
        """As it is asked for."""
        return {"discount_percent": self.percent, "discount_amount": self.amount}


@dataclass(frozen=True)
class Asked:
    """What somebody asks for; numbers as they type them."""

    currency: str
    lines: tuple[tuple[str, str, Off], ...]
    discount: Off
    taxes: tuple[str, ...]
    inclusive: bool
    balance: int
    largest_batch: int | None

    def coins(self, amount: object) -> int:
        """An amount of the currency in its coins, to the nearest that can be charged."""
        step = STEP.get(self.currency, 1)
        return step * half_up(Fraction(str(amount)) * COINS[self.currency] / step)

    def share(self, coins: int, part: Fraction) -> int:
        """A part of some coins."""
        return self.coins(part * coins / COINS[self.currency])

    def less(self, coins: int, off: Off) -> int:
        """Some coins after a discount of their own."""
        return (
            coins
            - self.share(coins, Fraction(off.percent or 0) / 100)
            - self.coins(off.amount or 0)
        )


def half_up(amount: Fraction) -> int:
    """The nearest whole number."""
    return floor(amount + Fraction(1, 2))


@dataclass(frozen=True)
class ByHand:
    """Sums in coins; the tax is that of all rates."""

    lines: list[int]
    subtotal: int
    before_tax: int
    tax: int
    total: int


def by_hand(asked: Asked, split: list[int]) -> ByHand:
    """Work an invoice out.

    Args:
        asked: What is wanted.
        split: How Stripe divides an amount that is taken off the whole among the lines; how it
            rounds there is its own, and decides nothing but the last coin of taxes.
    """
    lines = [
        asked.coins(Fraction(quantity) * Fraction(price)) for quantity, price, _ in asked.lines
    ]
    nets = [asked.less(line, off) for line, (_, _, off) in zip(lines, asked.lines, strict=True)]
    subtotal = sum(nets)
    if asked.discount.amount:
        off, step = asked.coins(asked.discount.amount), STEP.get(asked.currency, 1)
        assert sum(split) == off
        for part, net in zip(split, nets, strict=True):
            assert abs(part - Fraction(off * net, subtotal)) <= step
        nets = [net - part for part, net in zip(split, nets, strict=True)]
    else:
        nets = [asked.less(net, asked.discount) for net in nets]
    rates = [Fraction(rate) / 100 for rate in asked.taxes]
    within = 1 + sum(rates, Fraction(0)) if asked.inclusive else Fraction(1)
    tax = sum(asked.share(net, rate / within) for net in nets for rate in rates)
    total = sum(nets) + (0 if asked.inclusive else tax)
    return ByHand(lines, subtotal, sum(nets), tax, total)


@st.composite
def invoices(draw: st.DrawFn) -> Asked:
    """An invoice of a few lines or of very many, in batches as they come."""
    currency = draw(st.sampled_from(sorted(COINS)))
    dear = currency in STEP  # so that prices have to be whole steps, and the sum can be charged
    whole = st.integers(1, 40).map(str)
    part = st.decimals("1", "40", places=3).map(lambda one: f"{one.normalize():f}")
    quantity = whole if dear else st.one_of(whole, part)  # 23.350 could be thousands
    places = 2 if dear else draw(st.sampled_from([0, 2, 6]))
    price = st.decimals("60", "80", places=places).map(str)
    off = st.sampled_from([Off(), Off(), Off("12.5"), Off("33.33"), Off(amount="7")])
    many = [11] if dear else [11, 101, 250]
    number = draw(st.one_of(st.integers(1, 6), st.sampled_from(many)))
    few = draw(st.lists(st.tuples(quantity, price, off), min_size=1, max_size=6))
    return Asked(
        currency,
        tuple(few[at % len(few)] for at in range(number)),
        draw(off),
        draw(st.sampled_from([(), ("19",), ("8.875",), ("5", "9.975")])),
        draw(st.booleans()),
        draw(st.sampled_from([0, 0, 12_340, -70])),
        draw(st.sampled_from([None, 7, 100])),
    )


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(invoices())
@example(
    Asked(
        "KWD",
        (("3", "60.15", Off("33.33")), ("7", "71.05", Off(amount="0.35"))),
        Off(amount="12.34"),
        ("5", "9.975"),
        inclusive=True,
        balance=12_340,
        largest_batch=None,
    )
)
@example(
    Asked(
        "EUR",
        (("1.375", "66.666666", Off(amount="7")), ("1", "0.33", Off("50"))),
        Off(amount="0.01"),
        ("19",),
        inclusive=False,
        balance=-70,
        largest_batch=7,
    )
)
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
    rates = [
        dashboard.v1.tax_rates.create(
            {"display_name": "VAT", "percentage": float(rate), "inclusive": asked.inclusive}
        ).id
        for rate in asked.taxes
    ]
    raised = draft(
        currency=asked.currency,
        lines=[
            LineItem.model_validate(
                {"description": "Work", "quantity": quantity, "unit_price": price, **off.form}
            )
            for quantity, price, off in asked.lines
        ],
        options=Options.model_validate({"tax_rates": rates, **asked.discount.form}),
    )
    previewed, outcome = preview_invoice(raised.name), send_invoice(raised.name)
    assert (previewed.total, previewed.amount_due) == (outcome.total, outcome.amount_due)

    there = dashboard.v1.invoices.retrieve(outcome.stripe_id)
    lines = [*dashboard.v1.invoices.line_items.list(outcome.stripe_id).auto_paging_iter()]
    of_the_whole = {str(discount) for discount in there.discounts}
    split: dict[str, int] = {
        str(line.to_dict()["metadata"]["salesforce_line_key"]): sum(
            one.amount for one in line.discount_amounts or () if str(one.discount) in of_the_whole
        )
        for line in lines
    }
    here = org.query(
        "SELECT Id, Total__c, Tax__c, Amount_Due__c, Amount_Discounted__c, Subtotal__c "
        f"FROM Stripe_Invoice__c WHERE Name = '{raised.name}'"
    )[0]
    rows = org.query(
        "SELECT Local_Key__c, Amount__c FROM Stripe_Invoice_Line__c "
        f"WHERE Invoice__c = '{here['Id']}' ORDER BY Position__c"
    )
    hand = by_hand(asked, [split[row["Local_Key__c"]] for row in rows])

    def kept(name: str) -> int:
        return asked.coins(here[name] or 0)

    assert [asked.coins(row["Amount__c"]) for row in rows] == hand.lines
    assert sorted(line.amount for line in lines) == sorted(hand.lines)
    assert there.subtotal == hand.subtotal == kept("Subtotal__c")
    assert there.total == hand.total == kept("Total__c")
    assert sum(tax.amount for tax in there.total_taxes or ()) == hand.tax == kept("Tax__c")
    off = sum(one.amount for one in there.total_discount_amounts or ())
    assert off == sum(hand.lines) - hand.before_tax == kept("Amount_Discounted__c")
    due = max(hand.total + (there.starting_balance or 0), 0)
    assert there.amount_due == due == kept("Amount_Due__c")

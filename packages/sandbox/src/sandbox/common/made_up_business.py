"""A made-up business of any size: accounts and their invoices, the same for the same seed.

It knows neither Salesforce nor Stripe, only the identifiers both would share, so that a
generated org and a generated Stripe account tell the same story.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

DAY = 86_400
NOON = DAY // 2
TERMS_DAYS = 30

_CURRENCIES = ("USD",) * 6 + ("EUR",) * 3 + ("JPY",)
_STATES = ("draft",) * 8 + ("open",) * 20 + ("paid",) * 63 + ("void",) * 5 + ("uncollectible",) * 4
WORK = "Consulting"
"""What is billed."""

_UNIT_PRICES = {
    "USD": (499, 8_990, 15_000, 49_900, 180_000, 1_200_000),
    "EUR": (459, 8_250, 14_000, 45_950, 165_000, 1_100_000),
    "JPY": (700, 13_900, 22_000, 75_000, 270_000, 1_800_000),
}
"""Unit prices in minor units."""


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """One customer."""

    number: int
    name: str
    email: str
    currency: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class PlannedInvoice:
    """One invoice; amounts in minor units, times in seconds since the epoch (UTC).

    A draft exists in Salesforce only and has no ``stripe_id``.
    """

    number: int
    account: int
    currency: str
    status: str
    stripe_id: str | None
    created: int
    due: int
    unit_price: int
    quantity: int
    paid: int
    settled: int
    """When it was paid, voided or written off, if it was."""
    behind: bool
    """Salesforce has not heard yet what became of it."""

    @property
    def document_number(self) -> str:
        """What is printed on it."""
        return f"GEN-{self.number:08d}"

    @property
    def line_id(self) -> str:
        """The id of its line in Stripe."""
        return f"il_{(self.stripe_id or '')[3:-12]}B{self.number:013d}00"

    @property
    def total(self) -> int:
        """What is billed; there is no tax."""
        return self.unit_price * self.quantity


def accounts(seed: int, count: int) -> Iterator[PlannedAccount]:
    """The customers, numbered from 0."""
    dice = random.Random(f"accounts {seed}")  # noqa: S311  repeatable on purpose
    for number in range(count):
        yield PlannedAccount(
            number=number,
            name=f"Customer {seed}-{number:06d}",
            email=f"billing-{seed}-{number:06d}@example.com",
            currency=dice.choice(_CURRENCIES),
            customer_id=f"cus_Gen{seed:04d}{number:08d}",
        )


def invoices(
    seed: int,
    customers: list[PlannedAccount],
    count: int,
    *,
    now: int,
    days: int = 365,
    drift: float = 0,
) -> Iterator[PlannedInvoice]:
    """The invoices of some customers, oldest first, spread evenly over the last days.

    Args:
        seed: What makes this data set this one.
        customers: Whom they are for.
        count: How many.
        now: The present, in seconds since the epoch.
        days: How far back the first one lies.
        drift: Share of those that were sent on which Salesforce is behind.
    """
    late = random.Random(f"drift {seed}")  # noqa: S311  repeatable on purpose
    dice = random.Random(f"invoices {seed}")  # noqa: S311  repeatable on purpose
    now -= now % DAY  # whoever asks on the same day is told the same
    first = now - days * DAY
    for number in range(count):
        customer = customers[dice.randrange(len(customers))]
        status = dice.choice(_STATES)
        unit_price = dice.choice(_UNIT_PRICES[customer.currency])
        quantity = dice.randint(1, 20)
        created = first + days * DAY * number // count
        total = unit_price * quantity
        part = total // 2 if status == "open" and dice.random() < 0.1 else 0
        yield PlannedInvoice(
            number=number,
            account=customer.number,
            currency=customer.currency,
            status=status,
            stripe_id=None if status == "draft" else f"in_1Gen{seed:04d}{number:012d}",
            created=created,
            due=(created // DAY + TERMS_DAYS) * DAY + NOON,
            unit_price=unit_price,
            quantity=quantity,
            paid=total if status == "paid" else part,
            settled=created + min(9 * DAY, (now - created) // 2),
            behind=status != "draft" and late.random() < drift,
        )

"""A seeded data set: any number of customers and invoices, in all states, made fast.

Customers and invoices are made at once: an invoice is one substitution into a row that the code for
invoices built once (``generated_rows``). What stands behind them is made of the same seed when
somebody looks at its kind for the first time: the products and prices that lines name, invoice
items, payments with their intents and charges, credit notes, refunds, balance transactions, and the
events that Stripe would still have. Nobody is told of those events: they happened before.
"""

import random
from collections.abc import Iterator
from functools import partial
from typing import cast

import orjson
from pydantic import BaseModel, ConfigDict, Field

from sandbox.common import made_up_business
from sandbox.common.hosted_invoice_url import READ, page_name
from sandbox.common.made_up_business import PlannedAccount
from sandbox.stripe import invoice_object
from sandbox.stripe.context import Context
from sandbox.stripe.generated_rows import (
    BEHIND,
    CATALOGUE,
    DAY,
    State,
    Template,
    Values,
    derived,
    shapes,
)
from sandbox.stripe.objects import customers
from sandbox.stripe.objects.events import RETENTION
from sandbox.stripe.store import Doc, Row

STATES: dict[State, float] = {
    "draft": 0.05,
    "open": 0.15,
    "overdue": 0.05,
    "partly_paid": 0.03,
    "paid": 0.62,
    "void": 0.05,
    "uncollectible": 0.05,
    "credited": 0,
    "refunded": 0,
}

NOT_DUE = ("draft", "open", "partly_paid")

COLLECTED = ("paid", "refunded")

WORK = ("Consulting", "Support", "Licence", "Training", "Hosting", "Travel")


class Order(BaseModel):
    """What to generate."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 1
    customers: int = Field(100, ge=1)
    invoices: int = Field(1_000, ge=0)
    livemode: bool = True
    business: bool = Field(
        False, description="The same business that a generated Salesforce org tells of."
    )
    days: int = Field(365, ge=1, description="How far back the invoices go.")
    max_lines: int = Field(3, ge=1, le=invoice_object.SUBLIST)
    currencies: list[str] = Field(default=["usd", "eur", "gbp", "jpy"], min_length=1)
    states: dict[State, float] = Field(default=STATES, description="State to its share.")
    customer_metadata: dict[str, str] = Field(
        default_factory=dict, description="Values may hold {n}, the customer's number from 0."
    )
    invoice_metadata: dict[str, str] = Field(
        default_factory=dict,
        description="Values may hold {n} and {customer}, numbers from 0.",
    )


class Generator:
    """Makes the rows of a data set."""

    def __init__(self, context: Context, order: Order) -> None:
        self.context = context
        self.order = order
        self._mark = b"%04d" % order.seed + b"B" * order.business
        self._planned: list[PlannedAccount] = []
        if order.business:
            self._planned += made_up_business.accounts(order.seed, order.customers)

    def run(self) -> dict[str, int]:
        """Store everything that was ordered and say how much it is."""
        space, livemode = self.context.space, self.order.livemode
        space.insert("customer", *self._customers())
        before = space.count("invoice")
        shape, plans = self._templates, self._invoices()
        space.insert_rows("invoice", (shape("invoice", s, n)[0].row(v) for v, s, n in plans))
        for kind in BEHIND:
            self.context.sandbox.store.defer(livemode, kind, partial(self._rows, kind))
        for kind in CATALOGUE:
            self.context.sandbox.store.defer(livemode, kind, partial(self._catalogue, kind))
        made = space.count("invoice") - before
        return {"customers": self.order.customers, "invoices": made}

    def _rows(self, kind: str) -> Iterator[Row]:
        """Make the rows of a kind of which each invoice has its own."""
        kept = self.context.now - RETENTION if kind in ("event", "v2.core.event") else 0
        for values, state, count in self._invoices():
            templates = self._templates(kind, state, count)
            if templates := [each for each in templates if each.created(values) >= kept]:
                values |= derived(values)
                yield from (each.row(values) for each in templates)

    def _catalogue(self, kind: str) -> Iterator[Row]:
        """Make the products, or the prices, that the lines of all invoices name."""
        [template] = self._templates(kind, "draft", 1)
        made = set()
        for values, _, count in self._invoices():
            for index in range(count):
                names = (b"work%d" % index, b"unit%d" % index, b"currency")
                work, unit, currency = map(values.get, names)
                same = {b"set": self._mark, b"work0": work, b"started": self._start}
                row = template.row(same | {b"unit0": unit, b"currency": currency})
                if row[0] not in made:
                    made.add(row[0])
                    yield row

    @property
    def _start(self) -> int:
        """When the first customer came, before the first invoice."""
        return self.context.now - (self.order.days + 1) * DAY

    def _customers(self) -> Iterator[Doc]:
        for n in range(self.order.customers):
            customer = customers.new_customer(self.context)
            metadata = {k: v.format(n=n) for k, v in self.order.customer_metadata.items()}
            customer |= {
                "id": self._id("cus", n),
                "created": self._start + n * DAY // self.order.customers,
                "email": f"billing{n}@customer.example",
                "invoice_prefix": f"G{self.order.seed:03d}{n:07d}"[:12],
                "metadata": metadata,
                "name": f"Customer {n}",
            }
            if self._planned:
                account = self._planned[n]
                customer |= {"id": account.customer_id, "email": account.email}
                customer["name"] = account.name
            yield customer

    def _invoices(self) -> Iterator[tuple[Values, State, int]]:
        """Decide everything about each invoice, always the same: values, state, number of lines."""
        return self._business_invoices() if self.order.business else self._chosen_invoices()

    def _business_invoices(self) -> Iterator[tuple[Values, State, int]]:
        """The business's invoices, but for drafts that Salesforce has not sent yet."""
        order, customers = self.order, self._planned
        plans = made_up_business.invoices(
            order.seed, customers, order.invoices, now=self.context.now, days=order.days
        )
        for plan in plans:
            if plan.stripe_id is None:
                continue
            customer = customers[plan.account]
            part = plan.status == "open" and plan.paid
            values: Values = {
                b"id": plan.stripe_id.encode(),
                b"created": plan.created,
                b"later": plan.settled,
                b"due": plan.due,
                b"currency": plan.currency.lower().encode(),
                b"customer": customer.customer_id.encode(),
                b"name": customer.name.encode(),
                b"email": customer.email.encode(),
                b"number": plan.document_number.encode(),
                b"metadata": orjson.dumps(self._metadata(plan.number, plan.account)),
                b"paid": plan.paid,
                **self._line_values(0, made_up_business.WORK, plan.unit_price, plan.quantity),
            }
            state = cast(State, "partly_paid" if part else plan.status)
            yield self._finished(values, plan.number, plan.total), state, 1

    def _chosen_invoices(self) -> Iterator[tuple[Values, State, int]]:
        dice = random.Random(self.order.seed)  # noqa: S311 - repeatable on purpose
        names, shares = zip(*self.order.states.items(), strict=True)
        span = self.order.days * DAY
        start = self.context.now - span
        for n in range(self.order.invoices):
            state = dice.choices(names, shares)[0]
            count = dice.randint(1, self.order.max_lines)
            created = start + n * span // self.order.invoices
            yield self._chosen(dice, n, state, count, created), state, count

    def _chosen(
        self, dice: random.Random, n: int, state: State, count: int, created: int
    ) -> Values:
        order, now = self.order, self.context.now
        customer = dice.randrange(order.customers)
        currency = order.currencies[n % len(order.currencies)]
        due = (now if state in NOT_DUE else created) + 14 * DAY
        if state == "overdue":
            due = min(due, now - DAY)
        values: Values = {
            b"id": self._id("in", n).encode(),
            b"created": created,
            b"later": created + min(DAY, (now - created) // 2),
            b"due": due,
            b"currency": currency.encode(),
            b"customer": self._id("cus", customer).encode(),
            b"name": f"Customer {customer}".encode(),
            b"email": f"billing{customer}@customer.example".encode(),
            b"number": f"G{order.seed:03d}-{n:08d}".encode(),
            b"metadata": orjson.dumps(self._metadata(n, customer)),
        }
        total = 0
        for index in range(count):
            quantity, unit = dice.randint(1, 5), dice.randint(10, 900) * 100
            values |= self._line_values(index, dice.choice(WORK), unit, quantity)
            total += unit * quantity
        paid = total if state in COLLECTED else 0
        values[b"paid"] = total // 200 * 100 if state == "partly_paid" else paid
        return self._finished(values, n, total)

    def _finished(self, values: Values, n: int, total: int) -> Values:
        """Add what follows from what was decided."""
        base, account = self.context.sandbox.base_url, self.context.account.id
        token = page_name(account, values[b"id"].decode(), livemode=self.order.livemode)
        later = values[b"later"]
        values |= {
            b"after": later + min(DAY, (self.context.now - later) // 2),
            b"base": base.encode(),
            b"key": b"%b%013d" % (self._mark, n),
            b"page": f"{base}/i/{account}/{token}{READ}".encode(),
            b"remaining": total - values[b"paid"],
            b"set": self._mark,
            b"token": token.encode(),
            b"total": total,
        }
        return values

    def _line_values(self, index: int, work: str, unit: int, quantity: int) -> Values:
        return {
            b"work%d" % index: work.encode(),
            b"unit%d" % index: unit,
            b"quantity%d" % index: quantity,
            b"amount%d" % index: unit * quantity,
        }

    def _metadata(self, n: int, customer: int) -> dict[str, str]:
        templates = self.order.invoice_metadata
        return {key: value.format(n=n, customer=customer) for key, value in templates.items()}

    def _id(self, prefix: str, n: int) -> str:
        return f"{prefix}_1Gen{self.order.seed:04d}{n:015d}"

    def _templates(self, kind: str, state: State, count: int) -> list[Template]:
        told: State = "open" if state == "overdue" else state
        return shapes(self.order.livemode, told, count)[kind]

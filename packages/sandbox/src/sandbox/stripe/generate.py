"""A seeded data set: any number of customers and invoices, in all states, made fast.

Each shape of invoice (a state, a number of lines) is built once, by the code that builds every
invoice, with placeholders in the places that differ; after that an invoice is one substitution.
Generated invoices have lines but no payments and no events: they were settled long ago, elsewhere.
"""

import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from sandbox.common import business
from sandbox.common.business import PlannedAccount
from sandbox.stripe import invoicing, lines
from sandbox.stripe.context import Context, Sandbox
from sandbox.stripe.objects import customers
from sandbox.stripe.store import KINDS, Doc, public

DAY = 24 * 3600

STATES = {
    "draft": 0.05,
    "open": 0.15,
    "overdue": 0.05,
    "partly_paid": 0.03,
    "paid": 0.62,
    "void": 0.05,
    "uncollectible": 0.05,
}

NOT_DUE = ("draft", "open", "partly_paid")

WORK = ("Consulting", "Support", "Licence", "Training", "Hosting", "Travel")

Values = dict[bytes, Any]

FILTERS = KINDS["invoice"].filters


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
    max_lines: int = Field(3, ge=1, le=invoicing.SUBLIST)
    currencies: list[str] = Field(default=["usd", "eur", "gbp", "jpy"], min_length=1)
    states: dict[str, float] = Field(default=STATES, description="State to its share.")
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
        self.random = random.Random(order.seed)  # noqa: S311 - repeatable on purpose

    def run(self) -> dict[str, int]:
        """Store everything that was ordered and say how much it is."""
        order = self.order
        planned = list(business.accounts(order.seed, order.customers)) if order.business else []
        self.context.space.insert("customer", *self._customers(planned))
        before = self.context.space.count("invoice")
        rows = self._business_invoices(planned) if order.business else self._invoices()
        self.context.space.insert_rows("invoice", rows)
        made = self.context.space.count("invoice") - before
        return {"customers": order.customers, "invoices": made}

    def _customers(self, planned: list[PlannedAccount]) -> Iterator[Doc]:
        start = self.context.now - (self.order.days + 1) * DAY
        for n in range(self.order.customers):
            customer = customers.new_customer(self.context)
            metadata = {k: v.format(n=n) for k, v in self.order.customer_metadata.items()}
            customer |= {
                "id": self._id("cus", n),
                "created": start + n * DAY // self.order.customers,
                "email": f"billing{n}@customer.example",
                "invoice_prefix": f"G{self.order.seed:03d}{n:07d}"[:12],
                "metadata": metadata,
                "name": f"Customer {n}",
            }
            if planned:
                account = planned[n]
                customer |= {"id": account.customer_id, "email": account.email}
                customer["name"] = account.name
            yield customer

    def _business_invoices(self, customers: list[PlannedAccount]) -> Iterator[tuple[Any, ...]]:
        """The business's invoices, but for drafts that Salesforce has not sent yet."""
        order, now = self.order, self.context.now
        plans = business.invoices(order.seed, customers, order.invoices, now=now, days=order.days)
        for plan in plans:
            if plan.stripe_id is None:
                continue
            customer = customers[plan.account]
            part = plan.status == "open" and plan.paid
            values: Values = {
                b"id": plan.stripe_id.encode(),
                b"created": plan.created,
                b"later": min(plan.settled, now),
                b"due": plan.due,
                b"currency": plan.currency.lower().encode(),
                b"customer": customer.customer_id.encode(),
                b"name": customer.name.encode(),
                b"email": customer.email.encode(),
                b"number": plan.document_number.encode(),
                b"metadata": orjson.dumps(self._metadata(plan.number, plan.account)),
                b"paid": plan.paid,
                **self._line_values(plan.number, 0, WORK[0], plan.unit_price, plan.quantity),
            }
            state = "partly_paid" if part else plan.status
            yield self._finished(values, state, count=1, total=plan.total)

    def _invoices(self) -> Iterator[tuple[Any, ...]]:
        names, shares = zip(*self.order.states.items(), strict=True)
        span = self.order.days * DAY
        start = self.context.now - span
        for n in range(self.order.invoices):
            state = self.random.choices(names, shares)[0]
            yield self._row(n, state, start + n * span // self.order.invoices)

    def _row(self, n: int, state: str, created: int) -> tuple[Any, ...]:
        order, pick = self.order, self.random
        count = pick.randint(1, order.max_lines)
        customer = pick.randrange(order.customers)
        currency = order.currencies[n % len(order.currencies)]
        due = (
            self.context.now if state in ("draft", "open", "partly_paid") else created
        ) + 14 * DAY
        if state == "overdue":
            due = min(due, self.context.now - DAY)
        values: Values = {
            b"id": self._id("in", n).encode(),
            b"created": created,
            b"later": min(created + DAY, self.context.now),
            b"due": due,
            b"currency": currency.encode(),
            b"customer": self._id("cus", customer).encode(),
            b"name": f"Customer {customer}".encode(),
            b"email": f"billing{customer}@customer.example".encode(),
            b"number": f"G{order.seed:03d}-{n:08d}".encode(),
            b"metadata": orjson.dumps(self._metadata(n, customer)),
        }
        total = sum(self._line(values, n, index) for index in range(count))
        values[b"paid"] = {"paid": total, "partly_paid": total // 200 * 100}.get(state, 0)
        return self._finished(values, state, count, total)

    def _finished(self, values: Values, state: str, count: int, total: int) -> tuple[Any, ...]:
        """The row of an invoice of which everything is decided."""
        invoice_id, customer_id = values[b"id"].decode(), values[b"customer"].decode()
        token = f"{'live' if self.order.livemode else 'test'}_{invoice_id}"
        page = f"{self.context.sandbox.base_url}/i/{self.context.account.id}/{token}"
        values |= {b"token": token.encode(), b"page": page.encode()}
        values |= {b"total": total, b"remaining": total - values[b"paid"]}
        shape, status = _shape(self.context.livemode, state, count), _status(state)
        draft = state == "draft"
        filters = {
            "customer": customer_id,
            "status": status,
            "collection_method": "send_invoice",
            "due_date": values[b"due"],
            "_.token": None if draft else token,
            "number": None if draft else values[b"number"].decode(),
            "_.advances": False,
        }
        private = None if draft else b'{"token":"%b"}' % values[b"token"]
        row = (invoice_id, values[b"created"], shape % values, private)
        return (*row, *map(filters.get, FILTERS))

    def _line(self, values: Values, n: int, index: int) -> int:
        """Choose one line's values and return its amount."""
        quantity, unit = self.random.randint(1, 5), self.random.randint(10, 900) * 100
        values |= self._line_values(n, index, self.random.choice(WORK), unit, quantity)
        return unit * quantity

    def _line_values(self, n: int, index: int, work: str, unit: int, quantity: int) -> Values:
        return {
            b"line%d" % index: b"%04d%013d%02d" % (self.order.seed, n, index),
            b"work%d" % index: work.encode(),
            b"unit%d" % index: b"%d" % unit,
            b"quantity%d" % index: quantity,
            b"exact%d" % index: b"%d" % quantity,
            b"amount%d" % index: unit * quantity,
        }

    def _metadata(self, n: int, customer: int) -> dict[str, str]:
        templates = self.order.invoice_metadata
        return {key: value.format(n=n, customer=customer) for key, value in templates.items()}

    def _id(self, prefix: str, n: int) -> str:
        return f"{prefix}_1Gen{self.order.seed:04d}{n:015d}"


def _status(state: str) -> str:
    return "open" if state in ("overdue", "partly_paid") else state


@cache
def _shape(livemode: bool, state: str, count: int) -> bytes:
    """Build an invoice with placeholders: ``@x@`` for text, ``@#x@`` for numbers and JSON."""
    context = Sandbox("@page@").context(livemode)
    customer = customers.new_customer(context) | {
        "id": "@customer@",
        "name": "@name@",
        "email": "@email@",
    }
    invoice = invoicing.new_invoice(context, customer, "@currency@")
    made = [_line_shape(context, index) for index in range(count)]
    invoicing.put_lines(invoice, made)
    for name in ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"):
        invoice[name] = "@#total@"
    invoice |= {
        "id": "@id@",
        "amount_due": "@#total@",
        "amount_paid": "@#paid@",
        "amount_remaining": "@#remaining@",
        "collection_method": "send_invoice",
        "created": "@#created@",
        "due_date": "@#due@",
        "metadata": "@#metadata@",
        "period_end": "@#created@",
        "period_start": "@#created@",
        "status": _status(state),
    }
    invoice["lines"]["url"] = "/v1/invoices/@id@/lines"
    if state != "draft":
        _finalized(invoice, state)
    text = orjson.dumps(public(invoice)).replace(b"%", b"%%")
    text = re.sub(rb'"@#(\w+)@"', lambda m: _placeholder(m[1]), text)
    return re.sub(rb"@(\w+)@", rb"%(\1)b", text)


def _placeholder(name: bytes) -> bytes:
    return b"%(metadata)b" if name == b"metadata" else b"%(" + name + b")d"


def _finalized(invoice: Doc, state: str) -> None:
    invoice |= {
        "attempted": state == "paid",
        "effective_at": "@#created@",
        "ending_balance": 0,
        "hosted_invoice_url": "@page@",
        "invoice_pdf": "@page@/pdf",
        "number": "@number@",
    }
    moments = invoice["status_transitions"]
    moments["finalized_at"] = "@#created@"
    closed = {"paid": "paid_at", "void": "voided_at", "uncollectible": "marked_uncollectible_at"}
    if state in closed:
        moments[closed[state]] = "@#later@"
    if state == "uncollectible":
        invoice["status_details"] = {"uncollectible": {"reason": "user_forgiven"}}


def _line_shape(context: Context, index: int) -> Doc:
    item: Doc = {
        "id": f"ii_1Gen@line{index}@",
        "amount": f"@#amount{index}@",
        "currency": "@currency@",
        "description": f"@work{index}@",
        "discountable": True,
        "discounts": [],
        "livemode": context.livemode,
        "metadata": {},
        "period": {"end": "@#created@", "start": "@#created@"},
        "pricing": {
            "price_details": {
                "price": f"price_1Gen@work{index}@",
                "product": f"prod_1Gen@work{index}@",
            },
            "type": "price_details",
            "unit_amount_decimal": f"@unit{index}@",
        },
        "quantity": f"@#quantity{index}@",
        "quantity_decimal": f"@exact{index}@",
        "tax_rates": [],
        "_": {},
    }
    holder: Doc = {"id": "@id@", "_": {}}
    return lines.new_line(context, holder, item)

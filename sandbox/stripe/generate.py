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
        self.context.space.insert("customer", *self._customers())
        self.context.space.insert_rows("invoice", self._invoices())
        return {"customers": self.order.customers, "invoices": self.order.invoices}

    def _customers(self) -> Iterator[Doc]:
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
            yield customer

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
        base, invoice_id = self.context.sandbox.base_url, self._id("in", n)
        token = f"{'live' if order.livemode else 'test'}_{invoice_id}"
        due = (
            self.context.now if state in ("draft", "open", "partly_paid") else created
        ) + 14 * DAY
        if state == "overdue":
            due = min(due, self.context.now - DAY)
        customer_id = self._id("cus", customer)
        page = f"{base}/i/{self.context.account.id}/{token}"
        values: Values = {
            b"id": invoice_id.encode(),
            b"created": created,
            b"later": min(created + DAY, self.context.now),
            b"due": due,
            b"currency": currency.encode(),
            b"customer": customer_id.encode(),
            b"name": f"Customer {customer}".encode(),
            b"email": f"billing{customer}@customer.example".encode(),
            b"number": f"G{order.seed:03d}-{n:08d}".encode(),
            b"page": page.encode(),
            b"token": token.encode(),
            b"metadata": orjson.dumps(self._metadata(n, customer)),
        }
        total = sum(self._line(values, n, index) for index in range(count))
        part = total // 200 * 100
        paid = {"paid": total, "partly_paid": part}.get(state, 0)
        values |= {b"total": total, b"paid": paid, b"remaining": total - paid}
        shape, status = _shape(self.context.livemode, state, count), _status(state)
        draft = state == "draft"
        filters = {
            "customer": customer_id,
            "status": status,
            "collection_method": "send_invoice",
            "due_date": due,
            "_.token": None if draft else token,
            "number": None if draft else values[b"number"].decode(),
            "_.advances": False,
        }
        private = None if draft else b'{"token":"%b"}' % values[b"token"]
        return (invoice_id, created, shape % values, private, *map(filters.get, FILTERS))

    def _line(self, values: Values, n: int, index: int) -> int:
        """Choose one line's values and return its amount."""
        quantity, unit = self.random.randint(1, 5), self.random.randint(10, 900) * 100
        values |= {
            b"line%d" % index: b"%04d%013d%02d" % (self.order.seed, n, index),
            b"work%d" % index: self.random.choice(WORK).encode(),
            b"unit%d" % index: b"%d" % unit,
            b"quantity%d" % index: quantity,
            b"exact%d" % index: b"%d" % quantity,
            b"amount%d" % index: unit * quantity,
        }
        return unit * quantity

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

"""An invoice as Salesforce holds it before it is sent, and the rules it must meet."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from invoicing.domain.money import Money, chargeable_step, line_amount, plain
from invoicing.domain.status import Status
from invoicing.domain.words import counted

MAX_LINES = 250
"""Stripe's limit of items on one invoice: https://docs.stripe.com/invoicing/integration"""

MAX_QUANTITY = Decimal(10) ** 12
MAX_DECIMALS = 6
"""Decimals that the Salesforce number fields keep; more would be rounded in silence."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a product, how many, and at what unit price (major units)."""

    key: str
    position: int
    description: str
    quantity: Decimal
    unit_price: Decimal
    product_id: str | None = None
    product_name: str = ""
    record_id: str | None = None

    @property
    def label(self) -> str:
        """What the customer reads."""
        return self.description or self.product_name

    def amount(self, currency: str) -> Money:
        """What the line comes to in the invoice's currency."""
        return line_amount(self.quantity, self.unit_price, currency)


@dataclass(frozen=True, slots=True)
class Account:
    """The customer's Account in Salesforce."""

    id: str
    name: str
    currency: str
    invoice_email: str | None = None
    stripe_customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice record with its lines."""

    record_id: str
    name: str
    account: Account
    currency: str
    description: str
    due_date: date | None
    status: Status
    lines: tuple[Line, ...] = field(default=())
    email: str | None = None
    stripe_id: str | None = None
    sync_message: str = ""

    @property
    def total(self) -> Money:
        """Sum of the lines before discounts and tax."""
        return sum((line.amount(self.currency) for line in self.lines), Money(self.currency, 0))

    @property
    def size(self) -> str:
        """Lines and total, for people."""
        return f"{counted(len(self.lines), 'line')}, {self.total}"

    @property
    def content_digest(self) -> str:
        """A fingerprint of everything the customer would be billed for."""
        parts = [self.currency, self.description, str(self.due_date), self.email or ""]
        for line in self.lines:
            parts += [line.key, line.label, line.product_id or ""]
            parts += [plain(line.quantity), plain(line.unit_price)]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def line_problems(number: int, line: Line, currency: str) -> Iterable[str]:
    """Say what is wrong with one line; ``number`` counts from 1."""
    where = f"Line {number} ({line.label or 'no product'})"
    for what, value in (("quantity", line.quantity), ("unit price", line.unit_price)):
        if -value.as_tuple().exponent > MAX_DECIMALS:  # type: ignore[operator]
            yield f"{where}: the {what} {value} has more than {MAX_DECIMALS} decimals."
    if not 0 < line.quantity < MAX_QUANTITY:
        yield f"{where}: the quantity must be above zero, not {line.quantity}."
    if not 0 <= line.unit_price < MAX_QUANTITY:
        yield f"{where}: the unit price cannot be {line.unit_price}."
    if not line.label:
        yield f"{where}: choose a product or write a description."
    amount = line.amount(currency)
    if amount.minor % chargeable_step(currency):
        step = Money(currency, chargeable_step(currency))
        yield f"{where}: {amount} cannot be charged; {currency} goes in steps of {step}."


def draft_problems(
    *, due_date: date | None, currency: str, lines: Sequence[Line], today: date
) -> list[str]:
    """Say everything that is wrong with a draft's content; empty when nothing is.

    Args:
        due_date: Last day for payment, in the business's calendar.
        currency: ISO 4217 code.
        lines: The lines in order.
        today: The business's local date.
    """
    problems: list[str] = []
    if due_date is None:
        problems.append("The due date is missing.")
    elif due_date < today:
        problems.append(f"The due date {due_date} has passed; choose today or later.")
    if len(currency) != 3 or not currency.isalpha():
        problems.append(f"{currency!r} is not a currency code.")
    if not lines:
        problems.append("The invoice has no lines; add at least one.")
    if len(lines) > MAX_LINES:
        problems.append(f"The invoice has {len(lines)} lines; Stripe allows {MAX_LINES}.")
    for number, line in enumerate(lines, 1):
        problems.extend(line_problems(number, line, currency))
    return problems


def sending_problems(invoice: Invoice, today: date) -> list[str]:
    """Say everything that keeps a draft from being sent; empty when nothing does."""
    problems = draft_problems(
        due_date=invoice.due_date, currency=invoice.currency, lines=invoice.lines, today=today
    )
    if not invoice.email:
        problems.append(
            f"{invoice.account.name} has no e-mail address for invoices; fill Invoice E-mail "
            "on the Account or choose a Bill To contact with an address."
        )
    if invoice.lines and invoice.total.minor == 0:
        problems.append("The invoice's total is zero; there is nothing to pay.")
    return problems

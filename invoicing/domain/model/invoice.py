"""An invoice as Salesforce holds it before it is sent, and the rules it must meet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from invoicing.domain.model.dates import written
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice_details import (
    Collection,
    Details,
    Discount,
    OrgFields,
    Terms,
    details_problems,
)
from invoicing.domain.model.money import (
    CURRENCIES,
    Money,
    chargeable_step,
    decimals,
    line_amount,
    plain,
)
from invoicing.domain.model.status import Status
from invoicing.domain.model.wording import counted

MAX_LINES = 250
"""Stripe's limit of items on one invoice: https://docs.stripe.com/invoicing/integration"""

MAX_QUANTITY = Decimal(10) ** 12
QUANTITY_DECIMALS = 6
"""Decimals that the Salesforce number field keeps; more would be rounded in silence."""

QUANTITY_DIGITS = 15
"""Digits that survive a JSON double, as which Salesforce numbers travel."""

PRICE_DECIMALS = 12
"""Decimals that Stripe takes in ``unit_amount_decimal``."""

MAX_MINOR = 999_999_999_999
"""Stripe's amounts have at most 12 digits: https://docs.stripe.com/api/invoiceitems/create"""

MEMO_LENGTH = 1500
TEXT_LENGTH = 255
"""Lengths of the Salesforce fields."""


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
    discount: Discount | None = None

    @property
    def label(self) -> str:
        """The text that the customer reads."""
        return self.description or self.product_name

    def amount(self, currency: str) -> Money:
        """The line's amount in the invoice's currency."""
        return line_amount(self.quantity, self.unit_price, currency)

    def net(self, currency: str) -> Money:
        """The line's amount after its own discount."""
        amount = self.amount(currency)
        return amount - self.discount.off([amount]) if self.discount else amount


@dataclass(frozen=True, slots=True)
class Address:
    """The customer's address; Stripe Tax goes by it. ``country`` has two letters."""

    country: str
    line1: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """The customer's Account in Salesforce."""

    id: str
    name: str
    currency: str
    invoice_email: str | None = None
    stripe_customer_id: str | None = None
    address: Address | None = None
    country: str = ""
    price_book: str | None = None
    """The id of its own price book, where the field mapping says that Accounts have one."""

    @property
    def address_note(self) -> str:
        """That the address is not used, and why; empty where nothing is wrong with it."""
        if self.address or not self.country:
            return ""
        return (
            f" {self.name}'s billing country {self.country!r} is none that is known, so the "
            "customer in Stripe has no address from Salesforce: write its name or its code, such "
            "as DE."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is billed, when and how it is due, and what the customer reads beside it.

    Attributes:
        currency: ISO 4217 code.
        description: The memo.
        due_date: Last day for payment, in the business's calendar; None with payment terms.
        lines: In order.
        details: Everything that is optional.
    """

    currency: str
    description: str = ""
    due_date: date | None = None
    lines: tuple[Line, ...] = ()
    details: Details = field(default_factory=Details)

    @property
    def subtotal(self) -> Money:
        """Sum of the lines after their own discounts, as Stripe's ``subtotal``."""
        return subtotal(self.lines, self.currency)

    @property
    def total(self) -> Money:
        """Total after all discounts, before the taxes that Stripe adds."""
        return total(self.lines, self.currency, self.details.discount)

    def copied(self, key: str, due_date: date | None, terms: Terms | None = None) -> "Content":
        """The same for another draft, which is not sent by itself.

        Args:
            key: Names the act; each line's key is derived from it.
            due_date: The last day for payment.
            terms: Instead of a due date; without either, it is due as this is.
        """
        if not due_date and not terms:
            due_date, terms = self.due_date, self.details.terms
        return Content(
            currency=self.currency,
            description=self.description,
            due_date=due_date,
            lines=tuple(replace(line, key=f"{key}-{n}") for n, line in enumerate(self.lines, 1)),
            details=replace(self.details, send_on=None, terms=terms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice(Content):
    """An invoice record with its lines."""

    record_id: str
    name: str
    account: Account
    status: Status
    email: str | None = None
    stripe_id: str | None = None
    bill_to: str | None = None
    replaces: str | None = None
    org_fields: OrgFields = field(default_factory=OrgFields)
    made_in_stripe: bool = False
    """Somebody made it there: its content is Stripe's while it is a draft, too."""
    total_in_stripe: Money | None = None
    """The total as Stripe had it when the record was put in step, taxes included."""
    approval: str | None = None
    """What the record says of approval; it decides nothing, for anybody may have written it."""

    @property
    def billed(self) -> Details:
        """The details as Stripe is given them: together with what the org's own fields say."""
        own, more = self.details, self.org_fields
        taxes = own if own.automatic_tax or own.tax_rates else more
        return replace(
            own,
            custom_fields=own.custom_fields + more.custom_fields,
            automatic_tax=taxes.automatic_tax,
            tax_rates=taxes.tax_rates,
        )

    @property
    def size(self) -> str:
        """Lines and total, for people."""
        return f"{counted(len(self.lines), 'line')}, {self.total}"

    @property
    def due_words(self) -> str:
        """The due date or terms, in words."""
        if self.details.collection is Collection.CHARGE:
            return "charged when it is sent"
        return f"due {written(self.due_date) if self.due_date else self.details.terms}"

    @property
    def content_digest(self) -> str:
        """A fingerprint of who would be billed, and for what."""
        parts = [self.account.id, self.replaces or "", self.currency, self.description]
        parts += [str(self.due_date), self.email or ""]
        parts += [str(self.total_in_stripe)] if self.made_in_stripe else []
        parts += [self.billed.fingerprint, *(f"{k}={v}" for k, v in self.org_fields.metadata)]
        for line in self.lines:
            parts += [line.key, line.label, line.product_id or ""]
            parts += [plain(line.quantity), plain(line.unit_price), str(line.discount)]
        return fingerprint(*parts)


def subtotal(lines: Sequence[Line], currency: str) -> Money:
    """Sum of lines after their own discounts."""
    return sum((line.net(currency) for line in lines), Money(currency, 0))


def total(lines: Sequence[Line], currency: str, discount: Discount | None) -> Money:
    """Sum of lines after their own discounts and the invoice's."""
    before = subtotal(lines, currency)
    if discount is None or not lines:
        return before
    return before - discount.off([line.net(currency) for line in lines])


def line_problems(number: int, line: Line, currency: str) -> Iterable[str]:
    """Say what is wrong with one line; ``number`` counts from 1."""
    where = f"Line {number} ({line.label[:40] or 'no product'})"
    wrong = [*_number_problems(line)]
    for reason in wrong or _amount_problems(line, currency):
        yield f"{where}: {reason}"
    if not line.label:
        yield f"{where}: choose a product or write a description."
    if len(line.description) > TEXT_LENGTH:
        yield f"{where}: the description has more than {TEXT_LENGTH} characters."


def _number_problems(line: Line) -> Iterable[str]:
    for what, value, most in (
        ("quantity", line.quantity, QUANTITY_DECIMALS),
        ("unit price", line.unit_price, PRICE_DECIMALS),
    ):
        if decimals(value) > most:
            yield f"the {what} {value} has more than {most} decimals."
    if not 0 < line.quantity < MAX_QUANTITY:
        yield f"the quantity must be above zero, not {line.quantity}."
    elif len(line.quantity.normalize().as_tuple().digits) > QUANTITY_DIGITS:
        yield f"the quantity {line.quantity} has more than {QUANTITY_DIGITS} digits."
    if not 0 <= line.unit_price < MAX_QUANTITY:
        yield f"the unit price cannot be {line.unit_price}."


def _amount_problems(line: Line, currency: str) -> Iterable[str]:
    amount = line.amount(currency)
    if amount.minor % chargeable_step(currency):
        step = Money(currency, chargeable_step(currency))
        yield f"{amount} cannot be charged; {currency} goes in steps of {step}."
    if amount.minor > MAX_MINOR:
        yield f"{amount} is more than Stripe can bill on one line."
    if line.discount:
        yield from (f"the discount {reason}" for reason in line.discount.problems([amount]))


def draft_problems(content: Content, today: date) -> list[str]:
    """Say everything that is wrong with a draft's content by a business's day; empty if nothing."""
    due_date, currency = content.due_date, content.currency
    lines, details = content.lines, content.details
    problems = list(details_problems(details, due_date=due_date))
    if due_date is not None and due_date < today:
        problems.append(f"The due date {written(due_date)} has passed; choose today or later.")
    if len(content.description) > MEMO_LENGTH:
        problems.append(f"The description has more than {MEMO_LENGTH:,} characters.")
    if currency not in CURRENCIES:
        problems.append(f"{currency!r} is not a currency that Stripe bills in.")
    if not lines:
        problems.append("The invoice has no lines; add at least one.")
    if len(lines) > MAX_LINES:
        problems.append(f"The invoice has {len(lines)} lines; Stripe allows {MAX_LINES}.")
    wrong = [
        p for number, line in enumerate(lines, 1) for p in line_problems(number, line, currency)
    ]
    problems += wrong
    if details.discount:
        nets = [] if wrong else [line.net(currency) for line in lines]
        problems += [f"The discount {reason}" for reason in details.discount.problems(nets)]
    return problems


NOTHING_TO_PAY = "The total is zero: there is nothing to pay, and such an invoice cannot be sent."
"""As the package's dialogue has it."""


def billing_problems(invoice: Invoice, today: date) -> list[str]:
    """Say everything that keeps Stripe from billing a draft; empty when nothing does."""
    problems = draft_problems(replace(invoice, details=invoice.billed), today)
    problems += invoice.org_fields.problems
    if invoice.lines and invoice.total.minor == 0:
        problems.append(NOTHING_TO_PAY)
    if invoice.billed.automatic_tax and not invoice.account.address:
        problems.append(
            f"Stripe Tax needs to know where {invoice.account.name} is: give the Account a "
            "billing address with a country, by its name or its code."
            f"{invoice.account.address_note}"
        )
    return problems


def sending_problems(invoice: Invoice, today: date) -> list[str]:
    """Say everything that keeps a draft from being sent; empty when nothing does."""
    problems = billing_problems(invoice, today)
    if invoice.made_in_stripe:  # what it bills is Stripe's to judge
        problems = [] if invoice.lines else [f"{invoice.name} has no lines; add some in Stripe."]
    if not invoice.email:
        problems.append(
            f"{invoice.account.name} has no e-mail address for invoices; fill Invoice E-mail "
            "on the Account or choose a Bill To contact with an address."
        )
    return problems

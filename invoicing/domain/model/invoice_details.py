"""Everything on an invoice besides its lines: terms, discount, tax, payment and looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from invoicing.domain.model.dates import written
from invoicing.domain.model.money import Money, chargeable_step, decimals, exponent, plain, share

MAX_CUSTOM_FIELDS = 4
"""Stripe's limit, the PO number among them: https://docs.stripe.com/invoicing/customize"""

CUSTOM_NAME_LENGTH = 40
CUSTOM_VALUE_LENGTH = 140
FOOTER_LENGTH = 5000
TAX_RATES_LENGTH = 255
PERCENT_DECIMALS = 2
"""Decimals that the Salesforce field keeps."""

PO_NUMBER = "PO number"
"""The name under which the customer reads the PO number, among the custom fields."""

PAYMENT_METHODS = frozenset(
    [
        "ach_credit_transfer",
        "ach_debit",
        "acss_debit",
        "affirm",
        "alipay",
        "amazon_pay",
        "au_becs_debit",
        "bacs_debit",
        "bancontact",
        "billie",
        "blik",
        "boleto",
        "card",
        "cashapp",
        "crypto",
        "customer_balance",
        "eps",
        "fpx",
        "giropay",
        "grabpay",
        "ideal",
        "jp_credit_transfer",
        "kakao_pay",
        "klarna",
        "konbini",
        "kr_card",
        "link",
        "mb_way",
        "multibanco",
        "naver_pay",
        "nz_bank_account",
        "p24",
        "pay_by_bank",
        "payco",
        "paynow",
        "paypal",
        "payto",
        "pix",
        "promptpay",
        "revolut_pay",
        "satispay",
        "sepa_credit_transfer",
        "sepa_debit",
        "sequra",
        "sofort",
        "swish",
        "twint",
        "upi",
        "us_bank_account",
        "wechat_pay",
    ]
)
"""Payment methods on invoices: ``payment_settings.payment_method_types`` of Stripe's API."""


class Terms(StrEnum):
    """Days for payment, counted from the day of sending."""

    NET_15 = "Net 15"
    NET_30 = "Net 30"
    NET_45 = "Net 45"
    NET_60 = "Net 60"
    NET_90 = "Net 90"

    @property
    def days(self) -> int:
        """Number of days."""
        return int(self.value.split()[1])


class Collection(StrEnum):
    """Collection method."""

    SEND = "Send Invoice"
    CHARGE = "Charge Automatically"


@dataclass(frozen=True, slots=True)
class Discount:
    """A percentage or an amount (major units) off; both at once is a mistake to be named."""

    percent: Decimal | None = None
    amount: Decimal | None = None

    def off(self, nets: Sequence[Money]) -> Money:
        """Amount taken off some lines of one currency, given what each still comes to.

        Stripe tells each line's part of a discount, rounded on the line, and their sum; an
        amount takes off no more than there is.
        Source: https://docs.stripe.com/api/invoice-line-item/object ``discount_amounts``
        """
        currency = nets[0].currency
        whole = sum(nets, Money(currency, 0))
        if self.percent is not None:
            parts = (share(net, self.percent) for net in nets)
            return sum(parts, Money(currency, 0))
        return min(whole, Money.of(self.amount or 0, currency))

    def problems(self, nets: Sequence[Money]) -> Iterable[str]:
        """Say what is wrong with it, in words that follow ``the discount``."""
        if self.percent is not None and self.amount is not None:
            yield (
                "has a percentage and an amount; fill in Discount Percent or Discount Amount, not "
                "both."
            )
            return
        if self.percent is not None:
            if not 0 < self.percent <= 100:
                yield f"must be above 0 and at most 100 percent, not {self.percent}."
            if decimals(self.percent) > PERCENT_DECIMALS:
                yield f"of {self.percent} percent has more than {PERCENT_DECIMALS} decimals."
        if self.amount is not None and nets:
            yield from self._amount_problems(self.amount, sum(nets[1:], nets[0]))

    def _amount_problems(self, amount: Decimal, whole: Money) -> Iterable[str]:
        currency = whole.currency
        if amount <= 0:
            yield f"must be above zero, not {amount}."
        elif decimals(amount) > exponent(currency):
            yield f"of {amount} has more decimals than {currency}."
        elif Money.of(amount, currency).minor % chargeable_step(currency):
            step = Money(currency, chargeable_step(currency))
            yield f"of {amount} is not possible; {currency} goes in steps of {step}."
        elif Money.of(amount, currency) > whole:
            yield f"of {Money.of(amount, currency)} is more than the {whole} it is taken from."

    def __str__(self) -> str:
        parts = [] if self.percent is None else [f"{plain(self.percent)} %"]
        return " and ".join([*parts, *([] if self.amount is None else [plain(self.amount)])])


@dataclass(frozen=True, slots=True)
class CustomField:
    """A name and a value that the customer reads beside the invoice's number."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Details:
    """Everything about an invoice that is optional; empty means Stripe's own default.

    Attributes:
        terms: Days for payment from the day of sending, instead of a due date.
        tax_rates: Names that the settings map to Stripe's tax rates, or ids (``txr_…``).
        send_on: The business day on which the draft is sent by itself.
        template: Stripe's rendering template (``inrtem_…``).
    """

    terms: Terms | None = None
    po_number: str = ""
    footer: str = ""
    custom_fields: tuple[CustomField, ...] = ()
    discount: Discount | None = None
    automatic_tax: bool = False
    tax_rates: tuple[str, ...] = ()
    collection: Collection = Collection.SEND
    send_on: date | None = None
    payment_methods: tuple[str, ...] = ()
    template: str = ""

    @property
    def all_custom_fields(self) -> tuple[CustomField, ...]:
        """The custom fields as Stripe has them, the PO number first."""
        own = (CustomField(PO_NUMBER, self.po_number),) if self.po_number else ()
        return own + self.custom_fields

    def due_on(self, due_date: date | None, sending: date) -> date | None:
        """The last day for payment of an invoice that is sent on a business day."""
        if self.collection is Collection.CHARGE:
            return None
        return sending + timedelta(days=self.terms.days) if self.terms else due_date

    @property
    def fingerprint(self) -> str:
        """The same text for the same details, however the numbers are written."""
        return "\x1e".join(f"{f.name}={getattr(self, f.name)!s}" for f in fields(self))


@dataclass(frozen=True, slots=True)
class OrgFields:
    """Values of an org's own fields for an invoice, by its field mapping.

    Attributes:
        metadata: Names and values for Stripe's metadata; an empty value takes a name away.
        custom_fields: What the customer reads beside those of the record.
        automatic_tax: Stripe Tax, where the record itself says nothing of taxes.
        tax_rates: Tax rates, where the record itself says nothing of taxes.
        problems: What the org's fields say that cannot be done.
    """

    metadata: tuple[tuple[str, str], ...] = ()
    custom_fields: tuple[CustomField, ...] = ()
    automatic_tax: bool = False
    tax_rates: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def details_problems(details: Details, *, due_date: date | None) -> Iterable[str]:
    """Say everything that is wrong with the details, the discount aside."""
    yield from _due_problems(details, due_date)
    yield from _custom_field_problems(details)
    if len(details.footer) > FOOTER_LENGTH:
        yield f"The footer has {len(details.footer):,} characters; {FOOTER_LENGTH:,} fit."
    if details.automatic_tax and details.tax_rates:
        yield "Choose either Stripe Tax or tax rates, not both."
    if len(", ".join(details.tax_rates)) > TAX_RATES_LENGTH:
        yield f"The tax rates have more than {TAX_RATES_LENGTH} characters."
    for method in details.payment_methods:
        if method not in PAYMENT_METHODS:
            yield f"{method!r} is not a payment method that Stripe offers on invoices."
    if details.template and not details.template.startswith("inrtem_"):
        yield f"{details.template!r} is not a rendering template; its id begins with inrtem_."


def _due_problems(details: Details, due_date: date | None) -> Iterable[str]:
    if details.collection is Collection.CHARGE:
        if due_date or details.terms:
            yield "An invoice that is charged automatically has no due date and no payment terms."
    elif due_date and details.terms:
        yield "Give either a due date or payment terms, not both."
    elif not due_date and not details.terms:
        yield "The due date is missing; give one, or payment terms."
    if due_date and details.send_on and details.send_on > due_date:
        send_on, due = written(details.send_on), written(due_date)
        yield f"The sending date {send_on} is after the due date {due}."


def _custom_field_problems(details: Details) -> Iterable[str]:
    shown = details.all_custom_fields
    if len(shown) > MAX_CUSTOM_FIELDS:
        number = " with the PO number" if details.po_number else ""
        yield f"There are {len(shown)} custom fields{number}; Stripe allows {MAX_CUSTOM_FIELDS}."
    names = [entry.name.casefold() for entry in shown]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"The custom field {name!r} is there more than once."
    for entry in shown:
        where = "The PO number" if entry.name == PO_NUMBER else f"The custom field {entry.name!r}"
        if not entry.name or len(entry.name) > CUSTOM_NAME_LENGTH or set(entry.name) & set(":\n"):
            yield f"{where} needs a name of 1 to {CUSTOM_NAME_LENGTH} characters without a colon."
        if not entry.value or len(entry.value) > CUSTOM_VALUE_LENGTH or "\n" in entry.value:
            yield f"{where} needs a value of 1 to {CUSTOM_VALUE_LENGTH} characters on one line."

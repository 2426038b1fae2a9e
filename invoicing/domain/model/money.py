"""Money that knows its currency.

Amounts travel as integers in the currency's minor unit, as Stripe wants them; people and
Salesforce see decimals. How many decimals a currency has, and which multiples Stripe
accepts, is Stripe's table: https://docs.stripe.com/currencies#zero-decimal
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

ZERO_DECIMAL = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905
)
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
TWO_DECIMAL = frozenset(
    """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD
    CDF CHF CNY COP CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG
    HUF IDR ILS INR ISK JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR
    MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK
    SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH UGX USD UYU UZS WST XCD XCG YER ZAR
    ZMW""".split()  # noqa: SIM905
)
CURRENCIES = ZERO_DECIMAL | TWO_DECIMAL | THREE_DECIMAL
"""Currencies that Stripe bills in."""

MINIMUM_CHARGES = {
    "AED": 200,
    "AUD": 50,
    "BGN": 100,
    "BRL": 50,
    "CAD": 50,
    "CHF": 50,
    "CZK": 1500,
    "DKK": 250,
    "EUR": 50,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17500,
    "INR": 50,
    "JPY": 50,
    "MXN": 1000,
    "MYR": 200,
    "NOK": 300,
    "NZD": 50,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "SGD": 50,
    "THB": 1000,
    "USD": 50,
}
MAXIMUM_CHARGE = 99_999_999
MAXIMUM_CHARGES = {
    "COP": 9_999_999_999,
    "HUF": 9_999_999_999,
    "IDR": 999_999_999_999,
    "INR": 999_999_999,
    "JPY": 9_999_999_999,
    "LBP": 99_999_999_999,
}
"""The least and the most that Stripe collects at once, in minor units:
https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts"""

EXACT_DIGITS = 60
"""Digits that products of quantities and prices are worked out with; none is lost."""

EXPONENTS = {**dict.fromkeys(ZERO_DECIMAL, 0), **dict.fromkeys(THREE_DECIMAL, 3)}
"""Decimals of currencies in Stripe's API that are not two."""

STEPS = {"ISK": 100, "UGX": 100, **dict.fromkeys(THREE_DECIMAL, 10)}
"""In minor units, where it is not one. ISK and UGX have two decimals in Stripe's API for history's
sake, though they have no minor unit."""


def exponent(currency: str) -> int:
    """Number of decimals of a currency in Stripe's API: 0, 2 or 3."""
    return EXPONENTS.get(currency.upper(), 2)


def chargeable_step(currency: str) -> int:
    """The smallest amount, in minor units, that Stripe charges: amounts are its multiples."""
    return STEPS.get(currency.upper(), 1)


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An exact amount: ``minor`` units of ``currency`` (upper-case ISO 4217)."""

    currency: str
    minor: int

    def __post_init__(self) -> None:
        if self.currency != self.currency.upper():
            object.__setattr__(self, "currency", self.currency.upper())

    @classmethod
    def of(cls, amount: Decimal | int | str, currency: str) -> "Money":
        """Make money of a decimal amount, rounding half up to the minor unit."""
        return cls(currency, to_minor(Decimal(amount), currency))

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, with exactly the currency's decimals."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.currency, self.minor + other.minor)

    def __sub__(self, other: "Money") -> "Money":
        return self + Money(other.currency, -other.minor)

    def __str__(self) -> str:
        return f"{self.decimal:,} {self.currency}"


def smallest_charge(currency: str) -> Money:
    """The least that Stripe collects in a currency; zero where it lists none."""
    return Money(currency, MINIMUM_CHARGES.get(currency.upper(), 0))


def largest_charge(currency: str) -> Money:
    """The most that Stripe collects at once in a currency."""
    return Money(currency, MAXIMUM_CHARGES.get(currency.upper(), MAXIMUM_CHARGE))


def to_minor(amount: Decimal, currency: str) -> int:
    """Round a decimal amount half up to whole minor units, however large it is."""
    scaled = amount.scaleb(exponent(currency))
    return int(scaled.to_integral_value(rounding=ROUND_HALF_UP))


def line_amount(quantity: Decimal, unit_price: Decimal, currency: str) -> Money:
    """Amount of one invoice line.

    Stripe multiplies the exact unit price by the exact quantity and rounds each line
    once, half up, to the minor unit: https://docs.stripe.com/billing/subscriptions/decimal-amounts
    """
    with localcontext(prec=EXACT_DIGITS):
        return Money.of(quantity * unit_price, currency)


def share(amount: Money, part: Decimal, whole: int = 100) -> Money:
    """A part of an amount, a percentage by default, rounded half up to what Stripe can charge."""
    step = chargeable_step(amount.currency)
    with localcontext(prec=EXACT_DIGITS):
        steps = (amount.minor * part / (whole * step)).quantize(Decimal(1), ROUND_HALF_UP)
    return Money(amount.currency, int(steps) * step)


def decimals(number: Decimal) -> int:
    """Number of decimals of a number, trailing zeros aside."""
    return len(plain(number).partition(".")[2])


def unit_amount_decimal(unit_price: Decimal, currency: str) -> str:
    """A unit price as Stripe's ``unit_amount_decimal``: minor units, up to 12 decimals."""
    return plain(unit_price.scaleb(exponent(currency)))


def shown(number: Decimal, least_decimals: int = 0) -> str:
    """A price or a quantity for people: thousands set apart, no needless zeros.

    Args:
        number: What is shown.
        least_decimals: How many decimals it has in any case, as its currency's.
    """
    return f"{number:,.{max(least_decimals, decimals(number))}f}"


def plain(number: Decimal) -> str:
    """A decimal in plain notation, without exponent or trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

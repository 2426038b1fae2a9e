"""Amounts as Stripe computes them: integers in a currency's minor unit.

Currency rules from https://docs.stripe.com/currencies: zero-decimal currencies, three-decimal ones
whose last digit must be 0, and ISK and UGX, written with two decimals that must be 00.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from sandbox.stripe.errors import invalid

ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())  # noqa: SIM905
WHOLE_UNITS = frozenset("isk ugx".split())  # noqa: SIM905
TWO_DECIMAL = frozenset(
    """aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad
    cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg
    huf idr ils inr jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk
    mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd
    shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd xcg yer zar
    zmw""".split()  # noqa: SIM905
)
SUPPORTED = ZERO_DECIMAL | THREE_DECIMAL | WHOLE_UNITS | TWO_DECIMAL

MINIMUM = {
    "usd": 50,
    "aed": 200,
    "aud": 50,
    "bgn": 100,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
}
"""The least that can be charged, in minor units.

From https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts. Stripe lists them by the
currency of the bank account that is paid out to, and converts for all other currencies; here each
currency counts as its own, and one that is not listed has no minimum.
"""

MAXIMUM = 99_999_999
"""The most that can be charged, in minor units, but for some currencies; same source."""

MAXIMUM_OF = {
    "cop": 9_999_999_999,
    "huf": 9_999_999_999,
    "idr": 999_999_999_999,
    "inr": 999_999_999,
    "jpy": 9_999_999_999,
    "lbp": 99_999_999_999,
}

SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def decimals(currency: str) -> int:
    """Return how many decimals a currency's minor unit stands for in the API."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def step(currency: str) -> int:
    """Return the smallest amount that can be charged, in minor units."""
    if currency in WHOLE_UNITS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def too_small(amount: int, currency: str) -> bool:
    """Return whether an amount is more than nothing and less than can be charged."""
    return 0 < amount < MINIMUM.get(currency, 0)


def too_large(amount: int, currency: str) -> bool:
    """Return whether an amount is more than can be charged."""
    return amount > MAXIMUM_OF.get(currency, MAXIMUM)


def check_charge(amount: int, currency: str, param: str) -> int:
    """Return an amount that can be charged.

    Raises:
        StripeError: If it is too small, too large, or none of the currency's.
    """
    if amount < 1 or too_small(amount, currency):
        least = display(MINIMUM.get(currency, 1), currency)
        raise invalid(f"Amount must be at least {least}", param, "amount_too_small")
    if too_large(amount, currency):
        most = display(MAXIMUM_OF.get(currency, MAXIMUM), currency)
        raise invalid(f"Amount must be no more than {most}", param, "amount_too_large")
    return check_amount(amount, currency, param)


def check_currency(code: str, param: str = "currency") -> str:
    """Return a currency in lower case.

    Raises:
        StripeError: If Stripe does not support it.
    """
    currency = code.lower()
    if currency not in SUPPORTED:
        raise invalid(f"Invalid currency: {code}. Stripe does not support this currency.", param)
    return currency


def check_amount(amount: int, currency: str, param: str) -> int:
    """Return an amount that a currency can express.

    Raises:
        StripeError: If it is too large or not a multiple of the currency's step.
    """
    if abs(amount) > 999_999_999_999:
        raise invalid("Amount must be no more than 12 digits.", param, "amount_too_large")
    if amount % step(currency):
        raise invalid(
            f"Invalid amount: {currency} amounts must be a multiple of {step(currency)}.",
            param,
            "parameter_invalid_integer",
        )
    return amount


def rounded(amount: Decimal, currency: str) -> int:
    """Round half up (away from zero) to the currency's step."""
    unit = step(currency)
    return int((amount / unit).quantize(Decimal(1), ROUND_HALF_UP)) * unit


def multiplied(unit_amount: Decimal, quantity: Decimal, currency: str) -> int:
    """Return a line's amount, rounded once, on the line."""
    return rounded(unit_amount * quantity, currency)


def allocated(amount: int, weights: Sequence[int], currency: str) -> list[int]:
    """Split an amount over weights so that the parts add up to it (largest remainder)."""
    whole = sum(weights)
    if not whole:
        return [0 for _ in weights]
    unit = step(currency)
    parts = [amount * weight // whole // unit * unit for weight in weights]
    by_remainder = sorted(
        range(len(weights)),
        key=lambda i: amount * weights[i] / whole - parts[i],
        reverse=True,
    )
    for index in by_remainder[: (amount - sum(parts)) // unit]:
        parts[index] += unit
    return parts


def plain(number: Decimal) -> str:
    """Write a decimal as Stripe does: no exponent, no trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def display(amount: int | None, currency: str) -> str:
    """Print an amount for people, such as $1,234.50 or 1,234.500 KWD."""
    if amount is None:
        return "-"
    digits = decimals(currency)
    figure = f"{Decimal(abs(amount)).scaleb(-digits):,.{digits}f}"
    symbol = SYMBOLS.get(currency)
    text = f"{symbol}{figure}" if symbol else f"{figure} {currency.upper()}"
    return f"-{text}" if amount < 0 else text


def parsed(text: str, currency: str) -> int:
    """Read an amount in major units, such as 1,234.50.

    Raises:
        StripeError: If it is not one.
    """
    try:
        amount = Decimal(text.strip().replace(",", "")).scaleb(decimals(currency))
    except InvalidOperation:
        raise invalid(f"Invalid amount: {text}", "amount") from None
    if amount != int(amount):
        raise invalid(f"Invalid amount: {text}", "amount")
    return check_amount(int(amount), currency, "amount")

"""Countries, as people write them on an Account, and their codes of two letters (ISO 3166-1)."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

from babel import Locale
from babel.core import get_global

Meaning = TypeVar("Meaning")

LANGUAGES = (
    *("en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "nb", "fi", "is", "cs", "sk"),
    *("sl", "hr", "sr", "hu", "ro", "bg", "el", "et", "lv", "lt", "mt", "ga", "ca", "eu", "uk"),
    *("ru", "tr", "ar", "he", "hi", "ja", "ko", "zh", "zh_Hant", "th", "vi", "id"),
)
"""Languages in which a country's name is known."""

OTHER_NAMES = {
    "united states of america": "US",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "holland": "NL",
    "czech republic": "CZ",
    "turkey": "TR",
    "republic of ireland": "IE",
    "republic of korea": "KR",
    "hong kong": "HK",
    "macau": "MO",
}
"""Names in use beside those that Unicode's data has."""

NO_COUNTRIES = frozenset(["EU", "XA", "XB", "ZZ"])


def country_code(said: str) -> str | None:
    """The code of a country by its code, its name, or what else it is called; None if unknown.

    A name that means several countries is none. Names are those of Unicode's CLDR.
    """
    word = _plain(said)
    aliases = get_global("territory_aliases").get(word.upper(), ())
    code = aliases[0] if len(aliases) == 1 else word.upper()
    return code if code in _codes() else OTHER_NAMES.get(word) or _by_name().get(word)


def _plain(said: str) -> str:
    return " ".join(said.replace(".", "").casefold().split()).removeprefix("the ")


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    """All codes of countries; CLDR has regions and inventions of its own beside them."""
    aliases = get_global("territory_aliases").items()
    known = {codes[0] for number, codes in aliases if number.isdigit() and len(codes) == 1}
    return frozenset(known & Locale.parse("en").territories.keys()) - NO_COUNTRIES


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str | None]:
    """Codes by name in all languages; None where the name has several."""
    return one_meaning_each(
        (_plain(name), code)
        for language in LANGUAGES
        for code, name in Locale.parse(language).territories.items()
        if code in _codes()
    )


def one_meaning_each(words: Iterable[tuple[str, Meaning]]) -> dict[str, Meaning | None]:
    """What each word means; None where it means several things."""
    found: dict[str, Meaning | None] = {}
    for word, meaning in words:
        found[word] = meaning if found.get(word, meaning) == meaning else None
    return found

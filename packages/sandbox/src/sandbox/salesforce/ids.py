"""Record ids: 15 case-sensitive characters, or 18 that survive case-blind software.

The three extra characters encode which of the 15 are upper case, five at a time
(Salesforce, "ID Field Type").
"""

from __future__ import annotations

from sandbox.salesforce.errors import SalesforceError

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_POD = "Hs0"
_CASES = {ord(char): "1" if char.isupper() else "0" for char in BASE62}
_SUFFIX_OF = {f"{bits:05b}"[::-1]: char for bits, char in enumerate(_SUFFIX)}
"""By which of five characters are upper case."""


def make_id(prefix: str, number: int) -> str:
    """The 18-character id of the n-th record of the object with this key prefix."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return with_suffix(f"{prefix}{_POD}{digits:0>9}")


def with_suffix(short: str) -> str:
    """The 18-character form of a 15-character id."""
    cases = short.translate(_CASES)
    return short + _SUFFIX_OF[cases[:5]] + _SUFFIX_OF[cases[5:10]] + _SUFFIX_OF[cases[10:]]


def is_id(value: object) -> bool:
    """Whether a value has the shape of a record id; an 18-character one must check out."""
    if not isinstance(value, str) or not value.isascii() or not value.isalnum():
        return False
    return len(value) == 15 or (len(value) == 18 and with_suffix(value[:15]) == value)


def repaired(value: str) -> str:
    """An 18-character id with its letter case restored from the suffix.

    Returns the value unchanged where the suffix is none.
    """
    suffix = value[15:].upper()
    if any(char not in _SUFFIX for char in suffix):
        return value
    restored = ""
    for position, char in enumerate(value[:15]):
        bits = _SUFFIX.index(suffix[position // 5])
        restored += char.upper() if bits >> (position % 5) & 1 else char.lower()
    return restored + suffix


def normalize(value: str) -> str:
    """The 18-character form of any id Salesforce accepts.

    Raises:
        SalesforceError: MALFORMED_ID where the value is not an id.
    """
    if isinstance(value, str) and value.isascii() and value.isalnum():
        if len(value) == 15:
            return with_suffix(value)
        if len(value) == 18 and (is_id(value) or is_id(value := repaired(value))):
            return value
    raise SalesforceError("MALFORMED_ID", f"malformed id {value}", status=400)

"""Record ids: 15 case-sensitive characters, or 18 that survive case-blind software.

The three extra characters encode which of the 15 are upper case, five at a time
(Salesforce, "ID Field Type").
"""

from __future__ import annotations

from sandbox.salesforce.errors import SalesforceError

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_POD = "Hs0"


def make_id(prefix: str, number: int) -> str:
    """The 18-character id of the n-th record of the object with this key prefix."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return with_suffix(f"{prefix}{_POD}{digits:0>9}")


def with_suffix(short: str) -> str:
    """The 18-character form of a 15-character id."""
    chunks = (short[i : i + 5] for i in (0, 5, 10))
    return short + "".join(
        _SUFFIX[sum(1 << bit for bit, char in enumerate(chunk) if char.isupper())]
        for chunk in chunks
    )


def is_id(value: object) -> bool:
    """Whether a value has the shape of a record id; an 18-character one must check out."""
    if not isinstance(value, str) or not value.isascii() or not value.isalnum():
        return False
    return len(value) == 15 or (len(value) == 18 and repaired(value) == value)


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
        if len(value) == 18 and with_suffix(repaired(value)[:15]) == repaired(value):
            return repaired(value)
    raise SalesforceError("MALFORMED_ID", f"malformed id {value}", status=400)

"""Record ids: 15 characters where case matters, or 18 with what makes up for its loss.

Source: "Record IDs", Salesforce's object reference.
"""


def looks_like_id(word: str, prefix: str = "") -> bool:
    """Whether a word can be a record's id, of an object with such a prefix."""
    return word.isalnum() and len(word) in (15, 18) and word.startswith(prefix)


def short(record_id: str) -> str:
    """The 15 characters that tell records apart, whichever way their id was written."""
    return record_id[:15]


def same_id(one: str, other: str) -> bool:
    """Whether two ids are of one record."""
    return short(one) == short(other)

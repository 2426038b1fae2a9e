"""Fingerprints: whether something is the same as before, in a few characters."""

import hashlib


def fingerprint(*parts: object) -> str:
    """Short for some values: equal ones have the same, others have another.

    Args:
        parts: Values whose ``repr`` says all that they are.

    Returns:
        32 hexadecimal digits, the same in every process. The ledger keeps them: another way to
        work them out would make another request of each that is repeated.
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

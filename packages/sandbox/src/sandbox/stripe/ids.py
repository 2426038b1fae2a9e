"""Ids in Stripe's form."""

import random
import string

from sandbox.stripe.store import KINDS

ALPHABET = string.ascii_letters + string.digits
_random = random.SystemRandom()


def token(length: int = 24) -> str:
    """Return random letters and digits."""
    return "".join(_random.choices(ALPHABET, k=length))


def new_id(kind: str) -> str:
    """Return an id for a new object of a kind."""
    return f"{KINDS[kind].prefix}_1{token(23)}"

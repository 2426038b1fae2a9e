"""Applying request parameters to objects the way Stripe does."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sandbox.stripe.api import Params
from sandbox.stripe.errors import invalid
from sandbox.stripe.store import Doc

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def put(doc: Doc, params: Params, names: Iterable[str]) -> None:
    """Copy plain fields; an empty string unsets one."""
    for name in names:
        if name in params:
            doc[name] = None if params[name] == "" else params[name]


def put_metadata(doc: Doc, params: Params) -> None:
    """Merge metadata: an empty value removes a key, an empty string removes all.

    Raises:
        StripeError: If there would be more than 50 keys (https://docs.stripe.com/metadata).
    """
    if "metadata" not in params:
        return
    given: Any = params["metadata"] or {}
    merged = given if params["metadata"] == "" else doc["metadata"] | given
    kept = {key: value for key, value in merged.items() if value != ""}
    if len(kept) > 50:
        raise invalid("You can only set up to 50 metadata keys.", "metadata")
    doc["metadata"] = kept


def address(value: Any) -> Doc | None:
    """Return an address with all its fields, or None for an empty one."""
    return {name: value.get(name) for name in ADDRESS} if value else None


def shipping(value: Any) -> Doc | None:
    """Return shipping details with all their fields, or None."""
    if not value:
        return None
    return {
        "address": address(value.get("address")),
        "name": value.get("name"),
        "phone": value.get("phone"),
    }


def check_length(text: str | None, limit: int, param: str) -> None:
    """Refuse a text that is longer than Stripe takes.

    Raises:
        StripeError: 400.
    """
    if text and len(text) > limit:
        raise invalid(
            f"Invalid string: {text[:10]}...{text[-10:]}; must be at most {limit} characters",
            param,
        )


def number(value: Decimal | int | None) -> Decimal | None:
    """Return a number as a Decimal."""
    return None if value is None else Decimal(value)

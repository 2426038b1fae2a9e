"""Expanding ids into objects, and filling the fields that are only there when asked for."""

from collections.abc import Callable
from typing import Any

import orjson

from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.store import Doc

MAX_DEPTH = 4

EXPANDABLE: dict[str, dict[str, str]] = {
    "invoice": {
        "customer": "customer",
        "default_payment_method": "payment_method",
        "discounts": "discount",
        "latest_revision": "invoice",
        "from_invoice.invoice": "invoice",
        "total_discount_amounts.discount": "discount",
    },
    "line_item": {
        "discounts": "discount",
        "discount_amounts.discount": "discount",
        "pricing.price_details.price": "price",
        "taxes.tax_rate_details.tax_rate": "tax_rate",
    },
    "invoiceitem": {
        "customer": "customer",
        "invoice": "invoice",
        "discounts": "discount",
        "pricing.price_details.price": "price",
    },
    "invoice_payment": {
        "invoice": "invoice",
        "payment.payment_intent": "payment_intent",
        "payment.payment_record": "payment_record",
        "payment.charge": "charge",
    },
    "payment_intent": {
        "customer": "customer",
        "latest_charge": "charge",
        "payment_method": "payment_method",
    },
    "charge": {"customer": "customer", "payment_intent": "payment_intent"},
    "refund": {"charge": "charge", "payment_intent": "payment_intent"},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "credit_note": {
        "customer": "customer",
        "invoice": "invoice",
        "refunds.refund": "refund",
        "customer_balance_transaction": "customer_balance_transaction",
        "discount_amounts.discount": "discount",
    },
    "customer": {"invoice_settings.default_payment_method": "payment_method"},
    "customer_balance_transaction": {
        "customer": "customer",
        "invoice": "invoice",
        "credit_note": "credit_note",
    },
    "product": {"default_price": "price"},
    "price": {"product": "product"},
    "discount": {"customer": "customer", "source.coupon": "coupon"},
    "promotion_code": {"promotion.coupon": "coupon", "customer": "customer"},
    "payment_method": {"customer": "customer"},
}
"""Object to field path to the kind of object behind the id there."""

INCLUDABLE: dict[tuple[str, str], Callable[[Context, Doc], Any]] = {}
"""Object and field to what fills a field that is absent unless expanded."""


def includable(object_name: str, field: str) -> Callable[..., Any]:
    """Register what fills a field that is only there on request."""

    def register(fill: Callable[[Context, Doc], Any]) -> Callable[[Context, Doc], Any]:
        INCLUDABLE[object_name, field] = fill
        return fill

    return register


def expanded(context: Context, doc: Doc, paths: list[str]) -> Doc:
    """Return an answer with everything under the paths expanded.

    Raises:
        StripeError: If a path is too deep or leads to something that cannot be expanded.
    """
    for path in paths:
        parts = path.split(".")
        if len(parts) - (parts[0] == "data") > MAX_DEPTH:
            raise invalid(
                f"You cannot expand more than {MAX_DEPTH} levels of a property.", "expand"
            )
        _expand(context, doc, parts, path)
    return doc


def _expand(context: Context, value: Any, parts: list[str], path: str) -> None:
    """Walk down a path inside one object, list object or array."""
    if isinstance(value, list):
        for item in value:
            _expand(context, item, parts, path)
        return
    if not isinstance(value, dict) or not parts:
        return
    if value.get("object") == "list" and parts[0] == "data":
        _expand(context, value["data"], parts[1:], path)
        return
    _expand_field(context, value, parts, path)


def _expand_field(context: Context, doc: Doc, parts: list[str], path: str) -> None:
    """Expand the longest known field path of an object, then go on inside it."""
    known = EXPANDABLE.get(doc.get("object", ""), {})
    for length in range(1, len(parts) + 1):
        field = ".".join(parts[:length])
        if field in known:
            targets = _replace(context, doc, parts[:length], known[field])
            _expand(context, targets, parts[length:], path)
            return
    fill = INCLUDABLE.get((doc.get("object", ""), parts[0]))
    if fill:
        doc[parts[0]] = fill(context, doc)
    elif len(parts) == 1 or parts[0] not in doc:
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    _expand(context, doc[parts[0]], parts[1:], path)


def _replace(context: Context, holder: Any, parts: list[str], kind: str) -> list[Any]:
    """Put objects where their ids are and return the objects."""
    if isinstance(holder, list):
        return [doc for item in holder for doc in _replace(context, item, parts, kind)]
    if not isinstance(holder, dict) or holder.get(parts[0]) is None:
        return []
    if len(parts) > 1:
        return _replace(context, holder[parts[0]], parts[1:], kind)
    value = holder[parts[0]]
    if isinstance(value, list):
        holder[parts[0]] = [_object(context, kind, item) for item in value]
        return list(holder[parts[0]])
    holder[parts[0]] = _object(context, kind, value)
    return [holder[parts[0]]]


def _object(context: Context, kind: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    body = context.space.body(kind, value)
    return orjson.loads(body) if body else value

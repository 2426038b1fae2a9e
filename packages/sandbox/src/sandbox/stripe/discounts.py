"""Redeeming coupons and promotion codes into discounts."""

from collections.abc import Sequence
from typing import Any

from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, wrong_state
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc


def redeemed(
    context: Context,
    given: Sequence[Any],
    customer: str,
    *,
    invoice: str | None = None,
    item: str | None = None,
) -> list[str]:
    """Turn a ``discounts`` parameter into the ids of discounts on an invoice or an item.

    Raises:
        StripeError: If a coupon is unknown, expired or used up.
    """
    ids = []
    for index, entry in enumerate(given):
        if len(entry) != 1:
            raise invalid(
                "Each discount takes exactly one of coupon, discount and promotion_code.",
                f"discounts[{index}]",
            )
        if "discount" in entry:
            found = context.require("discount", entry["discount"], f"discounts[{index}][discount]")
        else:
            found = _new_discount(context, entry, f"discounts[{index}]", customer)
            found |= {"invoice": invoice, "invoice_item": item}
            context.space.insert("discount", found)
        ids.append(found["id"])
    return ids


def is_valid(coupon: Doc, now: int) -> bool:
    """Whether a coupon can still be redeemed."""
    expired = coupon["redeem_by"] is not None and coupon["redeem_by"] <= now
    used_up = (
        coupon["max_redemptions"] is not None
        and coupon["times_redeemed"] >= coupon["max_redemptions"]
    )
    return not expired and not used_up


def _new_discount(context: Context, entry: Doc, param: str, customer: str) -> Doc:
    code = None
    if "promotion_code" in entry:
        code = context.require(
            "promotion_code", entry["promotion_code"], f"{param}[promotion_code]"
        )
        if not code["active"] or code["customer"] not in (None, customer):
            raise wrong_state("This promotion code cannot be redeemed.", "coupon_expired", param)
        code["times_redeemed"] += 1
        context.space.update("promotion_code", code)
    coupon_id = code["promotion"]["coupon"] if code else entry["coupon"]
    coupon = context.require("coupon", coupon_id, f"{param}[coupon]")
    if not is_valid(coupon, context.now):
        raise wrong_state(f"Coupon expired: {coupon_id}", "coupon_expired", f"{param}[coupon]")
    coupon["times_redeemed"] += 1
    coupon["valid"] = is_valid(coupon, context.now)
    context.space.update("coupon", coupon)
    return {
        "id": new_id("discount"),
        "object": "discount",
        "checkout_session": None,
        "customer": customer,
        "customer_account": None,
        "end": None,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon_id, "type": "coupon"},
        "start": context.now,
        "subscription": None,
        "subscription_item": None,
    }

"""Coupons."""

from decimal import Decimal

from sandbox.stripe import discounts, money
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid, missing_param
from sandbox.stripe.expansion import includable
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.ids import token
from sandbox.stripe.store import Doc


@operation("POST", "/v1/coupons", "CouponCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a coupon: a percentage, or an amount of one currency."""
    if ("percent_off" in params) == ("amount_off" in params):
        raise invalid("Provide exactly one of percent_off and amount_off.", "percent_off")
    if "percent_off" in params and not 0 < params["percent_off"] <= 100:
        raise invalid("percent_off must be above 0 and at most 100.", "percent_off")
    if "amount_off" in params and "currency" not in params:
        raise missing_param("currency")
    coupon_id = params.get("id") or token(8)
    if context.space.body("coupon", coupon_id):
        raise StripeError("Coupon already exists.", code="resource_already_exists", param="id")
    products = params.get("applies_to", {}).get("products", [])
    for product in products:
        context.require("product", product, "applies_to[products]")
    coupon: Doc = {
        "id": coupon_id,
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": context.now,
        "currency": money.check_currency(params["currency"]) if "currency" in params else None,
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "livemode": context.livemode,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": {},
        "name": params.get("name") or None,
        "percent_off": _number(params.get("percent_off")),
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
        "_": {"products": products},
    }
    put_metadata(coupon, params)
    coupon["valid"] = discounts.is_valid(coupon, context.now)
    return context.add("coupon", coupon)


retrieves("coupon", "/v1/coupons/{coupon}", "CouponRetrieveParams")


@operation("POST", "/v1/coupons/{coupon}", "CouponUpdateParams")
def update(context: Context, params: Params, coupon_id: str) -> Doc:
    """Change a coupon's name or metadata; its terms are fixed."""
    coupon = context.require("coupon", coupon_id)
    put(coupon, params, ("name",))
    put_metadata(coupon, params)
    return context.save("coupon", coupon, "coupon.updated")


@operation("DELETE", "/v1/coupons/{coupon}", "CouponDeleteParams")
def delete(context: Context, _: Params, coupon_id: str) -> Doc:
    """Delete a coupon; discounts already made keep their amounts on finalized invoices."""
    coupon = context.require("coupon", coupon_id)
    context.space.delete("coupon", coupon_id)
    context.emit("coupon.deleted", coupon)
    return {"id": coupon_id, "object": "coupon", "deleted": True}


lists("coupon", "/v1/coupons", "CouponListParams")


@includable("coupon", "applies_to")
def applies_to(context: Context, coupon: Doc) -> Doc | None:
    """Return the products a coupon is limited to."""
    products = context.require("coupon", coupon["id"])["_"]["products"]
    return {"products": products}


def _number(value: float | None) -> float | int | None:
    """Write a whole percentage without decimals."""
    return int(value) if value is not None and Decimal(value) == int(value) else value

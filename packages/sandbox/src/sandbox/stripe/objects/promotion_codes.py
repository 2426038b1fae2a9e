"""Promotion codes: what customers redeem coupons with."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import missing_param, wrong_state
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.ids import new_id, token
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc


@operation("POST", "/v1/promotion_codes", "PromotionCodeCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a code customers can redeem a coupon with."""
    coupon_id = params["promotion"].get("coupon")
    if not coupon_id:
        raise missing_param("promotion[coupon]")
    context.require("coupon", coupon_id, "promotion[coupon]")
    code = params.get("code") or token(8).upper()
    if context.space.find("promotion_code", {"code": code, "active": True}):
        raise wrong_state("An active promotion code with this code already exists.", param="code")
    restrictions = params.get("restrictions", {})
    promotion_code: Doc = {
        "id": new_id("promotion_code"),
        "object": "promotion_code",
        "active": params.get("active", True),
        "code": code,
        "created": context.now,
        "customer": params.get("customer"),
        "customer_account": None,
        "expires_at": params.get("expires_at"),
        "livemode": context.livemode,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": {},
        "promotion": {"coupon": coupon_id, "type": "coupon"},
        "restrictions": {
            "first_time_transaction": restrictions.get("first_time_transaction", False),
            "minimum_amount": restrictions.get("minimum_amount"),
            "minimum_amount_currency": restrictions.get("minimum_amount_currency"),
        },
        "times_redeemed": 0,
        "_": {"coupon": coupon_id},
    }
    put_metadata(promotion_code, params)
    return context.add("promotion_code", promotion_code)


retrieves("promotion_code", "/v1/promotion_codes/{promotion_code}", "PromotionCodeRetrieveParams")


@operation("POST", "/v1/promotion_codes/{promotion_code}", "PromotionCodeUpdateParams")
def update(context: Context, params: Params, code_id: str) -> Doc:
    """Switch a promotion code on or off, or change its metadata."""
    promotion_code = context.require("promotion_code", code_id)
    put(promotion_code, params, ("active",))
    put_metadata(promotion_code, params)
    return context.save("promotion_code", promotion_code, "promotion_code.updated")


@operation("GET", "/v1/promotion_codes", "PromotionCodeListParams")
def list_all(context: Context, params: Params) -> Listing:
    """List promotion codes."""
    filters: Doc = {"_.coupon": params.pop("coupon")} if "coupon" in params else {}
    return listed(context, "promotion_code", "/v1/promotion_codes", params, filters)

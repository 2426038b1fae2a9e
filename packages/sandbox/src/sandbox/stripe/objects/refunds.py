"""Refunds."""

from sandbox.stripe import refunds
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import missing_param, wrong_state
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.store import Doc


@operation("POST", "/v1/refunds", "RefundCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Refund a charge, or the charge of a payment intent. An invoice stays paid."""
    if "charge" in params:
        charge = context.require("charge", params["charge"], "charge")
    elif "payment_intent" in params:
        intent = context.require("payment_intent", params["payment_intent"], "payment_intent")
        if intent["status"] != "succeeded":
            raise wrong_state("This PaymentIntent does not have a successful charge to refund.")
        charge = context.require("charge", intent["latest_charge"])
    else:
        raise missing_param("charge")
    made = refunds.refund(context, charge, params.get("amount"), params.get("reason"))
    put_metadata(made, params)
    context.space.update("refund", made)
    return made


retrieves("refund", "/v1/refunds/{refund}", "RefundRetrieveParams")


@operation("POST", "/v1/refunds/{refund}", "RefundUpdateParams")
def update(context: Context, params: Params, refund_id: str) -> Doc:
    """Change a refund's metadata."""
    made = context.require("refund", refund_id)
    put_metadata(made, params)
    return context.save("refund", made, "refund.updated")


@operation("POST", "/v1/refunds/{refund}/cancel", "RefundCancelParams")
def cancel(context: Context, _: Params, refund_id: str) -> Doc:
    """Cancel a refund that waits for the customer; card refunds never do."""
    context.require("refund", refund_id)
    raise wrong_state("Only refunds that require action can be canceled.")


lists("refund", "/v1/refunds", "RefundListParams")

"""Disputes."""

from sandbox.stripe import disputes
from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.store import Doc

retrieves("dispute", "/v1/disputes/{dispute}", "DisputeRetrieveParams")


@operation("POST", "/v1/disputes/{dispute}", "DisputeUpdateParams")
def update(context: Context, params: Params, dispute_id: str) -> Doc:
    """Give evidence; it is submitted to the bank unless told otherwise."""
    dispute = context.require("dispute", dispute_id)
    put_metadata(dispute, params)
    if "evidence" in params:
        dispute["evidence"] |= params["evidence"]
        details = dispute["evidence_details"]
        details["has_evidence"] = True
        if params.get("submit", True):
            details["submission_count"] += 1
            details["submission_method"] = "manual"
            dispute["status"] = "under_review"
    return context.save("dispute", dispute, "charge.dispute.updated")


@operation("POST", "/v1/disputes/{dispute}/close", "DisputeCloseParams")
def close(context: Context, _: Params, dispute_id: str) -> Doc:
    """Accept a dispute as lost."""
    return disputes.close_dispute(context, context.require("dispute", dispute_id), "lost")


lists("dispute", "/v1/disputes", "DisputeListParams")

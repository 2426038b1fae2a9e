"""Tax rates."""

from sandbox.stripe import tax
from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc


@operation("POST", "/v1/tax_rates", "TaxRateCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create a tax rate."""
    if not 0 <= params["percentage"] <= 100:
        raise invalid("percentage must be between 0 and 100.", "percentage")
    return context.add("tax_rate", tax.new_rate(context, params))


retrieves("tax_rate", "/v1/tax_rates/{tax_rate}", "TaxRateRetrieveParams")


@operation("POST", "/v1/tax_rates/{tax_rate}", "TaxRateUpdateParams")
def update(context: Context, params: Params, rate_id: str) -> Doc:
    """Change what a tax rate is called or archive it; its percentage is fixed."""
    rate = context.require("tax_rate", rate_id)
    put(rate, params, ("active", *tax.DESCRIPTIVE))
    put_metadata(rate, params)
    return context.save("tax_rate", rate, "tax_rate.updated")


@operation("GET", "/v1/tax_rates", "TaxRateListParams")
def list_rates(context: Context, params: Params) -> Listing:
    """List tax rates, without those made for a single line."""
    return listed(context, "tax_rate", "/v1/tax_rates", params, {"_.shown": True})

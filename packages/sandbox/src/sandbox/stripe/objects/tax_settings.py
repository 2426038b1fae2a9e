"""Whether Stripe Tax has what it needs."""

from sandbox.stripe.api import Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.store import Doc


@operation("GET", "/v1/tax/settings", "tax.SettingsRetrieveParams")
def retrieve(context: Context, _: Params) -> Doc:
    """Return the account's settings of Stripe Tax."""
    lacks = context.sandbox.settings.tax_lacks
    address = dict.fromkeys(("city", "line1", "line2", "postal_code", "state"))
    return {
        "object": "tax.settings",
        "defaults": {"provider": "stripe", "tax_behavior": None, "tax_code": "txcd_10000000"},
        "head_office": None
        if "head_office" in lacks
        else {"address": {"country": context.account.country, **address}},
        "livemode": context.livemode,
        "status": "pending" if lacks else "active",
        "status_details": {"pending": {"missing_fields": lacks}} if lacks else {"active": {}},
    }

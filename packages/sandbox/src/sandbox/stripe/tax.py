"""Taxes: rates, which of them a line carries, and automatic tax in a simple form.

Automatic tax here is one standard rate per country, taken from the customer's address (shipping
first); inclusive if the line's price says so. There are no registrations, thresholds, states or
product codes.
"""

from sandbox.stripe.api import Params
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.store import Doc
from sandbox.stripe.totals import GivenTax, Rates

DESCRIPTIVE = (
    "country",
    "description",
    "display_name",
    "jurisdiction",
    "state",
    "tax_type",
)

STANDARD_RATES = {
    "AT": 20,
    "AU": 10,
    "BE": 21,
    "CH": 8.1,
    "DE": 19,
    "ES": 21,
    "FR": 20,
    "GB": 20,
    "IE": 23,
    "IT": 22,
    "JP": 10,
    "NL": 21,
    "NZ": 15,
    "PL": 23,
    "SE": 25,
}
"""Percent by country, for automatic tax. Countries that are not here are not taxed."""


class LineRates(Rates):
    """The line's own amounts, else its own rates, else the invoice's rates or automatic tax."""

    def __init__(self, context: Context, invoice: Doc) -> None:
        self._context = context
        self._invoice = invoice

    def __call__(self, line: Doc) -> list[Doc] | list[GivenTax]:
        """Return the rates or the given amounts."""
        settings = self._invoice["_"].get("line_settings", {}).get(line["id"], {})
        if settings.get("tax_amounts"):
            return [self._given(tax) for tax in settings["tax_amounts"]]
        if settings.get("tax_rates"):
            return [self._context.require("tax_rate", rate) for rate in settings["tax_rates"]]
        if self._invoice["automatic_tax"]["enabled"]:
            return self._automatic(line)
        return list(self._invoice["default_tax_rates"])

    def _given(self, tax: Doc) -> GivenTax:
        rate = self._context.require("tax_rate", tax["rate"])
        return GivenTax(tax["amount"], tax["taxable_amount"], rate, tax["reason"])

    def _automatic(self, line: Doc) -> list[Doc]:
        country = tax_country(self._invoice)
        percentage = STANDARD_RATES.get(country or "")
        if percentage is None:
            return []
        price = self._context.space.get("price", line["pricing"]["price_details"]["price"])
        inclusive = bool(price) and (price or {})["tax_behavior"] == "inclusive"
        data = {
            "display_name": "VAT",
            "percentage": percentage,
            "inclusive": inclusive,
            "country": country,
        }
        return [hidden_rate(self._context, data)]


def tax_country(invoice: Doc) -> str | None:
    """Return the country an invoice is taxed in, if its customer has one."""
    shipping = invoice["customer_shipping"] or {}
    for address in (shipping.get("address"), invoice["customer_address"]):
        if address and address.get("country"):
            return str(address["country"])
    return None


def set_automatic(context: Context, invoice: Doc, enabled: bool) -> None:
    """Switch automatic tax on or off.

    Raises:
        StripeError: it is switched on, and nobody set Stripe Tax up. The sentence is Stripe's, as
            logs of public projects have it.
    """
    if enabled and context.sandbox.settings.tax_lacks:
        mode, page = ("live", "") if context.livemode else ("test", "test/")
        raise invalid(
            f"You must have a valid head office address to enable automatic tax calculation in "
            f"{mode} mode. Visit https://dashboard.stripe.com/{page}settings/tax to update it."
        )
    invoice["automatic_tax"] |= {
        "enabled": enabled,
        "liability": {"type": "self"} if enabled else None,
        "provider": "stripe" if enabled else None,
    }
    judge_automatic(invoice)


def judge_automatic(invoice: Doc) -> None:
    """Say whether automatic tax has what it needs."""
    automatic = invoice["automatic_tax"]
    if not automatic["enabled"]:
        automatic["status"] = None
    elif tax_country(invoice):
        automatic["status"] = "complete"
    else:
        automatic["status"] = "requires_location_inputs"


def new_rate(context: Context, params: Params, *, shown: bool = True) -> Doc:
    """Build a tax rate. One that is not shown was made by Stripe."""
    percentage = params["percentage"]
    whole = int(percentage) if percentage == int(percentage) else percentage
    rate: Doc = {
        "id": new_id("tax_rate"),
        "object": "tax_rate",
        "active": params.get("active", shown),
        "country": None,
        "created": context.now,
        "description": None,
        "display_name": None,
        "effective_percentage": None if shown else whole,
        "flat_amount": None,
        "inclusive": params["inclusive"],
        "jurisdiction": None,
        "jurisdiction_level": params.get("jurisdiction_level"),
        "livemode": context.livemode,
        "metadata": {},
        "percentage": whole,
        "rate_type": "percentage",
        "state": None,
        "tax_type": None,
        "_": {"shown": shown},
    }
    put(rate, params, DESCRIPTIVE)
    put_metadata(rate, params)
    return rate


def hidden_rate(context: Context, data: Params) -> Doc:
    """Find or make the archived rate Stripe keeps for amounts that came without one."""
    wanted = new_rate(context, data, shown=False)
    for rate in context.space.find("tax_rate", {"_.shown": False}):
        if all(rate[name] == wanted[name] for name in (*DESCRIPTIVE, "percentage", "inclusive")):
            return rate
    context.space.insert("tax_rate", wanted)
    return wanted


def given_amounts(context: Context, amounts: list[Params]) -> list[Doc]:
    """Return a line's own tax amounts in the form they are kept."""
    return [
        {
            "amount": tax["amount"],
            "taxable_amount": tax["taxable_amount"],
            "rate": hidden_rate(context, tax["tax_rate_data"])["id"],
            "reason": tax.get("taxability_reason", "not_available"),
        }
        for tax in amounts
    ]


def new_tax_id(context: Context, customer: str, kind: str, value: str) -> Doc:
    """Build a customer's tax id. Nothing verifies it."""
    return {
        "id": new_id("tax_id"),
        "object": "tax_id",
        "country": kind[:2].upper() if kind[2:3] == "_" and kind[:2] != "eu" else value[:2],
        "created": context.now,
        "customer": customer,
        "customer_account": None,
        "livemode": context.livemode,
        "owner": {"customer": customer, "customer_account": None, "type": "customer"},
        "type": kind,
        "value": value,
        "verification": {
            "status": "unavailable",
            "verified_address": None,
            "verified_name": None,
        },
    }


def mirror_tax_ids(context: Context, customer_id: str) -> None:
    """Show a customer's tax ids on its drafts."""
    customer = context.require("customer", customer_id)
    found = context.space.find("tax_id", {"customer": customer_id})
    shown = [{"type": tax_id["type"], "value": tax_id["value"]} for tax_id in found]
    customer["_"]["tax_ids"] = shown
    context.space.update("customer", customer)
    for invoice in context.space.find("invoice", {"customer": customer_id, "status": "draft"}):
        invoice["customer_tax_ids"] = shown
        context.space.update("invoice", invoice)

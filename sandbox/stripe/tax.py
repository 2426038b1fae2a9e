"""Which taxes a line carries."""

from sandbox.stripe.context import Context
from sandbox.stripe.store import Doc
from sandbox.stripe.totals import GivenTax, Rates


class LineRates(Rates):
    """The line's own tax amounts, else its own rates, else the invoice's default rates."""

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
        return list(self._invoice["default_tax_rates"])

    def _given(self, tax: Doc) -> GivenTax:
        rate = self._context.require("tax_rate", tax["rate"])
        return GivenTax(tax["amount"], tax["taxable_amount"], rate, tax["reason"])

"""Tax rates as people name them: by the settings' names, or by Stripe's ids."""

from collections.abc import Iterable
from decimal import Decimal

from invoicing.connectors import stripe
from invoicing.domain.forms.table_totals import Tax
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.wording import caseless
from invoicing.settings import settings


def rate_ids(names: Iterable[str]) -> list[str]:
    """Stripe's ids of tax rates; a name that the settings do not know stands for itself."""
    known = {caseless(name): rate for name, rate in settings().stripe.tax_rates.items()}
    return [known.get(caseless(name), name) for name in names]


def tax_behavior(invoice: Invoice) -> str | None:
    """Stripe Tax's behavior for an invoice's prices; None without Stripe Tax."""
    return settings().stripe.tax_behavior if invoice.billed.automatic_tax else None


def rate_problems(names: Iterable[str]) -> list[str]:
    """Say which tax rates do not exist; asks Stripe only about ids that were given."""
    problems = []
    for name in names:
        [rate_id] = rate_ids([name])
        if not rate_id.startswith("txr_"):
            known = ", ".join(settings().stripe.tax_rates) or "none"
            problems.append(f"There is no tax rate {name!r}; the settings know {known}.")
        elif rate_id == name and not _is_active(name):
            problems.append(f"Stripe has no active tax rate {name}.")
    return problems


def known_rate(name: str) -> bool:
    """Whether the settings, or Stripe, may know a tax rate of a name."""
    return rate_ids([name])[0].startswith("txr_")


def read_taxes(names: Iterable[str]) -> list[Tax]:
    """The percentages of tax rates that there are."""
    rates = [stripe.client().tax_rate(rate_id) for rate_id in rate_ids(names)]
    return [Tax(Decimal(str(rate["percentage"])), rate["inclusive"]) for rate in rates if rate]


def _is_active(rate_id: str) -> bool:
    rate = stripe.client().tax_rate(rate_id)
    return rate is not None and rate["active"]

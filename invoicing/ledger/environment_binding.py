"""The environment that the ledger is bound to: which Salesforce org, Stripe account and mode."""

from invoicing.ledger.database import read_row, session
from invoicing.ledger.models import Binding


def binding(stripe_account_id: str, *, livemode: bool) -> Binding | None:
    """The environment that a Stripe account and mode were bound to, if they were."""
    return read_row(Binding, (stripe_account_id, livemode))


def bind(verified: Binding) -> Binding:
    """Remember an environment that was verified."""
    with session() as ledger:
        return ledger.merge(verified)
